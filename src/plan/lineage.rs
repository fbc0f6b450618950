//! What images inherit from what they are made of, as far as the state tells.

use crate::model::recorded::Recorded;
use crate::model::spec::{ImageUse, Inputs, License};

/// What is known of an image that instances run from. `None`: the state no longer knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Lineage {
    /// Whether its disk is encrypted.
    pub(super) encrypted: Option<bool>,
    /// Whether it runs under its owner's own licence.
    pub(super) own_licence: Option<bool>,
}

/// What the state tells of an image. What others share or sell is neither encrypted nor under a licence of ours: the cloud
/// shares no such image (API text 4.8).
pub(super) fn of(recorded: &Recorded, image: &ImageUse) -> Lineage {
    let mut encrypted = None;
    let mut at = image;
    // Versions that come from each other in a circle are no more than there are versions.
    for _ in 0..=recorded.versions.len() {
        let (name, of, number) = match at {
            ImageUse::Found { .. } => {
                return Lineage { encrypted: encrypted.or(Some(false)), own_licence: Some(false) };
            }
            // The state of another environment knows; ours does not.
            ImageUse::Promoted { .. } => break,
            ImageUse::Made { image, version, generation } => (image, version, *generation),
        };
        let record = recorded
            .versions
            .iter()
            .find(|record| record.block.name == *name && record.version == *of && record.generation == number);
        let Some(record) = record else { break };
        let Inputs { instance: _, base, user_data: _, system_disk: _, data_disks: _, import, encryption } =
            &record.inputs;
        // Only a copy is encrypted, and nothing is made of an encrypted image.
        encrypted = encrypted.or(Some(encryption.is_some()));
        if let Some(import) = import {
            return Lineage { encrypted, own_licence: Some(import.license == Some(License::Byol)) };
        }
        let Some(base) = base else { break };
        at = base;
    }
    Lineage { encrypted, own_licence: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::addr::Block;
    use crate::model::digest::Digest;
    use crate::model::ids::{ImageId, Name, Version};
    use crate::model::recorded::VersionRecord;
    use crate::model::spec::{Architecture, Encryption, ImportSource, SystemDisk};

    fn made(name: &str) -> ImageUse {
        ImageUse::Made { image: Name::new(name), version: Version::new("1"), generation: 1 }
    }

    fn inputs(base: Option<ImageUse>) -> Inputs {
        Inputs {
            instance: None,
            base,
            user_data: None,
            system_disk: SystemDisk::default(),
            data_disks: Vec::new(),
            import: None,
            encryption: None,
        }
    }

    fn import(license: License) -> Inputs {
        let source = ImportSource {
            url: "https://bucket-1250000000.cos.ap-guangzhou.myqcloud.com/x.qcow2".into(),
            os: "CentOS".into(),
            os_version: "7".into(),
            architecture: Architecture::X86_64,
            boot_mode: None,
            force: false,
            license: Some(license),
        };
        Inputs { import: Some(source), ..inputs(None) }
    }

    fn state(versions: &[(&str, Inputs)]) -> Recorded {
        let mut recorded = Recorded::empty(crate::model::ids::Lineage::new("x"));
        recorded.versions = versions
            .iter()
            .map(|(name, inputs)| VersionRecord {
                block: Block::image(&Name::new(*name)),
                version: Version::new("1"),
                generation: 1,
                inputs: inputs.clone(),
                inputs_digest: Digest::of_value("a test", inputs),
                made_ms: 0,
            })
            .collect();
        recorded
    }

    #[test]
    fn a_licence_is_inherited_and_encryption_is_not() {
        let encrypted = Inputs { encryption: Some(Encryption { kms_key: None }), ..inputs(Some(made("file"))) };
        let recorded = state(&[
            ("file", import(License::Byol)),
            ("plain", import(License::TencentCloud)),
            ("captured", inputs(Some(made("file")))),
            ("copy", encrypted),
            ("public", inputs(Some(ImageUse::Found { id: ImageId::new("img-1") }))),
            ("by-hand", inputs(None)),
            ("round", inputs(Some(made("round")))),
        ]);
        let told = |name: &str| {
            let Lineage { encrypted, own_licence } = of(&recorded, &made(name));
            (encrypted, own_licence)
        };
        assert_eq!(told("file"), (Some(false), Some(true)));
        assert_eq!(told("plain"), (Some(false), Some(false)));
        assert_eq!(told("captured"), (Some(false), Some(true)));
        assert_eq!(told("copy"), (Some(true), Some(true)));
        assert_eq!(told("public"), (Some(false), Some(false)));
        assert_eq!(told("by-hand"), (Some(false), None));
        assert_eq!(told("round"), (Some(false), None));
        assert_eq!(told("gone"), (None, None));
        assert_eq!(of(&recorded, &ImageUse::Found { id: ImageId::new("img-1") }).encrypted, Some(false));
    }
}
