//! Limits of the cloud, as data: a profile's figures, then what the config says, then what the cloud reports.

use serde::{Deserialize, Serialize};

/// What the planner may rely on where the cloud reports nothing, and what the embedded cloud enforces.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Limits {
    /// Custom images of an account in a region. `DescribeImageQuota` and `DescribeAccountQuota` are the authority.
    pub images_per_region: u32,
    /// Accounts that one image may be shared with. No action reports it.
    pub accounts_per_image: u32,
    /// Pay-as-you-go instances of an account in a zone. `DescribeAccountQuota` is the authority.
    pub instances_per_zone: u32,
    /// Prepaid instances that an account may buy in a zone in a calendar month. `DescribeAccountQuota` is the authority.
    pub prepaid_per_zone_and_month: u32,
    /// Cores of an account's spot instances in a zone. `DescribeAccountQuota` is the authority.
    pub spot_cores_per_zone: u32,
}

impl Limits {
    /// The embedded cloud: the figures of the product page, where quotas bite. Those of prepaid and of spot instances
    /// are assumed, here and below: no text has them.
    pub const EMBEDDED: Self = Self {
        images_per_region: 10,
        accounts_per_image: 50,
        instances_per_zone: 1000,
        prepaid_per_zone_and_month: 150,
        spot_cores_per_zone: 100,
    };
    /// The real cloud: the figures of the current API texts.
    pub const TENCENT: Self = Self {
        images_per_region: 500,
        accounts_per_image: 500,
        instances_per_zone: 500,
        prepaid_per_zone_and_month: 150,
        spot_cores_per_zone: 100,
    };

    /// These limits with what the config says in their place.
    #[must_use]
    pub fn with(self, config: LimitOverrides) -> Self {
        let LimitOverrides { images_per_region, accounts_per_image, instances_per_zone } = config;
        Self {
            images_per_region: images_per_region.unwrap_or(self.images_per_region),
            accounts_per_image: accounts_per_image.unwrap_or(self.accounts_per_image),
            instances_per_zone: instances_per_zone.unwrap_or(self.instances_per_zone),
            prepaid_per_zone_and_month: self.prepaid_per_zone_and_month,
            spot_cores_per_zone: self.spot_cores_per_zone,
        }
    }
}

/// `cloud.limits` of the config.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct LimitOverrides {
    /// In place of [`Limits::images_per_region`].
    pub images_per_region: Option<u32>,
    /// In place of [`Limits::accounts_per_image`].
    pub accounts_per_image: Option<u32>,
    /// In place of [`Limits::instances_per_zone`].
    pub instances_per_zone: Option<u32>,
}

/// How much of a quota is used, as the cloud tells it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Quota {
    /// In use now.
    pub used: u32,
    /// The most that may be.
    pub total: u32,
}

/// How long the cloud takes for things, in milliseconds: what polls are spaced by and deadlines come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Pace {
    /// From `RunInstances` to RUNNING.
    pub launch_ms: i64,
    /// From `TerminateInstances` until the instance is gone.
    pub terminate_ms: i64,
    /// Stopping or starting.
    pub power_ms: i64,
    /// `ResetInstance`.
    pub reset_ms: i64,
    /// `ResetInstancesType`.
    pub resize_ms: i64,
    /// From `CreateImage` to NORMAL.
    pub capture_ms: i64,
    /// From `SyncImages` until copy and source are NORMAL.
    pub copy_ms: i64,
    /// From `ImportImage` to NORMAL.
    pub import_ms: i64,
    /// From `DeleteImages` until the image is gone.
    pub delete_ms: i64,
    /// A change of attributes.
    pub modify_ms: i64,
}

impl Pace {
    /// Everything is done when it is accepted.
    pub const INSTANT: Self = Self {
        launch_ms: 0,
        terminate_ms: 0,
        power_ms: 0,
        reset_ms: 0,
        resize_ms: 0,
        capture_ms: 0,
        copy_ms: 0,
        import_ms: 0,
        delete_ms: 0,
        modify_ms: 0,
    };
    /// Short enough to wait for, long enough to be seen.
    pub const QUICK: Self = Self {
        launch_ms: 1500,
        terminate_ms: 800,
        power_ms: 800,
        reset_ms: 2000,
        resize_ms: 1000,
        capture_ms: 2500,
        copy_ms: 2000,
        import_ms: 3000,
        delete_ms: 300,
        modify_ms: 0,
    };
    /// As the vendor's documents and users report it: ten minutes and more for an image or a reset.
    pub const REALISTIC: Self = Self {
        launch_ms: 25_000,
        terminate_ms: 20_000,
        power_ms: 20_000,
        reset_ms: 600_000,
        resize_ms: 60_000,
        capture_ms: 600_000,
        copy_ms: 900_000,
        import_ms: 900_000,
        delete_ms: 10_000,
        modify_ms: 2_000,
    };

    /// How long an operation on an instance takes, by the name that `LatestOperation` gives it; `None` where that is no
    /// operation that is waited for here.
    #[must_use]
    pub fn operation_ms(&self, name: &str) -> Option<i64> {
        Some(match name {
            "RunInstances" => self.launch_ms,
            "TerminateInstances" => self.terminate_ms,
            "StartInstances" | "StopInstances" | "RebootInstances" => self.power_ms,
            "ResetInstance" => self.reset_ms,
            "ResetInstancesType" => self.resize_ms,
            "CreateImage" => self.capture_ms,
            "ModifyInstancesAttribute" => self.modify_ms,
            _ => return None,
        })
    }
}
