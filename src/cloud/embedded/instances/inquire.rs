//! InquiryPriceRunInstances, InquiryPriceResetInstance (API text 6): what a request would cost. Nothing is bought, and
//! nothing of what only such a request names comes into being.

use super::launch::{self, check_login, check_user_data};
use super::{Act, Spec, change, charge, check, find};
use crate::cloud::cvm::wire::answers::InquiryPriceRunInstancesAnswer;
use crate::cloud::cvm::wire::requests::{InquiryPriceResetInstance, InquiryPriceRunInstances, RunInstances};
use crate::cloud::cvm::wire::shapes::Price;
use crate::cloud::embedded::api::Context;
use crate::cloud::embedded::catalogue::is_mainland;
use crate::cloud::embedded::prices::{self, Hourly, Mode};
use crate::cloud::embedded::refusal::{Done, refuse, required};

/// The most instances of one inquiry (6.1).
const MAX_COUNT: i64 = 100;
/// The longest host name of an inquiry, but for Windows (6.1).
const MAX_HOST_NAME: usize = 30;

/// What an inquiry answers where a launch has a code that its own list does not name (10.4).
const LAUNCH_CODES: &[(&str, &str)] = &[
    ("InvalidKeyPairId.Malformed", "InvalidParameterValue"),
    ("InvalidParameter.CdcNotSupported", "InvalidParameter"),
    ("InvalidParameter.InvalidIpFormat", "InvalidParameter"),
    ("InvalidParameter.ParameterConflict", "InvalidParameterCombination"),
    ("InvalidParameterValue.DedicatedResourcePackIdsNotFound", "InvalidParameterValue"),
    ("InvalidParameterValue.IllegalHostName", "InvalidParameterValue"),
    ("InvalidParameterValue.InstanceTypeNotSupportElasticNetworks", "InvalidParameterValue"),
    ("InvalidParameterValue.InvalidImageForGivenInstanceType", "InvalidParameterValue.InvalidImageId"),
    ("InvalidParameterValue.InvalidPassword", "InvalidPassword"),
    ("InvalidParameterValue.KeyPairNotFound", "InvalidParameterValue"),
    ("InvalidParameterValue.LaunchTemplate*", "InvalidParameterValue"),
    ("InvalidParameterValue.Subnet*", "InvalidParameterValue"),
    ("InvalidParameterValue.TooLarge", "InvalidParameterValue"),
    ("InvalidParameterValue.Vpc*", "InvalidParameterValue"),
    ("InvalidSecurityGroupId.NotFound", "InvalidParameterValue"),
    ("ResourceInsufficient.AvailabilityZoneSoldOut", "ResourceInsufficient"),
    ("UnsupportedOperation.KeyPairUnsupportedWindows", "UnsupportedOperation"),
    ("VpcIpIsUsed", "InvalidParameterValue"),
];

/// The same for a reset.
const RESET_CODES: &[(&str, &str)] = &[
    ("InvalidKeyPairId.Malformed", "InvalidParameterValue"),
    ("InvalidParameter.ParameterConflict", "InvalidParameter"),
    ("InvalidParameterCombination", "InvalidParameter"),
    ("InvalidParameterValue.InvalidImageForGivenInstanceType", "InvalidParameterValue.InvalidImageId"),
    ("InvalidParameterValue.InvalidImageState", "InvalidParameterValue.InvalidImageId"),
    ("InvalidParameterValue.InvalidPassword", "InvalidParameterValue"),
    ("InvalidParameterValue.InvalidUserDataFormat", "InvalidParameterValue"),
    ("InvalidParameterValue.KeyPairNotFound", "InvalidParameterValue"),
    ("OperationDenied.*", "InvalidInstance.NotSupported"),
    ("UnsupportedOperation.InstanceState*", "InvalidInstance.NotSupported"),
    ("UnsupportedOperation.KeyPairUnsupportedWindows", "UnsupportedOperation"),
];

pub(crate) fn launch(cx: &mut Context<'_>, r: InquiryPriceRunInstances) -> Done<InquiryPriceRunInstancesAnswer> {
    price_of_launch(cx, r).map_err(|refusal| refusal.by(LAUNCH_CODES))
}

fn price_of_launch(cx: &mut Context<'_>, r: InquiryPriceRunInstances) -> Done<InquiryPriceRunInstancesAnswer> {
    cx.discard = true;
    let addressed = r.virtual_private_cloud.as_ref().and_then(|vpc| vpc.private_ip_addresses.as_ref());
    if addressed.is_some_and(|addresses| !addresses.is_empty()) && r.instance_count.is_some_and(|count| count != 1) {
        return refuse("InvalidParameterCombination", "with a private address InstanceCount is 1");
    }
    launch::check_token(r.client_token.as_deref())?;
    let host_name_length = r.host_name.as_ref().map(String::len);
    let wanted = launch::check(
        cx,
        RunInstances {
            placement: r.placement,
            image_id: r.image_id,
            instance_charge_type: r.instance_charge_type,
            instance_charge_prepaid: r.instance_charge_prepaid,
            instance_type: r.instance_type,
            system_disk: r.system_disk,
            data_disks: r.data_disks,
            virtual_private_cloud: r.virtual_private_cloud,
            internet_accessible: r.internet_accessible,
            instance_count: r.instance_count,
            instance_name: r.instance_name,
            login_settings: r.login_settings,
            security_group_ids: r.security_group_ids,
            enhanced_service: r.enhanced_service,
            host_name: r.host_name,
            tag_specification: r.tag_specification,
            instance_market_options: r.instance_market_options,
            metadata: r.metadata,
            hpc_cluster_id: r.hpc_cluster_id,
            cpu_topology: r.cpu_topology,
            launch_template: r.launch_template,
            network_interfaces: r.network_interfaces,
            ..RunInstances::default()
        },
        MAX_COUNT,
    )?;
    if !wanted.spec.content.is_windows() && host_name_length.is_some_and(|length| length > MAX_HOST_NAME) {
        let text = format!("a host name of an inquiry has at most {MAX_HOST_NAME} characters");
        return refuse("InvalidParameterValue", text);
    }
    Ok(answer(cx, &wanted.spec, &wanted.hourly, wanted.charge.mode(), wanted.count))
}

pub(crate) fn reset(cx: &mut Context<'_>, r: InquiryPriceResetInstance) -> Done<InquiryPriceRunInstancesAnswer> {
    price_of_reset(cx, r).map_err(|refusal| refusal.by(RESET_CODES))
}

/// What the instance costs as it is after the reinstall; which of its costs the API tells is undocumented.
fn price_of_reset(cx: &mut Context<'_>, r: InquiryPriceResetInstance) -> Done<InquiryPriceRunInstancesAnswer> {
    cx.discard = true;
    let region = cx.region()?.region;
    let id = required(r.instance_id, "InstanceId")?;
    let machine = find(cx, &id)?;
    check(cx, &machine, Act::Reset)?;
    let old = Spec::load(cx.db, machine.spec_at(cx.now))?;
    let (mut spec, image) = change::reinstalled(cx, &old, r.image_id, r.system_disk)?;
    let switches = image.content.is_windows() != old.content.is_windows();
    if switches && (!is_mainland(region) || old.system.kind == "CLOUD_BASIC") {
        let text = format!("in {region} a disk of {} does not switch between Linux and Windows", old.system.kind);
        return refuse("InvalidParameterValue.InvalidImageIdForRetsetInstance", text);
    }
    check_login(cx, &r.login_settings.unwrap_or_default(), &image)?;
    check_user_data(r.user_data.as_deref(), "InvalidParameterValue")?;
    spec.content = image.content;
    let hourly = spec.hourly(region, launch::known_type(&spec.instance_type)?);
    let mode = charge::mode(&spec.charge, spec.months);
    Ok(answer(cx, &spec, &hourly, mode, 1))
}

fn answer(cx: &Context<'_>, spec: &Spec, hourly: &Hourly, mode: Mode, count: i64) -> InquiryPriceRunInstancesAnswer {
    let price = Price {
        instance_price: Some(prices::instances(hourly, mode, count, cx.settings.image_fee_in_instance_price)),
        bandwidth_price: prices::bandwidth(&spec.internet, mode, count),
    };
    InquiryPriceRunInstancesAnswer { price, ..InquiryPriceRunInstancesAnswer::default() }
}
