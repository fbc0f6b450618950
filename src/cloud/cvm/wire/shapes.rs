//! Objects inside requests and answers (API text 3, with the sections named at each).
#![expect(missing_docs, reason = "fields bear the API's own names, and the API text describes each")]

use serde::{Deserialize, Serialize};

/// Objects whose fields may all be left out: those of requests, and those that requests and answers share.
macro_rules! optional {
    ($($(#[$doc:meta])* $name:ident { $($(#[$attr:meta])* $field:ident: $type:ty),* $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
        #[serde(default, rename_all = "PascalCase")]
        pub struct $name {
            $($(#[$attr])* #[serde(skip_serializing_if = "Option::is_none")] pub $field: Option<$type>,)*
        }
    )*};
}

/// Objects of answers.
macro_rules! answered {
    ($($(#[$doc:meta])* $name:ident { $($(#[$attr:meta])* $field:ident: $type:ty),* $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
        #[serde(default, rename_all = "PascalCase")]
        pub struct $name {
            $($(#[$attr])* pub $field: $type,)*
        }
    )*};
}

optional! {
    /// Filter (3.1): several are joined by AND, the values of one by OR.
    Filter { name: String, values: Vec<String> }
    /// A tag that goes, of ModifyResourceTags (7.3).
    TagKeyObject { tag_key: String }
    /// Tag of CVM (3.1).
    Tag { key: String, value: String }
    /// TagSpecification (3.1).
    TagSpecification { resource_type: String, tags: Vec<Tag> }
    /// Placement (3.3).
    Placement {
        zone: String,
        project_id: i64,
        host_ids: Vec<String>,
        host_id: String,
        dedicated_resource_pack_tenancy: String,
        dedicated_resource_pack_ids: Vec<String>,
        rack_id: String,
    }
    /// SystemDisk (3.4).
    SystemDisk {
        disk_type: String,
        disk_id: String,
        disk_size: i64,
        cdc_id: String,
        disk_name: String,
        encrypt: bool,
        kms_key_id: String,
    }
    /// DataDisk (3.5).
    DataDisk {
        disk_size: i64,
        disk_type: String,
        disk_id: String,
        delete_with_instance: bool,
        snapshot_id: String,
        encrypt: bool,
        kms_key_id: String,
        throughput_performance: i64,
        cdc_id: String,
        burst_performance: bool,
        disk_name: String,
    }
    /// VirtualPrivateCloud (3.6).
    VirtualPrivateCloud {
        vpc_id: String,
        subnet_id: String,
        as_vpc_gateway: bool,
        private_ip_addresses: Vec<String>,
        ipv6_address_count: u64,
    }
    /// InternetAccessible (3.7).
    InternetAccessible {
        internet_charge_type: String,
        internet_max_bandwidth_out: i64,
        public_ip_assigned: bool,
        bandwidth_package_id: String,
        internet_service_provider: String,
        #[serde(rename = "IPv4AddressType")]
        ipv4_address_type: String,
        #[serde(rename = "IPv6AddressType")]
        ipv6_address_type: String,
        #[serde(rename = "AntiDDoSPackageId")]
        anti_ddos_package_id: String,
    }
    /// LoginSettings (3.8). KeepImageLogin is a text (1.10).
    LoginSettings { password: String, key_ids: Vec<String>, keep_image_login: String }
    /// A service inside EnhancedService (3.9).
    ServiceSwitch { enabled: bool }
    /// EnhancedService (3.9).
    EnhancedService {
        security_service: ServiceSwitch,
        monitor_service: ServiceSwitch,
        automation_service: ServiceSwitch,
    }
    /// InstanceChargePrepaid (3.10).
    InstanceChargePrepaid { period: i64, renew_flag: String }
    /// SpotOptions (3.10).
    SpotOptions { max_price: String, spot_instance_type: String }
    /// InstanceMarketOptionsRequest (3.10).
    InstanceMarketOptions { spot_options: SpotOptions, market_type: String }
    /// StorageBlockAttr (3.10).
    StorageBlockAttr { r#type: String, min_size: i64, max_size: i64 }
    /// Externals (3.10).
    Externals { release_address: bool, unsupport_networks: Vec<String>, storage_block_attr: StorageBlockAttr }
    /// ActionTimer (3.10).
    ActionTimer {
        timer_action: String,
        action_time: String,
        externals: Externals,
        action_timer_id: String,
        status: String,
        instance_id: String,
    }
    /// An item of Metadata (3.10).
    MetadataItem { key: String, value: String }
    /// Metadata (3.10).
    Metadata { items: Vec<MetadataItem> }
    /// CpuTopology (3.10).
    CpuTopology { core_count: i64, thread_per_core: i64 }
    /// LaunchTemplate (3.10).
    LaunchTemplate { launch_template_id: String, launch_template_version: u64 }
    /// NetworkInterfaces (3.10).
    NetworkInterface {
        interface_type: String,
        vpc_id: String,
        subnet_id: String,
        private_ipv4_address_count: i64,
        network_interface_id: String,
        security_group_ids: Vec<String>,
        delete_with_instance: bool,
    }
    /// ImportImageDataDisk (3.1).
    ImportImageDataDisk { image_url: String }
    /// ItemPrice (3.11), in yuan.
    ItemPrice {
        unit_price: f64,
        unit_price_discount: f64,
        unit_price_second_step: f64,
        unit_price_discount_second_step: f64,
        unit_price_third_step: f64,
        unit_price_discount_third_step: f64,
        charge_unit: String,
        original_price: f64,
        discount_price: f64,
        discount: f64,
        original_price_one_year: f64,
        discount_price_one_year: f64,
        discount_one_year: f64,
        original_price_three_year: f64,
        discount_price_three_year: f64,
        discount_three_year: f64,
        original_price_five_year: f64,
        discount_price_five_year: f64,
        discount_five_year: f64,
    }
    /// Price (3.11).
    Price { instance_price: ItemPrice, bandwidth_price: ItemPrice }
    /// Tag of the tag service (7).
    ServiceTag { tag_key: String, tag_value: String, category: String }
}

answered! {
    /// A tag of one resource, of the tag service.
    ResourceTag { tag_key: String, tag_value: String, resource_id: String }
    /// A disk, of the disks' service.
    CloudDisk {
        disk_id: String,
        disk_name: String,
        disk_size: i64,
        disk_type: String,
        disk_usage: String,
        disk_state: String,
        encrypt: bool,
        delete_with_instance: bool,
        throughput_performance: i64,
        kms_key_id: String,
        attached: bool,
        instance_id: String,
    }
    /// A snapshot, of the disks' service.
    DiskSnapshot {
        snapshot_id: String,
        snapshot_name: String,
        disk_usage: String,
        disk_size: i64,
        snapshot_state: String,
    }
    /// An address that is taken, of the networks' service.
    IpAddressState {
        vpc_id: String,
        subnet_id: String,
        ip_address: String,
        resource_type: String,
        resource_id: String,
    }
    /// Snapshot (3.1).
    Snapshot { snapshot_id: String, disk_usage: String, disk_size: i64 }
    /// Image (3.1).
    Image {
        image_id: String,
        os_name: String,
        image_type: String,
        created_time: String,
        image_name: String,
        image_description: Option<String>,
        image_size: i64,
        architecture: String,
        image_state: String,
        platform: String,
        image_creator: String,
        image_source: String,
        sync_percent: Option<i64>,
        is_support_cloudinit: Option<bool>,
        snapshot_set: Option<Vec<Snapshot>>,
        tags: Option<Vec<Tag>>,
        license_type: Option<String>,
        image_family: Option<String>,
        image_deprecated: Option<bool>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cdc_cache_status: Option<String>,
    }
    /// ImageOsList (3.1).
    ImageOsList { windows: Vec<String>, linux: Vec<String> }
    /// OsVersion (3.1).
    OsVersion { os_name: String, os_versions: Vec<String>, architecture: Vec<String> }
    /// SharePermission (3.1).
    SharePermission { created_time: String, account_id: String }
    /// SyncImage (3.1).
    SyncImage { image_id: String, region: String }
    /// GPUInfo (3.2).
    GpuInfo {
        #[serde(rename = "GPUCount")]
        gpu_count: f64,
        #[serde(rename = "GPUId")]
        gpu_id: Vec<String>,
        #[serde(rename = "GPUType")]
        gpu_type: String,
    }
    /// Instance (3.2).
    Instance {
        placement: Placement,
        instance_id: String,
        instance_type: String,
        #[serde(rename = "CPU")]
        cpu: i64,
        memory: i64,
        restrict_state: String,
        instance_name: String,
        instance_charge_type: String,
        system_disk: SystemDisk,
        data_disks: Option<Vec<DataDisk>>,
        private_ip_addresses: Option<Vec<String>>,
        public_ip_addresses: Option<Vec<String>>,
        internet_accessible: InternetAccessible,
        virtual_private_cloud: VirtualPrivateCloud,
        image_id: String,
        renew_flag: Option<String>,
        created_time: String,
        expired_time: Option<String>,
        os_name: String,
        security_group_ids: Option<Vec<String>>,
        login_settings: LoginSettings,
        instance_state: String,
        tags: Option<Vec<Tag>>,
        stop_charging_mode: String,
        uuid: String,
        latest_operation: Option<String>,
        latest_operation_state: Option<String>,
        latest_operation_request_id: Option<String>,
        latest_operation_error_msg: Option<String>,
        disaster_recover_group_id: String,
        disaster_recover_group_ids: Option<Vec<String>>,
        #[serde(rename = "IPv6Addresses")]
        ipv6_addresses: Option<Vec<String>>,
        #[serde(rename = "PublicIPv6Addresses")]
        public_ipv6_addresses: Option<Vec<String>>,
        cam_role_name: Option<String>,
        hpc_cluster_id: String,
        rdma_ip_addresses: Option<Vec<String>>,
        dedicated_cluster_id: String,
        isolated_source: String,
        #[serde(rename = "GPUInfo", skip_serializing_if = "Option::is_none")]
        gpu_info: Option<GpuInfo>,
        license_type: String,
        disable_api_termination: bool,
        host_name: Option<String>,
        default_login_user: String,
        default_login_port: i64,
        #[serde(skip_serializing_if = "Option::is_none")]
        enable_jumbo_frame: Option<bool>,
        #[serde(skip_serializing_if = "Option::is_none")]
        metadata: Option<Metadata>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cpu_topology: Option<CpuTopology>,
        #[serde(skip_serializing_if = "Option::is_none")]
        partition_number: Option<i64>,
    }
    /// InstanceStatus (3.2).
    InstanceStatus { instance_id: String, instance_state: String }
    /// What an instance was given, of DescribeInstancesAttributes.
    Attributes { user_data: Option<String> }
    /// An instance of DescribeInstancesAttributes.
    InstanceAttributes { instance_id: String, attributes: Attributes }
    /// RegionInfo (3.12).
    RegionInfo { region: String, region_name: String, region_state: String }
    /// ZoneInfo (3.12).
    ZoneInfo { zone: String, zone_name: String, zone_id: String, zone_state: String }
    /// InstanceTypeConfig (3.12).
    InstanceTypeConfig {
        zone: String,
        instance_type: String,
        instance_family: String,
        #[serde(rename = "GPU")]
        gpu: i64,
        #[serde(rename = "CPU")]
        cpu: i64,
        memory: i64,
        #[serde(rename = "FPGA")]
        fpga: i64,
        gpu_count: f64,
        #[serde(skip_serializing_if = "Option::is_none")]
        gpu_type: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        gpu_memory: Option<f64>,
    }
    /// LocalDiskType (3.12).
    LocalDiskType { r#type: String, partition_type: String, min_size: i64, max_size: i64, required: String }
    /// InstanceTypeQuotaItem (3.12): what of a type is sold in a zone, in one billing mode.
    InstanceTypeQuotaItem {
        zone: String,
        instance_type: String,
        instance_charge_type: String,
        network_card: i64,
        externals: Externals,
        cpu: i64,
        memory: i64,
        instance_family: String,
        type_name: String,
        local_disk_type_list: Vec<LocalDiskType>,
        status: String,
        price: ItemPrice,
        sold_out_reason: String,
        instance_bandwidth: f64,
        instance_pps: i64,
        storage_block_amount: i64,
        cpu_type: String,
        gpu: i64,
        fpga: i64,
        remark: String,
        gpu_count: f64,
        frequency: String,
        status_category: String,
    }
    /// PostPaidQuotaSet of DescribeAccountQuota.
    PostPaidQuota { zone: String, used_quota: i64, remaining_quota: i64, total_quota: i64 }
    /// PrePaidQuotaSet of DescribeAccountQuota.
    PrePaidQuota { zone: String, used_quota: i64, once_quota: i64, remaining_quota: i64, total_quota: i64 }
    /// SpotPaidQuotaSet of DescribeAccountQuota, in cores.
    SpotPaidQuota { zone: String, used_quota: i64, remaining_quota: i64, total_quota: i64 }
    /// ImageQuotaSet of DescribeAccountQuota.
    ImageQuota { used_quota: i64, total_quota: i64 }
    /// DisasterRecoverGroupQuotaSet of DescribeAccountQuota.
    DisasterRecoverGroupQuota {
        group_quota: i64,
        current_num: i64,
        cvm_in_host_group_quota: i64,
        cvm_in_switch_group_quota: i64,
        cvm_in_rack_group_quota: i64,
    }
    /// AccountQuota of DescribeAccountQuota; a set that was filtered away is empty.
    AccountQuota {
        post_paid_quota_set: Option<Vec<PostPaidQuota>>,
        pre_paid_quota_set: Option<Vec<PrePaidQuota>>,
        spot_paid_quota_set: Option<Vec<SpotPaidQuota>>,
        image_quota_set: Option<Vec<ImageQuota>>,
        disaster_recover_group_quota_set: Option<Vec<DisasterRecoverGroupQuota>>,
    }
    /// AccountQuotaOverview of DescribeAccountQuota.
    AccountQuotaOverview { region: String, account_quota: AccountQuota }
    /// What TagResources and UnTagResources could not do (7.1).
    FailedResource { resource: String, code: String, message: String }
}
