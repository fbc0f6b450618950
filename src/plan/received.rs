//! Images of others: shared with this account by their owner, or bought at the marketplace. They are found by their ids,
//! and may only launch instances, or where they are shared be copied within their region (API text 8.1).

use super::draft::{Draft, ImageAt, Nature};
use super::types::{Do, Step};
use crate::cloud::call::Arg;
use crate::diagnostic::{Diagnostic, Severity, codes};
use crate::model::addr::{self, Kind};
use crate::model::desired::{Desired, Image};
use crate::model::ids::{ImageId, Name, Region, Uin};
use crate::model::observed::{Image as SeenImage, ImageKind, ImageState, Seen};
use crate::model::path::Path;
use crate::model::spec::ImageUse;

/// A block that names an image of somebody else's.
struct Block<'a> {
    name: &'a Name,
    id: &'a ImageId,
    /// Whose it has to be; `None`: anybody's, at the marketplace.
    owner: Option<&'a Uin>,
}

impl Block<'_> {
    fn path(&self) -> Path {
        let key = if self.owner.is_some() { "shared" } else { "marketplace" };
        Desired::path(Kind::Image, self.name).key(key).key("id")
    }
}

/// Looks every received image up, and checks that it is what the config says.
pub(super) fn images(draft: &mut Draft<'_>) {
    let desired = draft.input.desired;
    let home = &desired.cloud.region;
    for (name, image) in &desired.images {
        let block = match image {
            Image::Shared { id, owner } => Block { name, id, owner: Some(owner) },
            Image::Marketplace { id } => Block { name, id, owner: None },
            Image::Public { .. } | Image::Promoted { .. } | Image::Managed(_) => continue,
        };
        if !draft.covered.block(&addr::Block::image(name)) {
            continue;
        }
        elsewhere(draft, &block, home);
        let observed = draft.input.observed;
        match observed.image(home, block.id) {
            Some(Seen::Present(seen)) => present(draft, &block, home, seen),
            Some(Seen::Absent { .. }) => {
                let fault = absent(&block, home);
                draft.unusable.insert((home.clone(), block.id.clone()), fault);
                enter(draft, &block, home, 0, Nature::of_others());
            }
            None => {}
        }
    }
}

fn enter(draft: &mut Draft<'_>, block: &Block<'_>, home: &Region, size_gib: u32, nature: Nature) {
    let id = block.id.clone();
    let at =
        ImageAt { use_: ImageUse::Found { id: id.clone() }, id: Arg::Known(id), ready: Vec::new(), size_gib, nature };
    draft.images.insert((block.name.clone(), home.clone()), at);
}

/// A received image works in its own region only.
fn elsewhere(draft: &mut Draft<'_>, block: &Block<'_>, home: &Region) {
    let launchers = draft.input.desired.launchers();
    let elsewhere = launchers.filter(|launcher| launcher.image == block.name && launcher.region != home);
    for launcher in elsewhere.filter(|launcher| draft.covered.block(&launcher.block)) {
        let runs = if launcher.block.kind == Kind::Image { "is built" } else { "runs" };
        draft.faults.push(
            Diagnostic::error(
                codes::IMAGE_NOT_IN_REGION,
                format!("{} {runs} in {}, and image.{} is in {home}", launcher.block, launcher.region, block.name),
            )
            .at(launcher.image_path())
            .why("an image of another account works in its own region only, and cannot be copied to another one")
            .help(match block.owner {
                Some(_) => format!(
                    "make it your own, `copy: {{ image: {} }}` with `regions`, and run from that; or ask its owner for it in {}",
                    block.name, launcher.region
                ),
                None => format!("name the image that the marketplace has in {}, in a config of that region", launcher.region),
            }),
        );
    }
}

fn absent(block: &Block<'_>, home: &Region) -> Diagnostic {
    let Block { name, id, owner } = block;
    match owner {
        Some(owner) => Diagnostic::error(
            codes::IMAGE_NOT_SHARED,
            format!("image.{name}: {id} is not shared with this account in {home}, or no longer"),
        )
        .at(block.path())
        .why("whoever it is not shared with does not see it; nor does anybody once it is deleted")
        .help(format!("ask {owner} to share it with this account, in {home}")),
        None => Diagnostic::error(
            codes::IMAGE_NOT_FOUND,
            format!("image.{name}: there is no image {id} in {home}, or no longer"),
        )
        .at(block.path())
        .help(format!("ids of the marketplace differ from region to region: name the one of {home}")),
    }
}

fn present(draft: &mut Draft<'_>, block: &Block<'_>, home: &Region, seen: &SeenImage) {
    let Block { name, id, owner } = block;
    let kind = |what: &str| {
        let fault = Diagnostic::error(codes::IMAGE_KIND, format!("image.{name}: {id} {what}"));
        fault.at(block.path())
    };
    let fault = match (&seen.kind, owner) {
        (ImageKind::Shared, Some(_)) | (ImageKind::Market, None) => None,
        (ImageKind::Public, _) => {
            let help = format!("look it up by its name: `public: {{ name: {:?} }}`", seen.name);
            Some(kind("is a public image").help(help))
        }
        (ImageKind::Private, _) => Some(
            kind("is a custom image of this account")
                .why("its own images are made by blocks with `build`, `from_instance`, `import` or `copy`")
                .help("name an image of another account, or declare how this one is made"),
        ),
        (ImageKind::Market, Some(_)) => {
            Some(kind("is of the marketplace").help(format!("write `marketplace: {{ id: {id}, accept_fee: true }}`")))
        }
        (ImageKind::Shared, None) => {
            let help = format!("write `shared: {{ id: {id}, owner: {:?} }}`, if you trust them", seen.creator);
            Some(kind("is shared by another account").help(help))
        }
        (ImageKind::Other(word), Some(_)) => {
            draft.assumptions.insert(format!("image.{name} is a shared image: the cloud calls it {word}"));
            None
        }
        (ImageKind::Other(word), None) => {
            draft.assumptions.insert(format!("image.{name} is of the marketplace: the cloud calls it {word}"));
            None
        }
    };
    // Of an image of another kind its owner is no longer the question.
    let told = fault.is_none() && !seen.creator.is_empty();
    let other = owner.filter(|owner| told && seen.creator != owner.as_str()).map(|owner| {
        Diagnostic::error(
            codes::IMAGE_OWNER,
            format!("image.{name}: {id} belongs to {}, and not to {owner}", seen.creator),
        )
        .at(Desired::path(Kind::Image, name).key("shared").key("owner"))
        .why("the cloud does not vet shared images: what runs from one is in its owner's hands")
        .help(format!("if you trust {}, write it here and in `trusted_owners`", seen.creator))
    });
    let refused = fault.is_some() || other.is_some();
    draft.faults.extend(fault.into_iter().chain(other));
    if refused {
        return;
    }
    if owner.is_some() && seen.creator.is_empty() {
        draft.assumptions.insert(format!("image.{name} belongs to its `owner`: the cloud does not tell"));
    }
    if seen.state != ImageState::Normal {
        let fault = Diagnostic::error(codes::BUSY, format!("image.{name}: {id} is in state {:?}", seen.state))
            .at(block.path())
            .why("nothing can be launched from it before it is NORMAL")
            .help("wait until its owner has it ready, and plan again");
        draft.unusable.insert((home.clone(), (*id).clone()), fault);
    }
    let mut nature = Nature::of_others().seen(seen);
    if owner.is_some() {
        nature.received.insert((*name).clone());
    } else {
        nature.fees.insert((*name).clone());
    }
    enter(draft, block, home, seen.size_gib, nature);
}

/// What a call makes something from, and whether instances run from it.
fn made_from(step: &Step) -> Option<(&Region, &Arg<ImageId>, bool)> {
    let Do::Call(call) = &step.does else { return None };
    let image = call.body.made_from()?;
    Some((&call.region, image, call.body.runs_from().is_some()))
}

/// When all is planned: refuses what would be made from an image that is not there, and names the fees.
pub(super) fn settle(draft: &mut Draft<'_>) {
    for ((region, id), mut fault) in std::mem::take(&mut draft.unusable) {
        let needed =
            draft.steps.iter().filter_map(made_from).any(|(at, image, _)| *at == region && image.known() == Some(&id));
        if needed {
            draft.faults.push(fault);
        } else {
            fault.severity = Severity::Warning;
            draft.notes.push(fault.why("this plan makes nothing from it, and what runs from it goes on"));
        }
    }
    let mut said = Vec::new();
    for ((name, region), at) in &draft.images {
        let ImageAt { id, nature, .. } = at;
        if nature.fees.is_empty() && nature.received.is_empty() {
            continue;
        }
        let runs =
            draft.steps.iter().filter_map(made_from).any(|(at, image, runs)| runs && at == region && image == id);
        if !runs {
            continue;
        }
        for from in &nature.fees {
            said.push(if from == name {
                format!(
                    "image.{name} is of the marketplace: its fee is charged for each instance, and images captured from \
                     its instances inherit it"
                )
            } else {
                format!("image.{name} inherits the fee of image.{from}, which is charged for each instance")
            });
        }
        for from in &nature.received {
            said.push(if from == name {
                format!("image.{name} carries no fee that its owner pays: the cloud does not tell")
            } else {
                format!("image.{name} inherits no fee from image.{from}: the cloud does not tell")
            });
        }
    }
    draft.assumptions.extend(said);
}
