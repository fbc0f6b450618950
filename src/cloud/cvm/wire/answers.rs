//! What is answered, by action (API text 4, 5 and 7). A failed answer holds `Error` and `RequestId` alone.
#![expect(missing_docs, reason = "fields bear the API's own names, and the API text describes each")]

use serde::{Deserialize, Serialize};

use super::shapes::{
    AccountQuotaOverview, CloudDisk, DiskSnapshot, FailedResource, Image, ImageOsList, Instance, InstanceAttributes,
    InstanceStatus, InstanceTypeConfig, InstanceTypeQuotaItem, IpAddressState, OsVersion, Price, RegionInfo,
    ResourceTag, SharePermission, SyncImage, ZoneInfo,
};
use super::{Answer, ErrorBody};

macro_rules! answers {
    ($($(#[$doc:meta])* $name:ident { $($(#[$attr:meta])* $field:ident: $type:ty),* $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
        #[serde(default, rename_all = "PascalCase")]
        pub struct $name {
            #[serde(skip_serializing_if = "Option::is_none")]
            pub error: Option<ErrorBody>,
            $($(#[$attr])* pub $field: $type,)*
            pub request_id: String,
        }

        impl Answer for $name {
            fn error(&self) -> Option<&ErrorBody> {
                self.error.as_ref()
            }

            fn request_id(&self) -> &str {
                &self.request_id
            }

            fn set_request_id(&mut self, id: String) {
                self.request_id = id;
            }
        }
    )*};
}

answers! {
    /// Of every action that answers a request id alone.
    Accepted {}
    /// 4.1
    DescribeRegionsAnswer { total_count: i64, region_set: Vec<RegionInfo> }
    /// 4.2
    DescribeZonesAnswer { total_count: i64, zone_set: Vec<ZoneInfo> }
    /// 4.3
    DescribeImagesAnswer { total_count: i64, image_set: Vec<Image> }
    /// 4.4
    DescribeImageQuotaAnswer { image_num_quota: i64 }
    /// DescribeAccountQuota
    DescribeAccountQuotaAnswer { app_id: i64, account_quota_overview: AccountQuotaOverview }
    /// 4.5
    DescribeImageSharePermissionAnswer { share_permission_set: Vec<SharePermission> }
    /// 4.6; a successful dry run answers no id.
    CreateImageAnswer { image_id: Option<String> }
    /// 4.9; empty unless ImageSetRequired.
    SyncImagesAnswer { image_set: Option<Vec<SyncImage>> }
    /// 4.10; not every site answers an id.
    ImportImageAnswer {
        #[serde(skip_serializing_if = "Option::is_none")]
        image_id: Option<String>,
    }
    /// 4.11; a successful dry run answers neither.
    ExportImagesAnswer {
        #[serde(skip_serializing_if = "Option::is_none")]
        task_id: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cos_paths: Option<Vec<String>>,
    }
    /// 4.12
    DescribeImportImageOsAnswer { import_image_os_list_supported: ImageOsList, import_image_os_version_set: Vec<OsVersion> }
    /// 4.14; `null`: no image of the family can be used.
    DescribeImageFromFamilyAnswer { image: Option<Image> }
    /// 6.1 and 6.2
    InquiryPriceRunInstancesAnswer { price: Price }
    /// 5.1; a successful dry run answers no ids.
    RunInstancesAnswer {
        #[serde(skip_serializing_if = "Vec::is_empty")]
        instance_id_set: Vec<String>,
    }
    /// 5.2
    DescribeInstancesAnswer { total_count: i64, instance_set: Vec<Instance> }
    /// 5.3
    DescribeInstancesStatusAnswer { total_count: i64, instance_status_set: Vec<InstanceStatus> }
    /// DescribeInstancesAttributes
    DescribeInstancesAttributesAnswer { instance_set: Vec<InstanceAttributes> }
    /// 5.11
    DescribeInstanceTypeConfigsAnswer { instance_type_config_set: Vec<InstanceTypeConfig> }
    /// 5.12
    DescribeZoneInstanceConfigInfosAnswer { instance_type_quota_set: Vec<InstanceTypeQuotaItem> }
    /// 7.1 and 7.2; names what failed, and is empty on full success.
    TagResourcesAnswer { failed_resources: Option<Vec<FailedResource>> }
    /// DescribeResourceTagsByResourceIds
    DescribeResourceTagsByResourceIdsAnswer { total_count: i64, offset: i64, limit: i64, tags: Vec<ResourceTag> }
    /// DescribeDisks
    DescribeDisksAnswer { total_count: i64, disk_set: Vec<CloudDisk> }
    /// DescribeSnapshots
    DescribeSnapshotsAnswer { total_count: i64, snapshot_set: Vec<DiskSnapshot> }
    /// DescribeUsedIpAddress; an address that is not listed is free.
    DescribeUsedIpAddressAnswer { ip_address_states: Vec<IpAddressState>, total_count: i64 }
}
