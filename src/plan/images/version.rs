//! Versions: what an image is made of, and what that makes it be called.

use serde::Serialize;

use crate::diagnostic::{Diagnostic, codes};
use crate::model::addr::{Block, Kind};
use crate::model::desired::{Capture, Desired, InstanceSource, ManagedImage};
use crate::model::digest::{Digest, context};
use crate::model::ids::{Name, Region, Version};
use crate::model::observed::Seen;
use crate::model::recorded::Object;
use crate::model::spec::{DataDisk, ImageUse, Inputs, SystemDisk};
use crate::plan::draft::Draft;

use super::Planning;

/// The system disk of an instance that declares none (API text 3.4), and so the size of its image (8.5).
const DEFAULT_DISK_GIB: u32 = 50;
/// Hexadecimal digits of a derived version.
const VERSION_DIGITS: usize = 8;

/// What an image is captured from: where, what it is made of (unknown where the builder is no longer in the config, and
/// with the version that is derived from it, where one is), and how large it will be in GiB.
pub(super) type Source = (Region, Option<(Inputs, Option<Digest>)>, u32);

/// What a version is derived from. Contents, not references: the same in every state.
#[derive(Serialize)]
struct VersionInputs<'a> {
    base: &'a ImageUse,
    user_data: Option<Digest>,
    system_disk: &'a SystemDisk,
    data_disks: &'a [DataDisk],
}

/// Where the image is captured, what it is made of, and how large it will be. The inputs are unknown where the builder
/// is no longer in the config.
pub(super) fn source(draft: &mut Draft<'_>, name: &Name, image: &ManagedImage) -> Option<Source> {
    let desired = draft.input.desired;
    match &image.capture()?.source {
        InstanceSource::Id(id) => {
            let home = desired.cloud.region.clone();
            let size =
                draft.input.observed.instance(&home, id).and_then(Seen::present).map(|seen| seen.system_disk.size_gib);
            let inputs = Inputs {
                instance: Some(id.clone()),
                base: None,
                user_data: None,
                system_disk: SystemDisk::default(),
                data_disks: Vec::new(),
                import: None,
                encryption: None,
            };
            Some((home, Some((inputs, None)), size.unwrap_or(DEFAULT_DISK_GIB)))
        }
        InstanceSource::Slot { fleet: fleet_name, slot: _ } => {
            if let Some(fleet) = desired.fleets.get(fleet_name) {
                // An image that could not be planned has said so already.
                let base = draft.images.get(&(fleet.image.clone(), fleet.region.clone()))?;
                let content = fleet.user_data.as_ref().and_then(|secret| secret.content);
                let derived = Digest::of_value(
                    context::INPUTS,
                    &VersionInputs {
                        base: &base.use_,
                        user_data: content,
                        system_disk: &fleet.system_disk,
                        data_disks: &fleet.data_disks,
                    },
                );
                let inputs = Inputs {
                    instance: None,
                    base: Some(base.use_.clone()),
                    user_data: fleet.user_data.as_ref().map(|secret| secret.digest),
                    system_disk: fleet.system_disk.clone(),
                    data_disks: fleet.data_disks.clone(),
                    import: None,
                    encryption: None,
                };
                let size = fleet.system_disk.size_gib.unwrap_or(DEFAULT_DISK_GIB).max(base.size_gib);
                return Some((fleet.region.clone(), Some((inputs, Some(derived))), size));
            }
            let home = draft
                .objects_of(&Block::image(name))
                .iter()
                .max_by_key(|object| (object.accepted_ms, object.generation))
                .map(|object| object.region.clone());
            if let Some(home) = home {
                return Some((home, None, DEFAULT_DISK_GIB));
            }
            builder_gone(draft, name, fleet_name);
            None
        }
    }
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
                    .at(Desired::path(Kind::Image, name)),
                );
                return None;
            }
        };
        return Some((version, Some(inputs)));
    }
    // The builder is gone: what was captured last stays.
    let last = objects.iter().max_by_key(|object| (object.accepted_ms, object.generation));
    let last = last.and_then(|object| object.addr.version.clone());
    let version = match (&image.version, last) {
        (Some(version), _) => version.clone(),
        (None, Some(last)) => last,
        (None, None) => return None,
    };
    Some((version, None))
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
    draft.faults.push(
        Diagnostic::error(
            codes::VERSION_REUSED,
            format!("image.{} is still version {version}, but what it is made of changed: {changed}", planning.name),
        )
        .at(Desired::path(Kind::Image, planning.name).key("version"))
        .why("whoever runs this version would not get what the config says")
        .help("give it a new version, or none: then it is derived from what the image is made of"),
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
    let objects = draft.objects_of(block);
    versions
        .iter()
        .filter(|record| record.block == *block && record.version != *version)
        .filter(|record| objects.iter().any(|object| object.addr.version.as_ref() == Some(&record.version)))
        .max_by_key(|record| (record.made_ms, record.generation))
        .map(|record| record.inputs.clone())
}
