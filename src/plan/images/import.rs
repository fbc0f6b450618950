//! What can be known of an import before it is tried, and what is to be done where one failed.

use std::collections::BTreeSet;

use crate::diagnostic::{Diagnostic, codes, nearest};
use crate::model::addr::Kind;
use crate::model::desired::Desired;
use crate::model::ids::{Name, Region};
use crate::model::observed::{ImportOs, ImportVersions};
use crate::model::spec::{Architecture, BootMode, ImportSource, License};
use crate::plan::draft::Draft;

/// Why an import fails, in the words of the site message that the cloud sends, and what helps (API text 4.10, 8.7).
pub(super) const REASONS: [(&str, &str); 7] = [
    ("InvalidUrl", "make the file readable for the image service; a signed link can be read once only"),
    ("InvalidFormatSize", "RAW, VHD, QCOW2 or VMDK, and small enough: 50 GB as QCOW2 and 500 GB unfolded, as of 2022"),
    ("VirtioNotInstall", "install the Virtio drivers in the image"),
    ("PartitionNotPresent", "write a partition table into the image, an MBR one unless it boots by UEFI"),
    ("CloudInitNotInstalled", "install cloud-init in the image, or set `force: true` and let it configure itself"),
    ("RootPartitionNotFound", "put the root file system on a partition of the image itself"),
    ("InternalError", "try again, and ask the vendor where that does not help"),
];

/// Checks a file's system against what the cloud says it can import. `None`: refused.
pub(super) fn check(draft: &mut Draft<'_>, name: &Name, home: &Region, source: &ImportSource) -> Option<()> {
    let ImportSource { url: _, os, os_version, architecture, boot_mode, force: _, license } = source;
    let path = Desired::path(Kind::Image, name).key("import");
    if let Some(known) = draft.input.observed.by_region.get(home).and_then(|seen| seen.import_os.as_ref()) {
        let offered = |texts: &BTreeSet<String>| texts.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        let told = match wrong(known, os, os_version, *architecture) {
            Ok(told) => told,
            Err(Wrong::System(all)) => {
                let fault = Diagnostic::error(codes::UNKNOWN_SYSTEM, format!("{home} imports no system {os:?}"));
                draft.faults.push(meant(fault, os, &all).at(path.key("os")));
                return None;
            }
            Err(Wrong::Version(all)) => {
                let what = format!("{home} imports no {os} {os_version:?}");
                let fault = Diagnostic::error(codes::UNKNOWN_SYSTEM, what).why(format!("it imports {}", offered(&all)));
                draft.faults.push(meant(fault, os_version, &all).at(path.key("os_version")));
                return None;
            }
            Err(Wrong::Architecture(all)) => {
                let what = format!("{home} does not import {os} for {}", architecture.word());
                let fault = Diagnostic::error(codes::UNKNOWN_SYSTEM, what).why(format!("only for {}", offered(&all)));
                draft.faults.push(fault.at(path.key("architecture")).help("import a file for one of those"));
                return None;
            }
        };
        if !told {
            draft
                .assumptions
                .insert(format!("{os} {os_version} can be imported: of its versions the cloud says nothing"));
        }
    }
    if *architecture == Architecture::Arm64 && *boot_mode != Some(BootMode::Uefi) {
        draft.assumptions.insert(format!("image.{name} boots by Legacy BIOS on arm_64"));
    }
    if *license == Some(License::Byol) {
        draft.assumptions.insert(format!("licences of one's own are open to this account, for image.{name}"));
    }
    draft.assumptions.insert(format!(
        "the file of image.{name} has what an image takes: the cloud looks at it only while it is imported"
    ));
    Some(())
}

/// What the cloud does not import, with what it does.
enum Wrong {
    System(BTreeSet<String>),
    Version(BTreeSet<String>),
    Architecture(BTreeSet<String>),
}

/// Whether the cloud says that it imports this; `Ok(false)`: it does not say which versions.
fn wrong(known: &ImportOs, os: &str, version: &str, architecture: Architecture) -> Result<bool, Wrong> {
    let ImportOs { systems, versions } = known;
    // Some systems stand among the versions only; but what stands there for several editions is none of them.
    let edition = |name: &String| name.strip_prefix(os).is_some_and(|rest| rest.starts_with(' '));
    if !systems.contains(os) && (!versions.contains_key(os) || systems.iter().any(edition)) {
        return Err(Wrong::System(systems.clone()));
    }
    let family = || os.split_once(' ').map_or(os, |(family, _)| family);
    let Some(ImportVersions { versions, architectures }) = versions.get(os).or_else(|| versions.get(family())) else {
        return Ok(false);
    };
    if !versions.is_empty() && !versions.contains(version) {
        return Err(Wrong::Version(versions.clone()));
    }
    let fits = [architecture.word(), architecture.seen_as()].iter().any(|word| architectures.contains(*word));
    if !architectures.is_empty() && !fits {
        return Err(Wrong::Architecture(architectures.clone()));
    }
    Ok(!versions.is_empty())
}

fn meant(fault: Diagnostic, text: &str, all: &BTreeSet<String>) -> Diagnostic {
    let all = || all.iter().map(String::as_str);
    match nearest(text, all()) {
        Some(near) => fault.help(format!("did you mean {near:?}?")),
        None => fault.help(format!("it can be {}", all().collect::<Vec<_>>().join(", "))),
    }
}

/// Says why an import may have failed: the cloud tells it to people only.
pub(super) fn failed(draft: &mut Draft<'_>, name: &Name, region: &Region) {
    let mut note = Diagnostic::note(codes::IMPORT_FAILED, format!("the import of image.{name} in {region} failed"))
        .at(Desired::path(Kind::Image, name).key("import"))
        .why("the cloud tells the reason by a message in its console, and not to programs; it is one of these:");
    for (word, helps) in REASONS {
        note = note.why(format!("{word}: {helps}"));
    }
    draft.notes.push(note.help("put the file right first: the plan removes the failed image, and imports it again"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told() -> ImportOs {
        let texts = |all: &[&str]| all.iter().map(|text| (*text).to_owned()).collect::<BTreeSet<_>>();
        let windows = ImportVersions { versions: texts(&["9"]), architectures: texts(&["x86_64"]) };
        let versions = ImportVersions { versions: texts(&["6", "7"]), architectures: texts(&["x86_64", "arm"]) };
        ImportOs {
            systems: texts(&["CentOS", "Other Linux", "Windows Server 2016"]),
            versions: [("CentOS", versions), ("Windows", windows)].map(|(name, all)| (name.to_owned(), all)).into(),
        }
    }

    #[test]
    fn a_system_is_compared_with_what_the_cloud_tells() {
        let check = |os: &str, version: &str, architecture| wrong(&told(), os, version, architecture);
        assert!(matches!(check("CentOS", "7", Architecture::X86_64), Ok(true)));
        assert!(matches!(check("CentOS", "7", Architecture::Arm64), Ok(true)), "the cloud has two words for it");
        assert!(
            matches!(check("Other Linux", "8", Architecture::X86_64), Ok(false)),
            "nothing is told of its versions"
        );
        assert!(matches!(check("Windows Server 2016", "9", Architecture::X86_64), Ok(true)));
        assert!(matches!(check("Windows Server 2016", "10", Architecture::X86_64), Err(Wrong::Version(_))));
        assert!(matches!(check("Windows", "9", Architecture::X86_64), Err(Wrong::System(_))), "no edition of it");
        assert!(matches!(check("centos", "7", Architecture::X86_64), Err(Wrong::System(_))));
        assert!(matches!(check("CentOS", "8", Architecture::X86_64), Err(Wrong::Version(_))));
        assert!(matches!(check("CentOS", "7", Architecture::I386), Err(Wrong::Architecture(_))));
    }
}
