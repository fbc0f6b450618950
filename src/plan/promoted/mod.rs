//! Images that another environment made: production runs the very image that staging built. What was promoted stays until
//! `--upgrade` says that it moves on. The image is that environment's to make, to share and to delete; here it is looked up.

mod offer;

use std::collections::BTreeSet;

use super::draft::{Draft, ImageAt, Nature};
use super::types::{Pinned, Promoted};
use crate::cloud::call::Arg;
use crate::diagnostic::{Diagnostic, codes, nearest};
use crate::model::addr::{Block, Kind};
use crate::model::desired::{Desired, Image, Source};
use crate::model::ids::{ImageId, Name, Region, Uin};
use crate::model::observed::{Image as SeenImage, ImageKind, ImageState, Seen};
use crate::model::path::Path;
use crate::model::promotion::{Edition, Offer, Offered, Offers, PromotedFrom, PromotedPin, Promotion, Promotions};
use crate::model::spec::ImageUse;

pub use offer::offers;

/// One block that is promoted.
struct Promoting<'a> {
    name: &'a Name,
    from: &'a PromotedFrom,
    dir: Option<&'a str>,
    promotion: &'a Promotion,
}

impl Promoting<'_> {
    fn path(&self) -> Path {
        Desired::path(Kind::Image, self.name).key("shared").key("from")
    }

    /// How that environment is worked with.
    fn command(&self, verb: &str) -> String {
        format!("{} {verb}", self.promotion.there)
    }

    fn upgrade(&self) -> String {
        format!("to promote what is current there instead: fleetwright plan --upgrade=image.{}", self.name)
    }
}

/// The id of a version of another environment in a region, where that is known.
pub(super) fn known<'a>(
    draft: &Draft<'a>,
    from: &PromotedFrom,
    edition: &Edition,
    region: &Region,
) -> Option<&'a ImageId> {
    let input = draft.input;
    let of = input.desired.images.iter().filter_map(|(name, image)| match image {
        Image::Promoted { from: of, .. } if of == from => input.promotions.get(name),
        Image::Promoted { .. }
        | Image::Public { .. }
        | Image::Shared { .. }
        | Image::Marketplace { .. }
        | Image::Managed(_) => None,
    });
    of.filter_map(|promotion| {
        let offered = promotion.offer().and_then(|offer| offer.copy(edition, region)).map(|copy| &copy.id);
        offered.or_else(|| promotion.pinned.get(region).filter(|pin| pin.edition == *edition).map(|pin| &pin.id))
    })
    .next()
}

/// Where an image is needed: where fleets and builders run from it, and where a copy of it is made.
fn regions<'d>(desired: &'d Desired, image: &Name) -> BTreeSet<&'d Region> {
    let launched = desired.launchers().filter(|launcher| launcher.image == image).map(|launcher| launcher.region);
    let copied = desired.images.values().filter_map(Image::managed).any(|managed| match &managed.source {
        Source::Copy(copy) => copy.image == *image,
        Source::Build(_) | Source::Capture(_) | Source::Import(_) => false,
    });
    launched.chain(copied.then_some(&desired.cloud.region)).collect()
}

/// The images that a plan may promote, or keep where they are: what has to be looked at.
#[must_use]
pub fn candidates(desired: &Desired, promotions: &Promotions) -> BTreeSet<(Region, ImageId)> {
    let mut found = BTreeSet::new();
    for (name, promotion) in promotions {
        for region in regions(desired, name) {
            let pinned = promotion.pinned.get(region).map(|pin| &pin.id);
            let offer = promotion.offer();
            let editions = promotion.before().into_iter().chain(offer.and_then(|offer| offer.current.as_ref()));
            let copies = editions.filter_map(|edition| offer?.copy(edition, region)).map(|copy| &copy.id);
            found.extend(pinned.into_iter().chain(copies).map(|id| (region.clone(), id.clone())));
        }
    }
    found
}

/// Resolves every promoted image, in every region where it is needed.
pub(super) fn images(draft: &mut Draft<'_>) {
    let input = draft.input;
    for (name, image) in &input.desired.images {
        let Image::Promoted { from, dir } = image else { continue };
        if !draft.covered.block(&Block::image(name)) {
            continue;
        }
        let Some(promotion) = input.promotions.get(name) else { continue };
        let block = Promoting { name, from, dir: dir.as_deref(), promotion };
        match chosen(draft, &block) {
            Ok(chosen) => one_image(draft, &block, &chosen),
            Err(fault) => draft.faults.push(*fault),
        }
    }
}

/// Which version is run.
struct Chosen<'a> {
    edition: &'a Edition,
    /// Whose it is.
    owner: &'a Uin,
    offer: Option<&'a Offer>,
}

fn chosen<'a>(draft: &mut Draft<'_>, block: &Promoting<'a>) -> Result<Chosen<'a>, Box<Diagnostic>> {
    let Promoting { name, from, promotion, .. } = block;
    let upgrades = draft.input.options.asked.upgrade.has(&Block::image(name));
    let pinned: Option<&PromotedPin> = promotion.pinned.values().next().filter(|_| !upgrades);
    let offer = match (&promotion.offers, pinned) {
        (Offers::Has(offer), _) => offer,
        // What was promoted can be run without a look at where it comes from.
        (Offers::NoState, Some(pin)) => {
            draft.notes.push(
                Diagnostic::warning(
                    codes::NOTHING_TO_PROMOTE,
                    format!("image.{name} stays at version {} of {from}, whose state is not here", pin.edition),
                )
                .at(block.path())
                .why(format!("{} is not there, or nothing was applied to it", promotion.state)),
            );
            return Ok(Chosen { edition: &pin.edition, owner: &pin.owner, offer: None });
        }
        (Offers::NoState | Offers::OtherProject(_) | Offers::OtherCloud(_) | Offers::NoImage(_), _) => {
            return Err(Box::new(no_offer(block, draft.input.desired.cloud.provider.endpoint())));
        }
    };
    if let Some(pin) = pinned {
        if let Some(current) = offer.current.as_ref().filter(|current| **current != pin.edition) {
            draft.notes.push(
                Diagnostic::note(
                    codes::NEWER_MATCH,
                    format!("image.{name} stays at version {} of {from}; {current} is current there", pin.edition),
                )
                .help(format!("to see what promoting it changes: fleetwright plan --upgrade=image.{name}")),
            );
        }
        return Ok(Chosen { edition: &pin.edition, owner: &offer.account, offer: Some(offer) });
    }
    match &offer.current {
        Some(edition) => Ok(Chosen { edition, owner: &offer.account, offer: Some(offer) }),
        None => Err(Box::new(
            Diagnostic::error(codes::NOTHING_TO_PROMOTE, format!("image.{name}: {from} has no version yet"))
                .at(block.path().key("image"))
                .why(format!(
                    "{} has none that is whole, and that no rollout was stopped or taken back with",
                    promotion.state
                ))
                .help(format!("to see what there is: {}", block.command("images"))),
        )),
    }
}

/// Why there is nothing to be had.
fn no_offer(block: &Promoting<'_>, endpoint: &str) -> Diagnostic {
    let Promoting { name, from, promotion, dir } = block;
    let state = &promotion.state;
    let of_dir = if dir.is_some() { "dir" } else { "env" };
    match &promotion.offers {
        Offers::OtherProject(project) => Diagnostic::error(
            codes::OTHER_CLOUD,
            format!("image.{name}: {state} is of project `{project}`, and not of `{}`", from.project),
        )
        .at(block.path())
        .help(format!("name that project, `project: {project}`, or another environment or directory")),
        Offers::OtherCloud(other) => {
            Diagnostic::error(codes::OTHER_CLOUD, format!("image.{name}: {state} is of another cloud than this config"))
                .at(block.path())
                .why(format!("endpoint {other:?} there, {endpoint:?} here: no image of the one is known to the other"))
                .help("promote within one cloud, or import the file that the image was made from")
        }
        Offers::NoImage(known) => {
            let fault = Diagnostic::error(
                codes::NOTHING_TO_PROMOTE,
                format!("image.{name}: {state} has no image {:?}", from.image.as_str()),
            )
            .at(block.path().key("image"));
            let names: Vec<&str> = known.iter().map(Name::as_str).collect();
            match (nearest(from.image.as_str(), names.iter().copied()), names.as_slice()) {
                (Some(near), _) => fault.help(format!("did you mean {near}?")),
                (None, []) => fault.help(format!("make it there first: {}", block.command("apply"))),
                (None, names) => fault.help(format!("what it has is {}", names.join(", "))),
            }
        }
        Offers::NoState | Offers::Has(_) => {
            Diagnostic::error(codes::NOTHING_TO_PROMOTE, format!("image.{name}: there is no state {state}"))
                .at(block.path().key(of_dir))
                .why("what is promoted is found in the state of the environment that made it")
                .help(format!(
                    "make it there first, {}, or name another `env` or `dir`; a state that is kept elsewhere must be \
                     brought here",
                    block.command("apply")
                ))
        }
    }
}

fn one_image(draft: &mut Draft<'_>, block: &Promoting<'_>, chosen: &Chosen<'_>) {
    let Promoting { name, from, promotion, .. } = block;
    let Chosen { edition, owner, offer } = chosen;
    let desired = draft.input.desired;
    if **owner != desired.cloud.account && !desired.trusted_owners.contains(*owner) {
        draft.faults.push(
            Diagnostic::error(
                codes::UNTRUSTED_OWNER,
                format!("image.{name}: {from} belongs to {owner}, who is not among the trusted owners"),
            )
            .at(block.path())
            .why("whoever owns an image decides what runs on your instances")
            .help(format!("if you trust that account, add \"{owner}\" to `trusted_owners`")),
        );
        return;
    }
    let needed = regions(desired, name).into_iter().filter(|region| needs_it(draft, name, region));
    for region in needed.collect::<Vec<_>>() {
        let offered = offer.and_then(|offer| offer.copy(edition, region));
        let pin = promotion.pinned.get(region);
        let of_pin = pin.filter(|pin| pin.edition == **edition);
        // A copy that was made anew is the same version under another id.
        let found = match (offered, of_pin) {
            (Some(Offered { id, made_ms, .. }), _) => Some((id, *made_ms)),
            (None, Some(PromotedPin { id, created_ms, .. })) => Some((id, *created_ms)),
            (None, None) => None,
        };
        let Some((id, created_ms)) = found else {
            draft.faults.push(elsewhere(block, chosen, region));
            continue;
        };
        if !enter(draft, block, chosen, (region, id), offered) {
            continue;
        }
        let moved = pin.filter(|pin| pin.id != *id || pin.edition != **edition);
        draft.lookups.push(Pinned {
            block: Block::image(name),
            region: region.clone(),
            name: from.to_string(),
            id: id.clone(),
            created_ms,
            new: pin.is_none() || moved.is_some(),
            was: moved.map(|pin| pin.id.clone()),
            promoted: Some(Promoted {
                from: (*from).clone(),
                edition: (*edition).clone(),
                owner: (*owner).clone(),
                was: moved.map(|pin| pin.edition.clone()),
            }),
        });
    }
}

/// Whether the plan is about something that needs the image in a region.
fn needs_it(draft: &Draft<'_>, image: &Name, region: &Region) -> bool {
    let desired = draft.input.desired;
    let mut fleets = desired.fleets.iter().filter(|(_, fleet)| fleet.image == *image && fleet.region == *region);
    fleets.any(|(name, _)| draft.covered.block(&Block::fleet(name))) || *region == desired.cloud.region
}

/// Says that a version is not in a region.
fn elsewhere(block: &Promoting<'_>, chosen: &Chosen<'_>, region: &Region) -> Diagnostic {
    let Promoting { name, from, .. } = block;
    let Chosen { edition, offer, .. } = chosen;
    let there: Vec<&str> = offer.iter().flat_map(|offer| offer.regions(edition)).map(Region::as_str).collect();
    if there.is_empty() {
        return gone(block, edition);
    }
    Diagnostic::error(
        codes::IMAGE_NOT_IN_REGION,
        format!("image.{name}: version {edition} of {from} is not in {region}, where it is needed"),
    )
    .at(block.path())
    .why(format!("it is in {}", there.join(" and ")))
    .help(format!(
        "add {region} to `regions` of image.{} in the config of that environment, and apply it: {}",
        from.image,
        block.command("apply")
    ))
}

/// Says that what was promoted is no longer there.
fn gone(block: &Promoting<'_>, edition: &Edition) -> Diagnostic {
    let Promoting { name, from, .. } = block;
    Diagnostic::error(
        codes::PIN_GONE,
        format!("image.{name} is pinned to version {edition} of {from}, and that is no longer there"),
    )
    .at(block.path())
    .why("that environment deleted it: `keep` there says how many older versions stay")
    .help(block.upgrade())
}

/// Enters the image in a region, as it was seen. `false`: it cannot be what the config says.
fn enter(
    draft: &mut Draft<'_>,
    block: &Promoting<'_>,
    chosen: &Chosen<'_>,
    (region, id): (&Region, &ImageId),
    offered: Option<&Offered>,
) -> bool {
    let ours = *chosen.owner == draft.input.desired.cloud.account;
    let mut nature = Nature::of_others();
    if ours {
        nature.encrypted = offered.is_some_and(|copy| copy.encrypted == Some(true));
        nature.own_licence = offered.and_then(|copy| copy.own_licence);
    } else {
        nature.received.insert(block.name.clone());
    }
    let observed = draft.input.observed;
    let mut size_gib = 0;
    match observed.image(region, id) {
        Some(Seen::Present(seen)) => {
            if let Some(fault) = not_it(draft, block, chosen, seen, ours) {
                draft.faults.push(fault);
                return false;
            }
            if seen.state != ImageState::Normal {
                let fault =
                    Diagnostic::error(codes::BUSY, format!("image.{}: {id} is in state {:?}", block.name, seen.state))
                        .at(block.path())
                        .why("nothing can be launched from it before it is NORMAL")
                        .help(format!("wait until {} has it ready, and plan again", block.from));
                draft.unusable.insert((region.clone(), id.clone()), fault);
            }
            nature = nature.seen(seen);
            size_gib = seen.size_gib;
        }
        Some(Seen::Absent { .. }) => {
            let fault = absent(draft, block, chosen, (region, id), offered, ours);
            draft.unusable.insert((region.clone(), id.clone()), fault);
        }
        // Nobody looked: it is taken to be as it was.
        None => {}
    }
    let use_ = ImageUse::Promoted { from: block.from.clone(), edition: chosen.edition.clone() };
    let at = ImageAt { use_, id: Arg::Known(id.clone()), ready: Vec::new(), size_gib, nature };
    draft.images.insert((block.name.clone(), region.clone()), at);
    true
}

/// Why an image that is there is not what was promoted.
fn not_it(
    draft: &mut Draft<'_>,
    block: &Promoting<'_>,
    chosen: &Chosen<'_>,
    seen: &SeenImage,
    ours: bool,
) -> Option<Diagnostic> {
    let Promoting { name, from, promotion, .. } = block;
    let SeenImage { id, kind, creator, .. } = seen;
    match (kind, ours) {
        (ImageKind::Private, true) => None,
        (ImageKind::Shared, false) if creator.is_empty() || creator == chosen.owner.as_str() => None,
        (ImageKind::Shared, false) => Some(
            Diagnostic::error(
                codes::IMAGE_OWNER,
                format!("image.{name}: {id} belongs to {creator}, and not to {}", chosen.owner),
            )
            .at(block.path())
            .why(format!("{} says that it is {from}", promotion.state))
            .help(format!("plan there, and see what became of it: {}", block.command("plan"))),
        ),
        (ImageKind::Other(word), _) => {
            draft.assumptions.insert(format!("image.{name} is a custom image: the cloud calls it {word}"));
            None
        }
        (ImageKind::Private | ImageKind::Shared | ImageKind::Public | ImageKind::Market, _) => {
            let what = match kind {
                ImageKind::Private => "a custom image of this account",
                ImageKind::Shared => "shared by another account",
                ImageKind::Public => "a public image",
                ImageKind::Market | ImageKind::Other(_) => "of the marketplace",
            };
            Some(
                Diagnostic::error(codes::IMAGE_KIND, format!("image.{name}: {id} is {what}"))
                    .at(block.path())
                    .why(format!("{} says that it is {from}, of account {}", promotion.state, chosen.owner))
                    .help(format!("plan there, and see what became of it: {}", block.command("plan"))),
            )
        }
    }
}

/// Why an image is not to be seen, and what helps.
fn absent(
    draft: &Draft<'_>,
    block: &Promoting<'_>,
    chosen: &Chosen<'_>,
    (region, id): (&Region, &ImageId),
    offered: Option<&Offered>,
    ours: bool,
) -> Diagnostic {
    let Promoting { name, from, promotion, .. } = block;
    let Chosen { edition, owner, .. } = chosen;
    let account = &draft.input.desired.cloud.account;
    let Some(offered) = offered.filter(|_| !matches!(promotion.offers, Offers::NoState)) else {
        return gone(block, edition);
    };
    if ours {
        return Diagnostic::error(
            codes::IMAGE_NOT_FOUND,
            format!("image.{name}: {id}, version {edition} of {from}, is not in {region}"),
        )
        .at(block.path())
        .why(format!("{} has it: somebody deleted it since", promotion.state))
        .help(format!("make it there anew: {}", block.command("apply")));
    }
    let fault = Diagnostic::error(
        codes::IMAGE_NOT_SHARED,
        format!("image.{name}: {from} is not shared with this account, {account}, in {region}"),
    )
    .at(block.path())
    .why(format!("it belongs to {owner}: {id}, version {edition}"));
    if offered.accounts.contains(account) {
        let why = format!("{} says that it was: somebody cancelled that, or deleted it", promotion.state);
        return fault.why(why).help(format!("put it right there: {}", block.command("apply")));
    }
    fault.help(format!(
        "share it in the config of that environment, and apply it: `shares: {{ {name}: {{ image: {}, accounts: \
         [\"{account}\"] }} }}`; where the image has a share already, add the account to that",
        from.image
    ))
}
