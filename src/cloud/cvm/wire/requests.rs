//! The parameters of each action (API text 4, 5 and 7).
#![expect(missing_docs, reason = "fields bear the API's own names, and the API text describes each")]

use serde::{Deserialize, Serialize};

use super::answers::{
    Accepted, CreateImageAnswer, DescribeAccountQuotaAnswer, DescribeDisksAnswer, DescribeImageFromFamilyAnswer,
    DescribeImageQuotaAnswer, DescribeImageSharePermissionAnswer, DescribeImagesAnswer, DescribeImportImageOsAnswer,
    DescribeInstanceTypeConfigsAnswer, DescribeInstancesAnswer, DescribeInstancesAttributesAnswer,
    DescribeInstancesStatusAnswer, DescribeRegionsAnswer, DescribeResourceTagsByResourceIdsAnswer,
    DescribeSnapshotsAnswer, DescribeUsedIpAddressAnswer, DescribeZoneInstanceConfigInfosAnswer, DescribeZonesAnswer,
    ExportImagesAnswer, ImportImageAnswer, InquiryPriceRunInstancesAnswer, RunInstancesAnswer, SyncImagesAnswer,
    TagResourcesAnswer,
};
use super::shapes::{
    ActionTimer, CpuTopology, DataDisk, EnhancedService, Filter, ImportImageDataDisk, InstanceChargePrepaid,
    InstanceMarketOptions, InternetAccessible, LaunchTemplate, LoginSettings, Metadata, NetworkInterface, Placement,
    ServiceTag, SystemDisk, TagKeyObject, TagSpecification, VirtualPrivateCloud,
};
use super::{CBS, CVM, Request, TAG, VPC};

macro_rules! requests {
    ($api:expr; $($(#[$doc:meta])* $name:ident -> $answer:ty { $($(#[$attr:meta])* $field:ident: $type:ty),* $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
        #[serde(default, rename_all = "PascalCase")]
        pub struct $name {
            $($(#[$attr])* #[serde(skip_serializing_if = "Option::is_none")] pub $field: Option<$type>,)*
        }

        impl Request for $name {
            const SERVICE: &'static str = $api.0;
            const VERSION: &'static str = $api.1;
            const ACTION: &'static str = stringify!($name);
            type Answer = $answer;
        }
    )*};
}

requests! { CVM;
    /// 4.1
    DescribeRegions -> DescribeRegionsAnswer {}
    /// 4.2
    DescribeZones -> DescribeZonesAnswer {}
    /// 4.3
    DescribeImages -> DescribeImagesAnswer {
        image_ids: Vec<String>,
        filters: Vec<Filter>,
        offset: i64,
        limit: i64,
        instance_type: String,
    }
    /// 4.4
    DescribeImageQuota -> DescribeImageQuotaAnswer {}
    /// How much of each quota is used.
    DescribeAccountQuota -> DescribeAccountQuotaAnswer { filters: Vec<Filter> }
    /// 4.5
    DescribeImageSharePermission -> DescribeImageSharePermissionAnswer { image_id: String }
    /// 4.6. ForcePoweroff and Sysprep are texts (1.10).
    CreateImage -> CreateImageAnswer {
        image_name: String,
        instance_id: String,
        snapshot_ids: Vec<String>,
        image_description: String,
        force_poweroff: String,
        sysprep: String,
        data_disk_ids: Vec<String>,
        dry_run: bool,
        tag_specification: Vec<TagSpecification>,
        image_family: String,
    }
    /// 4.7
    ModifyImageAttribute -> Accepted {
        image_id: String,
        image_name: String,
        image_description: String,
        image_family: String,
        image_deprecated: bool,
    }
    /// 4.8
    ModifyImageSharePermission -> Accepted { image_id: String, account_ids: Vec<String>, permission: String }
    /// 4.9
    SyncImages -> SyncImagesAnswer {
        image_ids: Vec<String>,
        destination_regions: Vec<String>,
        dry_run: bool,
        image_name: String,
        image_set_required: bool,
        encrypt: bool,
        kms_key_id: String,
    }
    /// 4.10
    ImportImage -> ImportImageAnswer {
        architecture: String,
        os_type: String,
        os_version: String,
        image_url: String,
        image_name: String,
        image_description: String,
        dry_run: bool,
        force: bool,
        tag_specification: Vec<TagSpecification>,
        license_type: String,
        boot_mode: String,
        image_family: String,
        import_image_data_disk_list: Vec<ImportImageDataDisk>,
    }
    /// 4.11. SnapshotIds is documented beside ImageIds, and not open.
    ExportImages -> ExportImagesAnswer {
        bucket_name: String,
        image_ids: Vec<String>,
        export_format: String,
        file_name_prefix_list: Vec<String>,
        only_export_root_disk: bool,
        dry_run: bool,
        role_name: String,
    }
    /// 4.12
    DescribeImportImageOs -> DescribeImportImageOsAnswer {}
    /// 4.14
    DescribeImageFromFamily -> DescribeImageFromFamilyAnswer { image_family: String }
    /// 4.13
    DeleteImages -> Accepted { image_ids: Vec<String>, delete_binded_snap: bool, dry_run: bool }
    /// 5.1
    RunInstances -> RunInstancesAnswer {
        instance_charge_type: String,
        instance_charge_prepaid: InstanceChargePrepaid,
        placement: Placement,
        image_id: String,
        instance_type: String,
        system_disk: SystemDisk,
        data_disks: Vec<DataDisk>,
        virtual_private_cloud: VirtualPrivateCloud,
        internet_accessible: InternetAccessible,
        instance_count: i64,
        min_count: i64,
        instance_name: String,
        login_settings: LoginSettings,
        security_group_ids: Vec<String>,
        enhanced_service: EnhancedService,
        client_token: String,
        host_name: String,
        action_timer: ActionTimer,
        disaster_recover_group_ids: Vec<String>,
        tag_specification: Vec<TagSpecification>,
        instance_market_options: InstanceMarketOptions,
        user_data: String,
        metadata: Metadata,
        dry_run: bool,
        cpu_topology: CpuTopology,
        cam_role_name: String,
        hpc_cluster_id: String,
        launch_template: LaunchTemplate,
        dedicated_cluster_id: String,
        chc_ids: Vec<String>,
        partition_number: i64,
        disable_api_termination: bool,
        enable_jumbo_frame: bool,
        network_interfaces: Vec<NetworkInterface>,
    }
    /// 5.2
    DescribeInstances -> DescribeInstancesAnswer {
        instance_ids: Vec<String>,
        filters: Vec<Filter>,
        offset: i64,
        limit: i64,
    }
    /// 5.3
    DescribeInstancesStatus -> DescribeInstancesStatusAnswer { instance_ids: Vec<String>, offset: i64, limit: i64 }
    /// What instances were given; the one attribute is `UserData`.
    DescribeInstancesAttributes -> DescribeInstancesAttributesAnswer {
        instance_ids: Vec<String>,
        attributes: Vec<String>,
    }
    /// 5.4
    TerminateInstances -> Accepted {
        instance_ids: Vec<String>,
        release_address: bool,
        release_prepaid_data_disks: bool,
    }
    /// 5.5
    StartInstances -> Accepted { instance_ids: Vec<String> }
    /// 5.6
    StopInstances -> Accepted {
        instance_ids: Vec<String>,
        force_stop: bool,
        stop_type: String,
        stopped_mode: String,
    }
    /// 5.7
    RebootInstances -> Accepted { instance_ids: Vec<String>, force_reboot: bool, stop_type: String }
    /// 5.8
    ResetInstance -> Accepted {
        instance_id: String,
        image_id: String,
        system_disk: SystemDisk,
        login_settings: LoginSettings,
        enhanced_service: EnhancedService,
        host_name: String,
        user_data: String,
    }
    /// 5.9: exactly one attribute a call.
    ModifyInstancesAttribute -> Accepted {
        instance_ids: Vec<String>,
        instance_name: String,
        user_data: String,
        security_groups: Vec<String>,
        cam_role_name: String,
        cam_role_type: String,
        host_name: String,
        auto_reboot: bool,
        disable_api_termination: bool,
        enable_jumbo_frame: bool,
    }
    /// 5.10
    ResetInstancesType -> Accepted { instance_ids: Vec<String>, instance_type: String, force_stop: bool }
    /// 5.11
    DescribeInstanceTypeConfigs -> DescribeInstanceTypeConfigsAnswer { filters: Vec<Filter> }
    /// 5.12
    DescribeZoneInstanceConfigInfos -> DescribeZoneInstanceConfigInfosAnswer { filters: Vec<Filter> }
    /// 6.1
    InquiryPriceRunInstances -> InquiryPriceRunInstancesAnswer {
        placement: Placement,
        image_id: String,
        instance_charge_type: String,
        instance_charge_prepaid: InstanceChargePrepaid,
        instance_type: String,
        system_disk: SystemDisk,
        data_disks: Vec<DataDisk>,
        virtual_private_cloud: VirtualPrivateCloud,
        internet_accessible: InternetAccessible,
        instance_count: i64,
        instance_name: String,
        login_settings: LoginSettings,
        security_group_ids: Vec<String>,
        enhanced_service: EnhancedService,
        client_token: String,
        host_name: String,
        tag_specification: Vec<TagSpecification>,
        instance_market_options: InstanceMarketOptions,
        metadata: Metadata,
        hpc_cluster_id: String,
        cpu_topology: CpuTopology,
        launch_template: LaunchTemplate,
        network_interfaces: Vec<NetworkInterface>,
    }
    /// 6.2
    InquiryPriceResetInstance -> InquiryPriceRunInstancesAnswer {
        instance_id: String,
        image_id: String,
        system_disk: SystemDisk,
        login_settings: LoginSettings,
        enhanced_service: EnhancedService,
        user_data: String,
    }
}

requests! { TAG;
    /// 7.1
    TagResources -> TagResourcesAnswer { resource_list: Vec<String>, tags: Vec<ServiceTag> }
    /// 7.2
    UnTagResources -> TagResourcesAnswer { resource_list: Vec<String>, tag_keys: Vec<String> }
    /// 7.3
    ModifyResourceTags -> Accepted { resource: String, replace_tags: Vec<ServiceTag>, delete_tags: Vec<TagKeyObject> }
    /// The tags of resources, as other clients ask for them.
    DescribeResourceTagsByResourceIds -> DescribeResourceTagsByResourceIdsAnswer {
        service_type: String,
        resource_prefix: String,
        resource_ids: Vec<String>,
        resource_region: String,
        offset: i64,
        limit: i64,
    }
}

requests! { CBS;
    /// Disks of instances, and those that outlived them.
    DescribeDisks -> DescribeDisksAnswer { disk_ids: Vec<String>, offset: i64, limit: i64 }
    /// Snapshots of images.
    DescribeSnapshots -> DescribeSnapshotsAnswer { snapshot_ids: Vec<String>, offset: i64, limit: i64 }
}

requests! { VPC;
    /// Which of some addresses are taken.
    DescribeUsedIpAddress -> DescribeUsedIpAddressAnswer {
        vpc_id: String,
        subnet_id: String,
        ip_addresses: Vec<String>,
        offset: i64,
        limit: i64,
    }
}
