//! Whether what instances are made of goes together: the image with the type, with the login, and with the names
//! of the hosts, as far as that is known beforehand (API text 3.8, 5.1).

use super::draft::{Draft, ImageAt, Nature};
use crate::diagnostic::{Diagnostic, codes};
use crate::model::addr::Kind;
use crate::model::catalog;
use crate::model::desired::{Desired, Fleet, Image, Launcher, Source};
use crate::model::ids::{InstanceType, Name, Zone};
use crate::model::spec::{Login, SystemDisk};

/// What the hosts of Windows may be called (RunInstances.HostName, API text 5.1).
const LONGEST_WINDOWS_HOST: usize = 15;
const SHORTEST_HOST: usize = 2;

impl Nature {
    /// Whether it is Windows; `None`: nobody knows yet.
    pub(super) fn is_windows(&self) -> Option<bool> {
        self.platform.as_ref().map(|platform| platform.starts_with("Windows"))
    }
}

/// Whether an image for these processors runs on those of a type. What is made for 32 bits runs on 64 too.
pub(super) fn runs_on(image: &str, processors: &str) -> bool {
    image == processors || (image == "i386" && processors == "x86_64")
}

/// The processors of a type, where it is one of those that are known; those of a type never change.
pub(super) fn processors(instance_type: &InstanceType) -> Option<&'static str> {
    catalog::find_type(instance_type.as_str()).map(|entry| entry.architecture)
}

/// The image that something is launched from, in its region.
pub(super) fn image_at(draft: &mut Draft<'_>, launcher: &Launcher<'_>) -> Option<ImageAt> {
    let Launcher { block, image, region, instance_type: _ } = launcher;
    if let Some(at) = draft.images.get(&((*image).clone(), (*region).clone())) {
        return Some(at.clone());
    }
    // A managed image that could be planned, but not here; anything else has been refused already.
    if draft.current.contains_key(*image) {
        let regions = draft.images.keys().filter(|(name, _)| name == *image).map(|(_, region)| region.to_string());
        let regions: Vec<String> = regions.collect();
        let runs = if block.kind == Kind::Image { "is built" } else { "runs" };
        draft.faults.push(
            Diagnostic::error(
                codes::IMAGE_NOT_IN_REGION,
                format!("{block} {runs} in {region}, and image.{image} is only in {}", regions.join(", ")),
            )
            .at(launcher.image_path())
            .why("an instance can only be launched from an image of its own region")
            .help(format!("add {region} to `regions` of image.{image}")),
        );
    }
    None
}

/// The system disk of an instance that declares none (API text 3.4).
pub(super) const DEFAULT_DISK_GIB: u32 = 50;

/// Whether the image fits on the system disk.
pub(super) fn disk(draft: &mut Draft<'_>, launcher: &Launcher<'_>, disk: &SystemDisk, at: &ImageAt) -> bool {
    let size = disk.size_gib.unwrap_or(DEFAULT_DISK_GIB);
    if size >= at.size_gib {
        return true;
    }
    draft.faults.push(
        Diagnostic::error(
            codes::DISK_TOO_SMALL,
            format!("image.{} needs a system disk of {} GiB, and this one has {size}", launcher.image, at.size_gib),
        )
        .at(launcher.path().key("system_disk").key("size"))
        .help(format!("set `system_disk: {{ size: {} }}`, or more", at.size_gib)),
    );
    false
}

/// Whether the image runs on the type. Where the image is there, the cloud was asked; else it goes by what it will be made
/// of.
pub(super) fn image(draft: &mut Draft<'_>, launcher: &Launcher<'_>) {
    let Launcher { block: _, image, region, instance_type } = launcher;
    let Some(at) = draft.images.get(&((*image).clone(), (*region).clone())).cloned() else { return };
    let observed = draft.input.observed;
    let told = at.id.known().and_then(|id| {
        observed.image(region, id).and_then(|seen| seen.present().copied())?;
        observed.by_region.get(*region)?.fits.get(&(id.clone(), (*instance_type).clone())).copied()
    });
    let kinds = at.nature.architecture.as_deref().zip(processors(instance_type));
    let known = at.id.known().map_or(String::new(), |id| format!(" ({id})"));
    let why = match (told, kinds) {
        (Some(true), _) => return,
        (Some(false), _) => {
            let made_for = at.nature.architecture.as_deref().unwrap_or("other processors");
            format!("the image is for {made_for}, and the cloud does not list it among those that fit the type")
        }
        (None, Some((made_for, has))) if !runs_on(made_for, has) => {
            format!("the image is for {made_for}, and the type has {has} processors")
        }
        (None, kinds) => {
            let imported = draft.input.desired.images.get(*image).and_then(Image::managed);
            let imported = imported.is_some_and(|image| matches!(image.source, Source::Import(_)));
            if at.id.known().is_none() && (imported || kinds.is_none()) {
                draft.assumptions.insert(format!("image.{image} runs on {instance_type}"));
            }
            return;
        }
    };
    draft.faults.push(
        Diagnostic::error(codes::IMAGE_MISFIT, format!("image.{image}{known} does not run on {instance_type}"))
            .at(launcher.path().key("type"))
            .why(why)
            .help("choose a type for such processors, or another image"),
    );
}

/// Windows takes no key pairs (API text 3.8).
pub(super) fn login(draft: &mut Draft<'_>, launcher: &Launcher<'_>, login: &Login) {
    let Some(at) = draft.images.get(&(launcher.image.clone(), launcher.region.clone())) else { return };
    if !matches!(login, Login::Keys(_)) || at.nature.is_windows() != Some(true) {
        return;
    }
    let custom = matches!(
        draft.input.desired.images.get(launcher.image),
        Some(Image::Managed(_) | Image::Shared { .. } | Image::Promoted { .. })
    );
    let keep = if custom { ", or keep the image's login: `login: { keep_image_login: true }`" } else { "" };
    draft.faults.push(
        Diagnostic::error(
            codes::KEYS_NOT_TAKEN,
            format!("image.{} is Windows, which takes no key pairs", launcher.image),
        )
        .at(launcher.path().key("login").key("key_ids"))
        .why("the cloud refuses to launch or reset instances of Windows with keys")
        .help(format!("take `login` out: the cloud makes up a password, and sends it to the account's owner{keep}")),
    );
}

/// The hosts of Windows have shorter names than others. `places`: where the instances are, and their numbers there.
pub(super) fn hostnames<'z>(
    draft: &mut Draft<'_>,
    name: &Name,
    fleet: &Fleet,
    places: impl IntoIterator<Item = (&'z Zone, u32)>,
) {
    let (Some(pattern), Some(at)) = (&fleet.hostname, draft.images.get(&(fleet.image.clone(), fleet.region.clone())))
    else {
        return;
    };
    let windows = at.nature.is_windows();
    if windows == Some(false) {
        return;
    }
    let names = places.into_iter().map(|(zone, ordinal)| pattern.of(zone, ordinal));
    let Some((host, why)) = names.into_iter().find_map(|host| windows_fault(&host).map(|why| (host, why))) else {
        return;
    };
    if windows.is_none() {
        draft.assumptions.insert(format!("image.{} is not Windows, whose hosts have shorter names", fleet.image));
        return;
    }
    draft.faults.push(
        Diagnostic::error(codes::INVALID_HOSTNAME, format!("`{host}` cannot be the name of a host with Windows"))
            .at(Desired::path(Kind::Fleet, name).key("hostname"))
            .why(format!("{why}, and image.{} is Windows", fleet.image))
            .help(format!(
                "write {SHORTEST_HOST} to {LONGEST_WINDOWS_HOST} letters, digits and `-`, not digits only, and no `.`"
            )),
    );
}

/// Why a name that hosts can have cannot be that of one with Windows (API text 5.1).
fn windows_fault(name: &str) -> Option<String> {
    if name.len() > LONGEST_WINDOWS_HOST {
        return Some(format!("it has {} characters", name.len()));
    }
    if name.contains('.') {
        return Some("there is `.` in it".to_owned());
    }
    name.bytes().all(|byte| byte.is_ascii_digit()).then(|| "it has digits only".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_run_on_the_processors_that_they_are_made_for() {
        assert!(runs_on("x86_64", "x86_64") && runs_on("i386", "x86_64") && runs_on("arm", "arm"));
        assert!(!runs_on("arm", "x86_64") && !runs_on("x86_64", "arm") && !runs_on("i386", "arm"));
        assert_eq!(processors(&InstanceType::new("SR1.MEDIUM4")), Some("arm"));
        assert_eq!(processors(&InstanceType::new("Z9.HUGE1")), None);
    }

    #[test]
    fn windows_hosts_have_names_by_rules_of_their_own() {
        for name in ["web-3-1", "a1", "1a", &"a".repeat(15)] {
            assert_eq!(windows_fault(name), None, "{name}");
        }
        for name in ["web.local", "12", "123456789012345", &"a".repeat(16)] {
            assert!(windows_fault(name).is_some(), "{name}");
        }
    }
}
