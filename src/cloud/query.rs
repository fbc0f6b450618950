//! Calls that only read.

use serde::{Deserialize, Serialize};

use super::call::{Body, Launch};
use crate::model::ids::{ImageId, InstanceId, InstanceType, Zone};

/// A read.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Query {
    /// All regions.
    Regions,
    /// The zones of the region.
    Zones,
    /// All instance types of the region.
    Types,
    /// How many custom images the account may hold in the region (DescribeImageQuota).
    ImageQuota,
    /// How much of each quota is used (DescribeAccountQuota).
    AccountQuota,
    /// Images by id, at most 100.
    ImagesById {
        /// The ids.
        ids: Vec<ImageId>,
    },
    /// Those of some images, at most 100, that fit an instance type.
    ImagesFitting {
        /// The ids.
        ids: Vec<ImageId>,
        /// The type.
        instance_type: InstanceType,
    },
    /// One page of the account's custom images.
    CustomImages {
        /// How many to pass over.
        offset: u32,
    },
    /// One page of the custom images whose names contain one of at most five texts. The filter is fuzzy.
    CustomImagesNamed {
        /// What to look for.
        names: Vec<String>,
        /// How many to pass over.
        offset: u32,
    },
    /// One page of the public images whose names contain a text. The filter is fuzzy.
    PublicImages {
        /// What to look for.
        name: String,
        /// Only images that fit this type.
        instance_type: Option<InstanceType>,
        /// How many to pass over.
        offset: u32,
    },
    /// The accounts that an image is shared with.
    Shares {
        /// The image.
        image: ImageId,
    },
    /// Instances by id, at most 100.
    InstancesById {
        /// The ids.
        ids: Vec<InstanceId>,
    },
    /// One page of all instances of the account in the region.
    Instances {
        /// How many to pass over.
        offset: u32,
    },
    /// One page of the instances that carry a tag.
    InstancesTagged {
        /// The tag's key.
        key: String,
        /// Its value.
        value: String,
        /// How many to pass over.
        offset: u32,
    },
    /// States of instances by id, at most 100 (DescribeInstancesStatus).
    InstanceStates {
        /// The ids.
        ids: Vec<InstanceId>,
    },
    /// Which systems can be imported (DescribeImportImageOs).
    ImportOs,
    /// What a launch would cost (InquiryPriceRunInstances): of one instance, with one name and no token.
    Price(Box<Launch>),
    /// What of these types is sold in these zones, at most 100 of each (DescribeZoneInstanceConfigInfos).
    Stock {
        /// The zones.
        zones: Vec<Zone>,
        /// The types.
        types: Vec<InstanceType>,
    },
    /// Whether the cloud would take a call: it is checked, and nothing is done (API text 1.10).
    DryRun(Box<Body>),
    /// User data of instances, at most 100 (DescribeInstancesAttributes).
    UserData {
        /// The ids.
        ids: Vec<InstanceId>,
    },
}

impl Query {
    /// The name of the action.
    #[must_use]
    pub fn action(&self) -> &'static str {
        match self {
            Self::Regions => "DescribeRegions",
            Self::Zones => "DescribeZones",
            Self::Types => "DescribeInstanceTypeConfigs",
            Self::ImageQuota => "DescribeImageQuota",
            Self::AccountQuota => "DescribeAccountQuota",
            Self::ImagesById { .. }
            | Self::ImagesFitting { .. }
            | Self::CustomImages { .. }
            | Self::CustomImagesNamed { .. }
            | Self::PublicImages { .. } => "DescribeImages",
            Self::Shares { .. } => "DescribeImageSharePermission",
            Self::InstancesById { .. } | Self::Instances { .. } | Self::InstancesTagged { .. } => "DescribeInstances",
            Self::InstanceStates { .. } => "DescribeInstancesStatus",
            Self::ImportOs => "DescribeImportImageOs",
            Self::Price(_) => "InquiryPriceRunInstances",
            Self::Stock { .. } => "DescribeZoneInstanceConfigInfos",
            Self::DryRun(body) => body.action(),
            Self::UserData { .. } => "DescribeInstancesAttributes",
        }
    }
}
