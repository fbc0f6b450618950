//! ResetInstance, ResetInstancesType, ModifyInstancesAttribute (API text 5.8 to 5.10).

use super::launch::{self, check_login, check_user_data};
use super::names::check_host_name;
use super::{Act, Machine, Op, Power, ScriptTimes, Spec, State, batch, charge, check, disks, find, user_data};
use crate::cloud::cvm::wire::answers::Accepted;
use crate::cloud::cvm::wire::requests::{ModifyInstancesAttribute, ResetInstance, ResetInstancesType};
use crate::cloud::cvm::wire::shapes::SystemDisk;
use crate::cloud::embedded::api::Context;
use crate::cloud::embedded::images::Usable;
use crate::cloud::embedded::machines::Script;
use crate::cloud::embedded::refusal::{Done, refuse, required};
use crate::cloud::embedded::settings::Injection;
use crate::cloud::embedded::{images, network, quotas};

/// Disks that an operating system can be put on anew (5.8).
const RESETTABLE: [&str; 4] = ["CLOUD_BASIC", "CLOUD_PREMIUM", "CLOUD_SSD", "CLOUD_BSSD"];
/// The longest name that ModifyInstancesAttribute takes (5.9).
const MAX_NAME: usize = 60;

/// Formats the system disk. Image, user data and disk change when it has succeeded; it runs afterwards.
pub(crate) fn reset(cx: &mut Context<'_>, r: ResetInstance) -> Done<Accepted> {
    let id = required(r.instance_id, "InstanceId")?;
    let mut machine = find(cx, &id)?;
    check(cx, &machine, Act::Reset)?;
    let old = Spec::load(cx.db, machine.spec_at(cx.now))?;
    let (mut spec, image) = reinstalled(cx, &old, r.image_id, r.system_disk)?;
    let image_id = spec.image.clone();
    let login = r.login_settings.unwrap_or_default();
    spec.keys = check_login(cx, &login, &image)?;
    if let Some(name) = r.host_name {
        check_host_name(&name, &image.content)?;
        spec.host_name = Some(name);
    }
    let data = r.user_data.filter(|text| !text.is_empty());
    check_user_data(data.as_deref(), "InvalidParameterValue")?;
    let script = Script::of(data.as_deref());
    spec.content = image.content.after(&image_id, data.as_deref(), &script);
    spec.script = ScriptTimes::from(&script);
    let fails = cx.fails_later(|injection| matches!(injection, Injection::ResetFails { instance } if *instance == id));
    machine.begin(cx, Op::Reset, cx.settings.pace.reset_ms, Power::On)?;
    if fails {
        machine.op_error = Some("the system disk could not be written".to_owned());
    } else {
        machine.next_spec = Some(spec.insert(cx.db, data.as_deref())?);
        machine.boot_ms = Some(machine.op_until);
        machine.off_ms = script.off_at(machine.op_until);
    }
    machine.save(cx.db)?;
    Ok(Accepted::default())
}

/// What becomes of an instance by a reinstall, as far as image and system disk go; its content is still the old one.
pub(super) fn reinstalled(
    cx: &Context<'_>,
    old: &Spec,
    image_id: Option<String>,
    system_disk: Option<SystemDisk>,
) -> Done<(Spec, Usable)> {
    let image_id = image_id.unwrap_or_else(|| old.image.clone());
    let image = images::usable(cx, &image_id)?;
    let kind = launch::known_type(&old.instance_type)?;
    if !image.content.fits(kind) {
        let text = format!("`{image_id}` does not run on {}", old.instance_type);
        return refuse("InvalidParameterValue.InvalidImageForGivenInstanceType", text);
    }
    if !RESETTABLE.contains(&old.system.kind.as_str()) && image.content.platform != old.content.platform {
        let text = format!("a system disk of the kind {} cannot switch systems", old.system.kind);
        return refuse("InvalidParameterValue.InvalidImageIdForRetsetInstance", text);
    }
    if image.content.byol != old.content.byol {
        let text = format!("the licence type of `{image_id}` is not that of the instance");
        return refuse("UnsupportedOperation.InvalidImageLicenseTypeForReset", text);
    }
    if image.encrypted != old.encrypted {
        let text = "a reset changes nothing about the encryption of the system disk";
        return refuse("UnsupportedOperation.ModifyEncryptionNotSupported", text);
    }
    let mut spec = old.clone();
    if let Some(disk) = system_disk {
        if disk.disk_type.is_some_and(|kind| kind != old.system.kind) {
            return refuse("InvalidParameterValue", "a reset does not change the type of the system disk");
        }
        if disk.encrypt == Some(true) {
            return refuse("UnsupportedOperation.ModifyEncryptionNotSupported", "a reset does not encrypt a disk");
        }
        if let Some(size) = disk.disk_size {
            if size < old.system.size {
                return refuse("InvalidParameterValue", "a system disk only grows");
            }
            disks::check_system_size(size)
                .map_err(|refusal| refusal.by(&[("InvalidParameterValue.Range", "InvalidParameterValue")]))?;
            spec.system.size = size;
        }
    }
    if spec.system.size < image.size {
        return refuse("InvalidParameterValue", format!("`{image_id}` needs a system disk of {} GiB", image.size));
    }
    spec.image = image_id;
    Ok((spec, image))
}

/// One instance a call (8.9).
pub(crate) fn resize(cx: &mut Context<'_>, r: ResetInstancesType) -> Done<Accepted> {
    let mut machines = batch(cx, r.instance_ids)?;
    let wanted = required(r.instance_type, "InstanceType")?;
    let [machine] = machines.as_mut_slice() else {
        return refuse("InvalidParameterValue.LimitExceeded", "ResetInstancesType takes one instance");
    };
    let state = check(cx, machine, Act::Resize)?;
    let running = state == State::Running;
    if running && !(r.force_stop == Some(true) && cx.settings.resize_stops_running) {
        let text = format!("the instance `{}` is RUNNING", machine.id(cx.seed));
        return refuse("UnsupportedOperation.InstanceStateRunning", text);
    }
    let mut spec = Spec::load(cx.db, machine.spec_at(cx.now))?;
    let unknown = [("InvalidParameterValue.InstanceTypeNotFound", "ResourceNotFound.InvalidZoneInstanceType")];
    let to = launch::known_type(&wanted).map_err(|refusal| refusal.by(&unknown))?;
    let from = launch::known_type(&spec.instance_type)?;
    match (from.architecture, to.architecture) {
        ("arm", "arm") => {}
        ("arm", _) => {
            let code = "UnsupportedOperation.UnsupportedARMChangeInstanceFamily";
            return refuse(code, "an ARM instance cannot leave the ARM types");
        }
        (_, "arm") => {
            let code = "UnsupportedOperation.UnsupportedChangeInstanceFamilyToARM";
            return refuse(code, "the instance cannot change to an ARM type");
        }
        _ => {}
    }
    if from.gpu == 0 && to.gpu > 0 {
        let text = "an instance without graphics cards cannot change to a type with them";
        return refuse("InvalidParameterValue.GPUInstanceFamily", text);
    }
    if !RESETTABLE.contains(&spec.system.kind.as_str()) {
        return refuse(
            "UnsupportedOperation.SystemDiskType",
            format!("not with a system disk of {}", spec.system.kind),
        );
    }
    spec.instance_type = wanted;
    change_cores(cx, machine, &spec, from.cpu, to.cpu)?;
    let old = machine.spec_at(cx.now);
    let data = user_data(cx.db, old)?;
    let becomes = if running && cx.settings.restart_after_resize { Power::On } else { Power::Off };
    machine.begin(cx, Op::Resize, cx.settings.pace.resize_ms, becomes)?;
    machine.next_spec = Some(spec.insert(cx.db, data.as_deref())?);
    if running {
        machine.off_ms = None;
        machine.boot_ms = Some(machine.op_until);
    }
    machine.save(cx.db)?;
    Ok(Accepted::default())
}

/// A spot instance takes as many cores of its quota as it has.
fn change_cores(cx: &Context<'_>, machine: &mut Machine, spec: &Spec, from: u32, to: u32) -> Done<()> {
    if spec.charge != charge::SPOT {
        return Ok(());
    }
    let more = i64::from(to) - i64::from(from);
    let most = i64::from(cx.settings.limits.spot_cores_per_zone);
    let used = quotas::used(cx, &machine.zone, charge::SPOT)?;
    if more > 0 && used + more > most {
        let text = format!("{used} of {most} cores of spot instances of {} are used", machine.zone);
        return refuse("LimitExceeded.SpotQuota", text);
    }
    machine.counted += more;
    quotas::take(cx, &machine.zone, charge::SPOT, more)
}

/// CamRoleName and CamRoleType; an empty name unbinds the role.
fn check_role(cx: &Context<'_>, name: Option<&str>, kind: Option<&str>) -> Done<()> {
    if !matches!(kind, None | Some("user" | "system" | "service_linked")) {
        return refuse("InvalidParameterValue", "CamRoleType is user, system or service_linked");
    }
    match name {
        None if kind.is_some() => refuse("InvalidParameter", "CamRoleType goes with CamRoleName"),
        None | Some("") => Ok(()),
        Some(name) => network::check_role(cx, name),
    }
}

/// Exactly one attribute a call; it holds at once.
pub(crate) fn modify(cx: &mut Context<'_>, r: ModifyInstancesAttribute) -> Done<Accepted> {
    let given = [
        r.instance_name.is_some(),
        r.user_data.is_some(),
        r.security_groups.is_some(),
        r.cam_role_name.is_some(),
        r.host_name.is_some(),
        r.disable_api_termination.is_some(),
        r.enable_jumbo_frame.is_some(),
    ];
    match given.iter().filter(|given| **given).count() {
        0 => return refuse("MissingParameter", "an attribute is required"),
        1 => {}
        _ => return refuse("InvalidParameter", "exactly one attribute a call"),
    }
    let mut machines = batch(cx, r.instance_ids)?;
    check_role(cx, r.cam_role_name.as_deref(), r.cam_role_type.as_deref())?;
    if r.enable_jumbo_frame == Some(true) {
        return refuse("UnsupportedOperation.InstanceTypeNotSupportJumboFrame", "no type here has jumbo frames");
    }
    if r.instance_name.as_ref().is_some_and(|name| name.chars().count() > MAX_NAME) {
        return refuse("InvalidInstanceName.TooLong", format!("a name has at most {MAX_NAME} characters"));
    }
    check_user_data(r.user_data.as_deref(), "InvalidParameterValue.InvalidUserDataFormat")?;
    let groups = match r.security_groups {
        Some(asked) if asked.is_empty() => return refuse("MissingParameter", "SecurityGroups is empty"),
        Some(asked) => Some(network::groups(cx, Some(asked), "LimitExceeded.AssociateUSGLimitExceeded")?),
        None => None,
    };
    let mut states = Vec::with_capacity(machines.len());
    for machine in &machines {
        states.push(check(cx, machine, Act::Modify)?);
    }
    for (machine, state) in machines.iter_mut().zip(states) {
        let power = if state == State::Running { Power::On } else { Power::Off };
        let number = machine.spec_at(cx.now);
        let mut spec = Spec::load(cx.db, number)?;
        let mut data = user_data(cx.db, number)?;
        let mut changed = true;
        let mut reboots = false;
        if let Some(groups) = &groups {
            spec.groups.clone_from(groups);
        } else if let Some(text) = &r.user_data {
            data = Some(text.clone()).filter(|text| !text.is_empty());
        } else if let Some(name) = &r.host_name {
            check_host_name(name, &spec.content)?;
            spec.host_name = Some(name.clone());
            reboots = state == State::Running && r.auto_reboot.unwrap_or(true);
        } else if let Some(protected) = r.disable_api_termination {
            spec.protected = protected;
        } else if let Some(role) = &r.cam_role_name {
            spec.cam_role = Some(role.clone()).filter(|role| !role.is_empty());
        } else {
            changed = false;
        }
        let pace = cx.settings.pace;
        if reboots {
            machine.begin(cx, Op::Rename, pace.power_ms, power)?;
            machine.boot_ms = Some(machine.op_until);
        } else {
            machine.begin(cx, Op::Modify, pace.modify_ms, power)?;
        }
        if let Some(name) = &r.instance_name {
            machine.name.clone_from(name);
        }
        let before = machine.spec;
        if changed {
            machine.spec = spec.insert(cx.db, data.as_deref())?;
        }
        machine.save(cx.db)?;
        if changed {
            crate::cloud::embedded::db::release_spec(cx.db, before)?;
        }
    }
    Ok(Accepted::default())
}
