//! Versions: what an image is made of, and what that makes it be called.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::diagnostic::{Diagnostic, codes};
use crate::model::addr::{Block, Kind};
use crate::model::desired::{
    Build, Capture, CopySource, Desired, Fleet, InstanceSource, Launcher, ManagedImage, Source,
};
use crate::model::digest::{Digest, SecretRef, context};
use crate::model::ids::{InstanceId, Name, Region, Version};
use crate::model::recorded::Object;
use crate::model::spec::{DataDisk, Encryption, ImageUse, ImportSource, Inputs, License, ObjectSpec, SystemDisk};
use crate::plan::draft::{Draft, ImageAt, Nature};
use crate::plan::fits::{self, DEFAULT_DISK_GIB};
use crate::plan::lineage;

use super::Planning;

/// Hexadecimal digits of a derived version.
const VERSION_DIGITS: usize = 8;

/// Where a managed image comes from.
pub(super) struct Origin {
    /// Where it is made.
    pub(super) home: Region,
    /// What it is made of, and the version that is derived from that, where one is. Unknown where the builder is no
    /// longer in the config.
    pub(super) made_of: Option<(Inputs, Option<Digest>)>,
    /// How large it will be, as far as that is known.
    pub(super) size_gib: u32,
    /// What else it will be.
    pub(super) nature: Nature,
}

/// What the version of a capture is derived from. Contents, not references: the same in every state.
#[derive(Serialize)]
struct VersionInputs<'a> {
    base: &'a ImageUse,
    user_data: Option<Digest>,
    system_disk: &'a SystemDisk,
    data_disks: &'a [DataDisk],
}

/// What the version of a copy is derived from.
#[derive(Serialize)]
struct CopyInputs<'a> {
    copy_of: &'a ImageUse,
    encryption: &'a Option<Encryption>,
}

/// What the version of an import is derived from: all that is said of it.
#[derive(Serialize)]
struct ImportInputs<'a> {
    import: &'a ImportSource,
}

/// Where the image is made, of what, and what it will be.
pub(super) fn origin(draft: &mut Draft<'_>, name: &Name, image: &ManagedImage) -> Option<Origin> {
    match &image.source {
        Source::Capture(capture) => match &capture.source {
            InstanceSource::Id(id) => Some(by_hand(draft, id)),
            InstanceSource::Slot { fleet, slot: _ } => of_slot(draft, name, fleet),
        },
        Source::Import(source) => Some(of_import(draft, source)),
        Source::Copy(source) => of_copy(draft, source),
        Source::Build(build) => of_build(draft, name, build),
    }
}

/// A build is made where its builder is. A base that could not be planned has said so already.
fn of_build(draft: &mut Draft<'_>, name: &Name, build: &Build) -> Option<Origin> {
    let base = fits::image_at(draft, &Launcher::of_build(name, build))?;
    let Build { region, system_disk, data_disks, user_data, .. } = build;
    Some(of_machine(region, &base, user_data.as_ref(), system_disk, data_disks))
}

/// What comes of an instance that runs from an image.
fn of_machine(
    home: &Region,
    base: &ImageAt,
    user_data: Option<&SecretRef>,
    system_disk: &SystemDisk,
    data_disks: &[DataDisk],
) -> Origin {
    let content = user_data.and_then(|secret| secret.content);
    let inputs = VersionInputs { base: &base.use_, user_data: content, system_disk, data_disks };
    let derived = Digest::of_value(context::INPUTS, &inputs);
    let inputs = Inputs {
        base: Some(base.use_.clone()),
        user_data: user_data.map(|secret| secret.digest),
        system_disk: system_disk.clone(),
        data_disks: data_disks.to_vec(),
        ..Inputs::default()
    };
    Origin {
        home: home.clone(),
        made_of: Some((inputs, Some(derived))),
        // An image is as large as the disk that it is captured from (API text 8.5).
        size_gib: system_disk.size_gib.unwrap_or(DEFAULT_DISK_GIB).max(base.size_gib),
        // A capture of an encrypted disk is refused. That a licence passes on with what is on the disk is not documented,
        // nor is that it does not.
        nature: Nature { encrypted: false, ..base.nature.clone() },
    }
}

fn by_hand(draft: &Draft<'_>, id: &InstanceId) -> Origin {
    let home = draft.input.desired.cloud.region.clone();
    let size = draft.input.observed.instance_there(&home, id).map(|seen| seen.system_disk.size_gib);
    let inputs = Inputs { instance: Some(id.clone()), ..Inputs::default() };
    Origin {
        home,
        made_of: Some((inputs, None)),
        size_gib: size.unwrap_or(DEFAULT_DISK_GIB),
        nature: Nature::default(),
    }
}

fn of_slot(draft: &mut Draft<'_>, name: &Name, fleet_name: &Name) -> Option<Origin> {
    if let Some(fleet) = draft.input.desired.fleets.get(fleet_name) {
        // An image that could not be planned has said so already.
        let base = draft.images.get(&(fleet.image.clone(), fleet.region.clone()))?;
        let Fleet { region, user_data, system_disk, data_disks, .. } = fleet;
        return Some(of_machine(region, base, user_data.as_ref(), system_disk, data_disks));
    }
    let rows = draft.copies_of(&Block::image(name));
    if let Some(last) = rows.iter().max_by_key(|object| (object.accepted_ms, object.generation)) {
        let version = last.addr.version.clone();
        let made = version.map(|version| ImageUse::Made { image: name.clone(), version, generation: last.generation });
        let own_licence = made.and_then(|made| lineage::of(draft.input.recorded, &made).own_licence);
        let nature = Nature { own_licence, ..Nature::default() };
        // What was captured is older than its copies in other regions.
        let same = |row: &&&Object| row.addr.version == last.addr.version && row.generation == last.generation;
        let captured = rows.iter().filter(same).min_by_key(|row| (row.accepted_ms, row.made_by)).unwrap_or(last);
        return Some(Origin { home: captured.region.clone(), made_of: None, size_gib: DEFAULT_DISK_GIB, nature });
    }
    builder_gone(draft, name, fleet_name);
    None
}

fn of_import(draft: &Draft<'_>, source: &ImportSource) -> Origin {
    let derived = Digest::of_value(context::INPUTS, &ImportInputs { import: source });
    Origin {
        home: draft.input.desired.cloud.region.clone(),
        made_of: Some((Inputs { import: Some(source.clone()), ..Inputs::default() }, Some(derived))),
        // Nobody knows before it is there.
        size_gib: 0,
        nature: Nature {
            architecture: Some(source.architecture.seen_as().to_owned()),
            platform: Some(source.os.clone()),
            own_licence: Some(source.license == Some(License::Byol)),
            ..Nature::default()
        },
    }
}

/// A copy is made where its source is made. A source that could not be planned has said so already.
fn of_copy(draft: &Draft<'_>, source: &CopySource) -> Option<Origin> {
    let home = match draft.current.get(&source.image) {
        Some(current) => current.home.clone(),
        None => draft.input.desired.cloud.region.clone(),
    };
    let from = draft.images.get(&(source.image.clone(), home.clone()))?;
    let CopySource { image: _, encryption } = source;
    let derived = Digest::of_value(context::INPUTS, &CopyInputs { copy_of: &from.use_, encryption });
    let inputs = Inputs { base: Some(from.use_.clone()), encryption: encryption.clone(), ..Inputs::default() };
    Some(Origin {
        home,
        made_of: Some((inputs, Some(derived))),
        size_gib: from.size_gib,
        nature: Nature { encrypted: encryption.is_some(), ..from.nature.clone() },
    })
}

pub(super) fn builder_gone(draft: &mut Draft<'_>, name: &Name, fleet: &Name) {
    draft.faults.push(
        Diagnostic::error(
            codes::BUILDER_GONE,
            format!("image.{name} is not captured yet, and fleet.{fleet} is not in the config"),
        )
        .at(Desired::path(Kind::Image, name).key("from_instance").key("instance"))
        .help(format!("put fleets.{fleet} back until the image is captured; after that it may go")),
    );
}

/// The version that the config asks for, and what it is made of where that is known.
pub(super) fn version(
    draft: &mut Draft<'_>,
    planning: &Planning<'_>,
    inputs: Option<(Inputs, Option<Digest>)>,
    objects: &[&Object],
) -> Option<(Version, Option<Inputs>)> {
    let Planning { name, image, .. } = planning;
    if let Some((inputs, derived)) = inputs {
        let version = match (&image.version, derived) {
            (Some(version), _) => version.clone(),
            (None, Some(derived)) => Version::new(derived.short(VERSION_DIGITS)),
            (None, None) => {
                draft.faults.push(
                    Diagnostic::error(
                        codes::MISSING_VERSION,
                        format!("image.{name} is captured by hand and has no version"),
                    )
                    .at(Desired::path(Kind::Image, name))
                    .help("add `version: \"1\"` beside `from_instance`, and change it to capture anew"),
                );
                return None;
            }
        };
        return Some((version, Some(inputs)));
    }
    // The builder is gone: what was current last stays. Of several versions that is the one in use; where none is, the
    // one that was made last.
    let used = versions_in_use(draft, &planning.block);
    let last = objects.iter().max_by_key(|object| {
        let in_use = object.addr.version.as_ref().is_some_and(|version| used.contains(version));
        (!marked_as_old(object), in_use, object.accepted_ms, object.generation)
    });
    let last = last.and_then(|object| object.addr.version.clone());
    let version = match (&image.version, last) {
        (Some(version), _) => version.clone(),
        (None, Some(last)) => last,
        (None, None) => return None,
    };
    Some((version, None))
}

/// Whether a copy was marked as deprecated, for a newer version had taken its place.
pub(in crate::plan) fn marked_as_old(object: &Object) -> bool {
    matches!(object.spec.as_ref(), ObjectSpec::Image(spec) if spec.deprecated == Some(true))
}

/// The versions of an image that instances of ours run from, or that are shared.
fn versions_in_use(draft: &Draft<'_>, block: &Block) -> BTreeSet<Version> {
    let slots = draft.instances().filter_map(|row| match row.spec.as_ref() {
        ObjectSpec::Slot(spec) => match &spec.image {
            ImageUse::Made { image, version, generation: _ } => (*image == block.name).then(|| version.clone()),
            ImageUse::Found { .. } | ImageUse::Promoted { .. } => None,
        },
        ObjectSpec::Image(_) | ObjectSpec::Share(_) => None,
    });
    let copies: BTreeSet<_> =
        draft.copies_of(block).into_iter().map(|object| (&object.region, &object.cloud_id)).collect();
    let shares = draft.rows_of(Kind::Share).filter(|row| copies.contains(&(&row.region, &row.cloud_id)));
    slots.chain(shares.filter_map(|row| row.addr.version.clone())).collect()
}

/// Says that the builder is no longer in the config, and what that means for a version that is there.
pub(super) fn builder_removed(draft: &mut Draft<'_>, planning: &Planning<'_>, version: &Version) {
    let Planning { name, image, .. } = planning;
    if let Some(Capture { source: InstanceSource::Slot { fleet, .. }, .. }) = image.capture() {
        draft.notes.push(
            Diagnostic::warning(
                codes::BUILDER_REMOVED,
                format!("fleet.{fleet}, from which image.{name} was captured, is not in the config"),
            )
            .at(Desired::path(Kind::Image, name).key("from_instance").key("instance"))
            .why(format!("version {version} is captured and stays; a new one cannot be made")),
        );
    }
}

/// Refuses an image all copies of which were deleted, and whose builder is no longer in the config.
pub(super) fn all_gone(draft: &mut Draft<'_>, name: &Name, version: &Version, fleet: &Name) {
    draft.faults.push(
        Diagnostic::error(
            codes::BUILDER_GONE,
            format!(
                "all copies of image.{name}@{version} were deleted outside, and fleet.{fleet} is not in the config"
            ),
        )
        .at(Desired::path(Kind::Image, name).key("from_instance").key("instance"))
        .why("without its builder it cannot be captured anew")
        .help(format!("put fleets.{fleet} back until the image is captured; after that it may go")),
    );
}

/// An explicit version must not change what it is made of.
pub(super) fn check_reuse(
    draft: &mut Draft<'_>,
    planning: &Planning<'_>,
    version: &Version,
    generation: u32,
    inputs: &Inputs,
) {
    let recorded =
        draft.input.recorded.versions.iter().find(|record| {
            record.block == planning.block && record.version == *version && record.generation == generation
        });
    let Some(recorded) = recorded.filter(|recorded| recorded.inputs != *inputs) else { return };
    let changed = changed_inputs(&recorded.inputs, inputs).join(", ");
    let newer = draft.input.recorded.versions.iter().any(|record| {
        record.block == planning.block && record.version != *version && record.made_ms > recorded.made_ms
    });
    let (what, help) = if newer {
        let what = format!("version {version} of image.{} is there already, made of something else", planning.name);
        (what, "to go back to it, put back what it was made of as well; or give the image a new version".to_owned())
    } else {
        let what = format!("image.{} is still version {version}, but what it is made of changed", planning.name);
        (what, "give it a new version, or none: then it is derived from what the image is made of".to_owned())
    };
    draft.faults.push(
        Diagnostic::error(codes::VERSION_REUSED, format!("{what}: {changed}"))
            .at(Desired::path(Kind::Image, planning.name).key("version"))
            .why("whoever runs this version would not get what the config says")
            .help(help),
    );
}

/// The names of the inputs that differ.
pub(super) fn changed_inputs(before: &Inputs, after: &Inputs) -> Vec<String> {
    let Inputs { instance, base, user_data, system_disk, data_disks, import, encryption } = after;
    [
        ("instance", before.instance != *instance),
        ("base", before.base != *base),
        ("user_data", before.user_data != *user_data),
        ("system_disk", before.system_disk != *system_disk),
        ("data_disks", before.data_disks != *data_disks),
        ("import", before.import != *import),
        ("encryption", before.encryption != *encryption),
    ]
    .into_iter()
    .filter(|(_, differs)| *differs)
    .map(|(name, _)| name.to_owned())
    .collect()
}

/// The inputs of the newest other version that still has copies.
pub(super) fn previous_inputs(draft: &Draft<'_>, block: &Block, version: &Version) -> Option<Inputs> {
    let versions = &draft.input.recorded.versions;
    let objects = draft.copies_of(block);
    versions
        .iter()
        .filter(|record| record.block == *block && record.version != *version)
        .filter(|record| objects.iter().any(|object| object.addr.version.as_ref() == Some(&record.version)))
        .max_by_key(|record| (record.made_ms, record.generation))
        .map(|record| record.inputs.clone())
}

/// The version of an image that the config asks for, and where it is made, as far as config and state tell.
pub(in crate::plan) fn wanted(draft: &mut Draft<'_>, name: &Name, image: &ManagedImage) -> Option<(Version, Region)> {
    let block = Block::image(name);
    let objects = draft.objects_of(&block);
    let Origin { home, made_of, size_gib, nature } = origin(draft, name, image)?;
    let planning = Planning { name, image, block, home, regions: BTreeSet::new(), size_gib, nature };
    let (version, _) = version(draft, &planning, made_of, &objects)?;
    Some((version, planning.home))
}
