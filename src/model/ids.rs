//! Identifiers, each a type of its own, so that a zone cannot be passed for a region.
//!
//! Their text is a [`Label`]: what is short, as nearly all of them are, takes no memory of its own.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::label::Label;

macro_rules! text_ids {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Label);

        impl $name {
            /// Wraps the text as it is; whoever reads input checks its shape.
            pub fn new(text: impl Into<Label>) -> Self {
                Self(text.into())
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.0.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.0.as_str())
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self::new(text)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                self.0.as_str()
            }
        }
    )*};
}

text_ids! {
    /// A region of the cloud, such as `ap-guangzhou`.
    Region
    /// An availability zone, such as `ap-guangzhou-3`.
    Zone
    /// The id of an image, `img-…`.
    ImageId
    /// The id of an instance, `ins-…`.
    InstanceId
    /// The id of a snapshot, `snap-…`.
    SnapshotId
    /// The id of a disk, `disk-…`.
    DiskId
    /// The id of a virtual private cloud, `vpc-…`.
    VpcId
    /// The id of a subnet, `subnet-…`.
    SubnetId
    /// The id of a security group, `sg-…`.
    SecurityGroupId
    /// The id of a key pair, `skey-…`.
    KeyId
    /// The id of a placement group (DisasterRecoverGroup), `ps-…`.
    PlacementGroupId
    /// The id of a key of the key management service: a UUID, or `kms-…`.
    KmsKeyId
    /// A main account, as decimal text, such as `100000000001`.
    Uin
    /// An instance type, such as `S5.MEDIUM4`.
    InstanceType
    /// A disk type, such as `CLOUD_PREMIUM`.
    DiskType
    /// What the cloud calls one request.
    RequestId
    /// The name of a project, an environment or a block: `[a-z][a-z0-9_-]*`, at most 40 characters.
    Name
    /// The version of a managed image: written in the config, or derived from the inputs.
    Version
    /// What a state calls itself from its first plan on; the secrets' digests are keyed by it.
    Lineage
}

impl Name {
    /// The most characters of a name.
    pub const MAX_CHARS: usize = 40;

    /// Whether `text` may be a name.
    #[must_use]
    pub fn is_valid(text: &str) -> bool {
        text.len() <= Self::MAX_CHARS
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-')
    }
}

impl Version {
    /// The most characters of an explicit version.
    pub const MAX_CHARS: usize = 40;

    /// Whether `text` may be an explicit version: letters, digits, `.`, `_` and `-`, so that it fits an image's name
    /// and an address.
    #[must_use]
    pub fn is_valid(text: &str) -> bool {
        !text.is_empty()
            && text.len() <= Self::MAX_CHARS
            && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
    }
}

impl Zone {
    /// What follows the last `-`: the zone's number within its region.
    #[must_use]
    pub fn tail(&self) -> &str {
        self.as_str().rsplit('-').next().unwrap_or(self.as_str())
    }

    /// The region that a zone's name says it is in: all before the last `-`.
    #[must_use]
    pub fn region(&self) -> Option<Region> {
        self.as_str().rsplit_once('-').map(|(region, _)| Region::new(region))
    }
}

/// An id that the cloud gave out, of whatever kind.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CloudId {
    /// An image.
    Image(ImageId),
    /// An instance.
    Instance(InstanceId),
}

impl CloudId {
    /// The text of the id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Image(id) => id.as_str(),
            Self::Instance(id) => id.as_str(),
        }
    }

    /// The image's id, where it is one.
    #[must_use]
    pub fn image(&self) -> Option<&ImageId> {
        match self {
            Self::Image(id) => Some(id),
            Self::Instance(_) => None,
        }
    }

    /// The instance's id, where it is one.
    #[must_use]
    pub fn instance(&self) -> Option<&InstanceId> {
        match self {
            Self::Instance(id) => Some(id),
            Self::Image(_) => None,
        }
    }
}

impl fmt::Display for CloudId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
