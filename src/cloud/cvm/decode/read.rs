//! What is read of an answer, borrowed from its bytes: of the 45 fields of an instance, those that anybody here looks
//! at. [`wire::answers`](crate::cloud::cvm::wire::answers) has them all.

use std::borrow::Cow;
use std::fmt;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// A text, borrowed where it holds no escapes; absent and `null` are the empty text.
#[derive(Default)]
pub(super) struct Text<'a>(pub(super) Cow<'a, str>);

impl Text<'_> {
    pub(super) fn owned(self) -> String {
        self.0.into_owned()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or null")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Text::default())
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// A list; absent and `null` are the empty list.
pub(super) struct List<T>(pub(super) Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Reader<T> {
            type Value = List<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list or null")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = items.next_element()? {
                    list.push(item);
                }
                Ok(List(list))
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(List::default())
            }
        }
        deserializer.deserialize_any(Reader(std::marker::PhantomData))
    }
}

/// What stands around every answer (API text 1.6).
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Envelope<T> {
    pub(super) response: T,
}

/// What stands in every answer: why it failed, where it did, and what the cloud calls the request.
pub(super) trait Answered<'a>: Deserialize<'a> {
    fn error(&self) -> Option<&Refusal<'a>>;
    fn request_id(&self) -> &str;
}

macro_rules! objects {
    ($($name:ident { $($(#[$attr:meta])* $field:ident: $type:ty),* $(,)? })*) => {$(
        #[derive(Default, Deserialize)]
        #[serde(default, bound(deserialize = "'de: 'a"), rename_all = "PascalCase")]
        pub(super) struct $name<'a> {
            $($(#[$attr])* pub(super) $field: $type,)*
            #[serde(skip)]
            borrows: std::marker::PhantomData<&'a ()>,
        }
    )*};
}

macro_rules! answers {
    ($($name:ident { $($field:ident: $type:ty),* $(,)? })*) => {
        objects! { $($name { error: Option<Refusal<'a>>, request_id: Text<'a>, $($field: $type,)* })* }
        $(
            impl<'a> Answered<'a> for $name<'a> {
                fn error(&self) -> Option<&Refusal<'a>> {
                    self.error.as_ref()
                }

                fn request_id(&self) -> &str {
                    &self.request_id.0
                }
            }
        )*
    };
}

objects! {
    Refusal { code: Text<'a>, message: Text<'a> }
    Copy { image_id: Text<'a>, region: Text<'a> }
    TagRefusal { resource: Text<'a>, code: Text<'a>, message: Text<'a> }
    Region { region: Text<'a> }
    Zone { zone: Text<'a>, zone_state: Text<'a> }
    TypeSold {
        zone: Text<'a>,
        instance_type: Text<'a>,
        instance_charge_type: Text<'a>,
        status: Text<'a>,
        status_category: Text<'a>,
    }
    Type {
        zone: Text<'a>,
        instance_type: Text<'a>,
        #[serde(rename = "CPU")]
        cpu: Option<i64>,
        memory: Option<i64>,
    }
    Used { zone: Text<'a>, used_quota: Option<i64>, total_quota: Option<i64> }
    Quotas {
        post_paid_quota_set: List<Used<'a>>,
        pre_paid_quota_set: List<Used<'a>>,
        spot_paid_quota_set: List<Used<'a>>,
        image_quota_set: List<Used<'a>>,
    }
    QuotaOverview { account_quota: Option<Quotas<'a>> }
    Snapshot { snapshot_id: Text<'a> }
    Tag { key: Text<'a>, value: Text<'a> }
    Image {
        image_id: Text<'a>,
        image_name: Text<'a>,
        image_description: Text<'a>,
        image_state: Text<'a>,
        sync_percent: Option<i64>,
        image_type: Text<'a>,
        created_time: Text<'a>,
        image_size: Option<i64>,
        architecture: Text<'a>,
        platform: Text<'a>,
        image_creator: Text<'a>,
        image_family: Text<'a>,
        image_deprecated: Option<bool>,
        image_source: Text<'a>,
        snapshot_set: List<Snapshot<'a>>,
        tags: List<Tag<'a>>,
    }
    Share { account_id: Text<'a> }
    Placement { zone: Text<'a> }
    Disk { disk_id: Text<'a>, disk_type: Text<'a>, disk_size: Option<i64> }
    Network { vpc_id: Text<'a>, subnet_id: Text<'a> }
    Internet { internet_charge_type: Text<'a>, internet_max_bandwidth_out: Option<i64> }
    Login { key_ids: List<Text<'a>> }
    Instance {
        instance_id: Text<'a>,
        instance_name: Text<'a>,
        instance_state: Text<'a>,
        instance_type: Text<'a>,
        placement: Option<Placement<'a>>,
        image_id: Text<'a>,
        system_disk: Option<Disk<'a>>,
        data_disks: List<Disk<'a>>,
        virtual_private_cloud: Option<Network<'a>>,
        internet_accessible: Option<Internet<'a>>,
        security_group_ids: List<Text<'a>>,
        login_settings: Option<Login<'a>>,
        instance_charge_type: Text<'a>,
        private_ip_addresses: List<Text<'a>>,
        public_ip_addresses: List<Text<'a>>,
        created_time: Text<'a>,
        latest_operation: Text<'a>,
        latest_operation_state: Text<'a>,
        latest_operation_request_id: Text<'a>,
        latest_operation_error_msg: Text<'a>,
        disable_api_termination: Option<bool>,
        renew_flag: Text<'a>,
        expired_time: Text<'a>,
        host_name: Text<'a>,
        disaster_recover_group_ids: List<Text<'a>>,
        cam_role_name: Text<'a>,
        isolated_source: Text<'a>,
        tags: List<Tag<'a>>,
    }
    OsList { windows: List<Text<'a>>, linux: List<Text<'a>> }
    OsVersion { os_name: Text<'a>, os_versions: List<Text<'a>>, architecture: List<Text<'a>> }
    ItemPrice {
        unit_price: Option<f64>,
        unit_price_discount: Option<f64>,
        charge_unit: Text<'a>,
        original_price: Option<f64>,
        discount_price: Option<f64>,
    }
    Price { instance_price: Option<ItemPrice<'a>>, bandwidth_price: Option<ItemPrice<'a>> }
    State { instance_id: Text<'a>, instance_state: Text<'a> }
    UserData { user_data: Text<'a> }
    InstanceAttributes { instance_id: Text<'a>, attributes: Option<UserData<'a>> }
}

answers! {
    Accepted {}
    Launched { instance_id_set: List<Text<'a>> }
    ImageMade { image_id: Text<'a> }
    Copied { image_set: List<Copy<'a>> }
    TagsSet { failed_resources: List<TagRefusal<'a>> }
    Regions { region_set: List<Region<'a>> }
    Zones { zone_set: List<Zone<'a>> }
    Types { instance_type_config_set: List<Type<'a>> }
    ImageQuota { image_num_quota: Option<i64> }
    AccountQuota { account_quota_overview: Option<QuotaOverview<'a>> }
    Images { total_count: Option<i64>, image_set: List<Image<'a>> }
    ImportOs { import_image_os_list_supported: Option<OsList<'a>>, import_image_os_version_set: List<OsVersion<'a>> }
    Priced { price: Option<Price<'a>> }
    Shares { share_permission_set: List<Share<'a>> }
    Instances { total_count: Option<i64>, instance_set: List<Instance<'a>> }
    States { instance_status_set: List<State<'a>> }
    Attributes { instance_set: List<InstanceAttributes<'a>> }
    Stock { instance_type_quota_set: List<TypeSold<'a>> }
}
