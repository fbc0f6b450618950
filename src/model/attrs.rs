//! The attributes of a fleet and of a managed image, by the names that they have in the config.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! attrs {
    ($(#[$doc:meta])* $name:ident { $($variant:ident $word:literal)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
        #[expect(missing_docs, reason = "each is the key of the config that its word says")]
        pub enum $name {
            $(#[serde(rename = $word)] $variant,)*
        }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The key in the config.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }

            /// The attribute of this key.
            #[must_use]
            pub fn of(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|attr| attr.word() == word)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.word())
            }
        }
    };
}

attrs! {
    /// An attribute of a fleet.
    FleetAttr {
        Image "image"
        Count "count"
        Region "region"
        Zones "zones"
        Type "type"
        SystemDiskType "system_disk.type"
        SystemDiskSize "system_disk.size"
        DataDisks "data_disks"
        Subnet "network"
        SecurityGroups "network.security_groups"
        Internet "internet"
        Login "login"
        UserData "user_data"
        Hostname "hostname"
        ChargeType "charge_type"
        PrepaidMonths "prepaid.months"
        PrepaidRenew "prepaid.renew"
        SpotMaxPrice "spot.max_price"
        PlacementGroup "placement_group"
        CamRole "cam_role"
        State "state"
        Protect "protect"
        Tags "tags"
        Name "name"
    }
}

attrs! {
    /// An attribute of a managed image.
    ImageAttr {
        Source "source"
        Version "version"
        Name "name"
        Regions "regions"
        Description "description"
        Family "family"
        Deprecated "deprecated"
        Keep "keep"
        Protect "protect"
        Tags "tags"
    }
}
