//! Versions that are revoked: nothing new is launched from them, nor from what descends from them. Instances that run from
//! one go on running; they are only told of.

use std::collections::{BTreeMap, BTreeSet};

use super::draft::Draft;
use super::images;
use super::input::PlanInput;
use super::types::{Do, Effect, Step};
use crate::cloud::call::Arg;
use crate::diagnostic::{Diagnostic, codes};
use crate::model::addr::{Addr, Block, Kind};
use crate::model::desired::{Desired, Image};
use crate::model::ids::{ImageId, Name, Region, Version};
use crate::model::recorded::{Object, VersionRecord};
use crate::model::spec::{ImageUse, ObjectSpec};

/// Above this many, things are counted and not named.
const NAMED: usize = 4;

/// What is revoked, and what is known of where images come from.
pub(super) struct Revoked<'a> {
    revoked: BTreeSet<(&'a Name, &'a Version)>,
    /// What versions were made of.
    bases: BTreeMap<(&'a Name, &'a Version, u32), &'a ImageUse>,
}

impl<'a> Revoked<'a> {
    /// As config and state tell.
    pub(super) fn of(input: &PlanInput<'a>) -> Self {
        let images = input.desired.images.iter().filter_map(|(name, image)| Some((name, image.managed()?)));
        let revoked: BTreeSet<_> =
            images.flat_map(|(name, image)| image.revoke.iter().map(move |version| (name, version))).collect();
        let mut known = Self { revoked, bases: BTreeMap::new() };
        if !known.revoked.is_empty() {
            known.learn(&input.recorded.versions);
        }
        known
    }

    fn learn(&mut self, versions: impl IntoIterator<Item = &'a VersionRecord>) {
        for VersionRecord { block, version, generation, inputs, inputs_digest: _, made_ms: _ } in versions {
            if let Some(base) = &inputs.base {
                self.bases.insert((&block.name, version, *generation), base);
            }
        }
    }

    /// How an image comes from a version that is revoked, the image first and that version last; `None`: it does not.
    pub(super) fn path(&self, image: &ImageUse) -> Option<Vec<ImageUse>> {
        let mut path = Vec::new();
        let mut at = image;
        // Versions that come from each other in a circle are no more than there are versions.
        for _ in 0..=self.bases.len() {
            path.push(at.clone());
            let ImageUse::Made { image, version, generation } = at else { return None };
            if self.revoked.contains(&(image, version)) {
                return Some(path);
            }
            at = self.bases.get(&(image, version, *generation))?;
        }
        None
    }
}

/// `image.web@2 comes from image.base@1`; of a version that is revoked itself, nothing.
fn descent(path: &[ImageUse]) -> Option<String> {
    let names: Vec<String> = path.iter().map(ToString::to_string).collect();
    (names.len() > 1).then(|| names.join(", which comes from "))
}

/// Refuses what would be launched from a revoked version, and tells what runs from one.
pub(super) fn tell(draft: &mut Draft<'_>) {
    let input = draft.input;
    let mut revoked = Revoked::of(input);
    if revoked.revoked.is_empty() {
        return;
    }
    let made: Vec<VersionRecord> = new_versions(&draft.steps).cloned().collect();
    revoked.learn(&made);
    let mut told = launches(draft, &revoked);
    told.extend(running(draft, &revoked));
    told.extend(shared(draft, &revoked));
    told.extend(unknown(draft, &revoked, &made));
    let (faults, notes): (Vec<Diagnostic>, Vec<Diagnostic>) = told.into_iter().partition(Diagnostic::is_error);
    draft.faults.extend(faults);
    draft.notes.extend(notes);
}

/// The versions that steps make.
fn new_versions(steps: &[Step]) -> impl Iterator<Item = &VersionRecord> {
    let made = steps.iter().flat_map(|step| &step.targets).filter_map(|target| target.effect.makes());
    made.filter_map(|made| made.version.as_deref())
}

/// Where a version is revoked in the config.
fn place(desired: &Desired, path: &[ImageUse]) -> Option<crate::model::path::Path> {
    let Some(ImageUse::Made { image, version, generation: _ }) = path.last() else { return None };
    let managed = desired.images.get(image).and_then(Image::managed)?;
    managed.revoke.contains(version).then(|| Desired::path(Kind::Image, image).key("revoke"))
}

fn at(fault: Diagnostic, desired: &Desired, path: &[ImageUse]) -> Diagnostic {
    match place(desired, path) {
        Some(place) => fault.at(place),
        None => fault,
    }
}

/// What can be done about it.
fn way_out(path: &[ImageUse]) -> String {
    match path {
        [.., ImageUse::Made { image, .. }] => {
            format!("make a new version of image.{image}, and of what comes from it; or take it out of `revoke`")
        }
        _ => "take it out of `revoke`".to_owned(),
    }
}

/// Everything that would be launched from what is revoked: one fault a fleet and image.
fn launches(draft: &Draft<'_>, revoked: &Revoked<'_>) -> Vec<Diagnostic> {
    let mut copies: BTreeMap<(&Region, &ImageId), ImageUse> = BTreeMap::new();
    for row in draft.rows_of(Kind::Image) {
        if let (Some(id), Some(use_)) = (row.cloud_id.image(), version_of(&row.addr, row.generation)) {
            copies.insert((&row.region, id), use_);
        }
    }
    let mut refused: BTreeMap<(Block, ImageUse), BTreeSet<Addr>> = BTreeMap::new();
    for step in &draft.steps {
        let Do::Call(call) = &step.does else { continue };
        let Some(image) = call.body.runs_from() else { continue };
        let use_ = match image {
            Arg::Known(id) => copies.get(&(&call.region, id)).cloned(),
            Arg::Output { step, target } => made_by(&draft.steps, step.0 as usize, *target as usize),
        };
        let Some(use_) = use_.filter(|use_| revoked.path(use_).is_some()) else { continue };
        for target in &step.targets {
            let key = (target.addr.block.clone(), use_.clone());
            refused.entry(key).or_default().insert(target.addr.clone().generation(target.generation));
        }
    }
    let fault = |((block, use_), addrs): ((Block, ImageUse), BTreeSet<Addr>)| {
        let path = revoked.path(&use_).unwrap_or_default();
        let root = path.last().map(ToString::to_string).unwrap_or_default();
        let what = match descent(&path) {
            Some(_) => format!("{use_}, which comes from {root}: that version is revoked"),
            None => format!("{root}, which is revoked"),
        };
        let fault = Diagnostic::error(codes::REVOKED, format!("{block} would be launched from {what}"));
        let fault = at(fault, draft.input.desired, &path);
        let fault = match descent(&path).filter(|_| path.len() > 2) {
            Some(descent) => fault.why(descent),
            None => fault,
        };
        fault
            .why(format!("this plan would launch or reset {}", few(addrs.iter().map(ToString::to_string).collect())))
            .help(way_out(&path))
    };
    refused.into_iter().map(fault).collect()
}

fn few(names: Vec<String>) -> String {
    match names.len() {
        0..=NAMED => names.join(", "),
        many => format!("{}, and {} more", names[..NAMED].join(", "), many - NAMED),
    }
}

/// The version that an address is of.
fn version_of(addr: &Addr, generation: u32) -> Option<ImageUse> {
    let version = addr.version.clone().filter(|_| addr.block.kind == Kind::Image)?;
    Some(ImageUse::Made { image: addr.block.name.clone(), version, generation })
}

fn made_by(steps: &[Step], step: usize, target: usize) -> Option<ImageUse> {
    let target = steps.get(step)?.targets.get(target)?;
    version_of(&target.addr, target.generation)
}

/// What runs from a revoked version when the plan is carried out: one warning a fleet and image.
fn running(draft: &Draft<'_>, revoked: &Revoked<'_>) -> Vec<Diagnostic> {
    let mut counts: BTreeMap<(&Block, &ImageUse), usize> = BTreeMap::new();
    let stay = images::after(draft.rows_of(Kind::Fleet), &draft.steps);
    let used: BTreeMap<&ImageUse, Vec<ImageUse>> =
        stay.keys().filter_map(|(image, _)| Some((*image, revoked.path(image)?))).collect();
    if used.is_empty() {
        return Vec::new();
    }
    let moved: BTreeSet<(&Addr, u32)> = moved(&draft.steps);
    for row in draft.rows_of(Kind::Fleet).filter(|row| !moved.contains(&(&row.addr, row.generation))) {
        if let ObjectSpec::Slot(spec) = row.spec.as_ref()
            && used.contains_key(&spec.image)
        {
            *counts.entry((&row.addr.block, &spec.image)).or_default() += 1;
        }
    }
    let warning = |((block, image), count): ((&Block, &ImageUse), usize)| {
        let path = used.get(image).cloned().unwrap_or_default();
        let instances = if count == 1 { "1 instance".to_owned() } else { format!("{count} instances") };
        let run = if count == 1 { "runs" } else { "run" };
        let warning = Diagnostic::warning(
            codes::REVOKED_IN_USE,
            format!("{instances} of {block} {run} from {image}, which is revoked"),
        );
        let warning = at(warning, draft.input.desired, &path);
        let warning = match descent(&path) {
            Some(descent) => warning.why(descent),
            None => warning,
        };
        warning.why("what runs goes on running: only launches and resets are refused").help(way_out(&path))
    };
    counts.into_iter().map(warning).collect()
}

/// Slots that steps take away, or bring to another image.
fn moved(steps: &[Step]) -> BTreeSet<(&Addr, u32)> {
    let moves = |step: &&Step| match &step.does {
        Do::Call(call) => call.body.runs_from().is_some(),
        Do::Await { .. } | Do::Record | Do::Gate(_) | Do::Hook(_) => false,
    };
    let gone = steps.iter().flat_map(|step| &step.targets).filter(|target| target.effect == Effect::Remove);
    let reset = steps.iter().filter(moves).flat_map(|step| &step.targets);
    gone.chain(reset).map(|target| (&target.addr, target.generation)).collect()
}

/// Revoked versions that are current, and shared: others can still launch from them.
fn shared(draft: &Draft<'_>, revoked: &Revoked<'_>) -> Vec<Diagnostic> {
    let desired = draft.input.desired;
    let told = desired.shares.iter().filter_map(|(name, share)| {
        let current = draft.current.get(&share.image)?;
        let (version, generation) = (current.version.clone(), current.generation);
        let use_ = ImageUse::Made { image: share.image.clone(), version, generation };
        let path = revoked.path(&use_)?;
        let warning =
            Diagnostic::warning(codes::REVOKED_IN_USE, format!("share.{name} shares {use_}, which is revoked"));
        let warning = at(warning, desired, &path);
        let warning = match descent(&path) {
            Some(descent) => warning.why(descent),
            None => warning,
        };
        let accounts: Vec<String> = share.accounts.iter().map(ToString::to_string).collect();
        Some(
            warning
                .why(format!("what others launch is theirs to say: it is shared with {}", few(accounts)))
                .help(way_out(&path)),
        )
    });
    told.collect()
}

/// Versions that are revoked and that nobody knows of: they may be misspelt.
fn unknown(draft: &Draft<'_>, revoked: &Revoked<'_>, made: &[VersionRecord]) -> Vec<Diagnostic> {
    let input = draft.input;
    let known = || input.recorded.versions.iter().chain(made);
    let copies: BTreeSet<(&Name, &Version)> = draft
        .rows_of(Kind::Image)
        .filter_map(|row: &Object| Some((&row.addr.block.name, row.addr.version.as_ref()?)))
        .collect();
    let strange = revoked.revoked.iter().filter(|(image, version)| {
        let recorded = known().any(|record| record.block.name == **image && record.version == **version);
        !recorded && !copies.contains(&(*image, *version))
    });
    let warning = |(image, version): &(&Name, &Version)| {
        let versions: BTreeSet<&str> =
            known().filter(|record| record.block.name == **image).map(|record| record.version.as_str()).collect();
        let warning = Diagnostic::warning(
            codes::UNKNOWN_VERSION,
            format!("image.{image} never had a version {:?}, which is revoked", version.as_str()),
        )
        .at(Desired::path(Kind::Image, image).key("revoke"));
        match crate::diagnostic::nearest(version.as_str(), versions.iter().copied()) {
            Some(near) => warning.help(format!("did you mean {near:?}?")),
            None => warning.help("look at the spelling: `fleetwright images` lists the versions that there are"),
        }
    };
    strange.map(warning).collect()
}
