//! TerminateInstances, StartInstances, StopInstances, RebootInstances (API text 5.4 to 5.7).

use std::collections::BTreeSet;

use super::{Act, Machine, Op, Power, Spec, State, batch, charge, check, user_data};
use crate::cloud::cvm::wire::answers::Accepted;
use crate::cloud::cvm::wire::requests::{RebootInstances, StartInstances, StopInstances, TerminateInstances};
use crate::cloud::embedded::api::Context;
use crate::cloud::embedded::db;
use crate::cloud::embedded::refusal::{Done, refuse};
use crate::cloud::embedded::settings::RECYCLE_BIN_MS;

/// A pay-as-you-go or spot instance is gone after a while; a prepaid one goes to the recycle bin first, from where a
/// second call takes it, or the end of seven days (2.2).
pub(crate) fn terminate(cx: &mut Context<'_>, r: TerminateInstances) -> Done<Accepted> {
    let mut machines = batch(cx, r.instance_ids)?;
    let mut charges = BTreeSet::new();
    let mut isolated = Vec::new();
    for machine in &machines {
        let state = check(cx, machine, Act::Terminate)?;
        let spec = Spec::load(cx.db, machine.spec_at(cx.now))?;
        if spec.protected {
            let text = format!("termination protection of `{}` is on", machine.id(cx.seed));
            return refuse("UnsupportedOperation.InstancesProtected", text);
        }
        isolated.push(spec.charge == charge::PREPAID && state != State::Shutdown);
        charges.insert(spec.charge);
    }
    if charges.len() > 1 {
        let text = "the instances are of more than one billing mode";
        return refuse("UnsupportedOperation.InstanceMixedPricingModel", text);
    }
    let takes = cx.settings.pace.terminate_ms;
    let prepaid = charges.contains(charge::PREPAID);
    let release = r.release_prepaid_data_disks == Some(true);
    for (machine, isolated) in machines.iter_mut().zip(isolated) {
        if isolated {
            machine.begin(cx, Op::Isolate, takes, Power::Isolated)?;
            machine.gone_ms = Some(machine.op_until + RECYCLE_BIN_MS);
        } else {
            machine.begin(cx, Op::Terminate, takes, Power::Isolated)?;
            machine.gone_ms = Some(machine.op_until);
        }
        machine.ends_ms = None;
        if prepaid && (isolated || release) {
            keep_data_disks(cx, machine, !release)?;
        }
        machine.save(cx.db)?;
    }
    Ok(Accepted::default())
}

/// Whether the data disks of a prepaid instance outlive it (5.4): they do unless ReleasePrepaidDataDisks is set.
fn keep_data_disks(cx: &Context<'_>, machine: &mut Machine, keep: bool) -> Done<()> {
    let mut spec = Spec::load(cx.db, machine.spec)?;
    if spec.data.iter().all(|disk| disk.keep == keep) {
        return Ok(());
    }
    for disk in &mut spec.data {
        disk.keep = keep;
    }
    let before = machine.spec;
    machine.spec = spec.insert(cx.db, user_data(cx.db, before)?.as_deref())?;
    machine.save(cx.db)?;
    db::release_spec(cx.db, before)?;
    Ok(())
}

pub(crate) fn reboot(cx: &mut Context<'_>, r: RebootInstances) -> Done<Accepted> {
    check_stop_type(r.force_reboot, r.stop_type.as_deref(), "ForceReboot")?;
    let mut machines = batch(cx, r.instance_ids)?;
    for machine in &machines {
        check(cx, machine, Act::Reboot)?;
    }
    for machine in &mut machines {
        machine.begin(cx, Op::Reboot, cx.settings.pace.power_ms, Power::On)?;
        machine.boot_ms = Some(machine.op_until);
        machine.save(cx.db)?;
    }
    Ok(Accepted::default())
}

/// The deprecated switch and StopType exclude each other.
fn check_stop_type(force: Option<bool>, kind: Option<&str>, switch: &str) -> Done<()> {
    if force.is_some() && kind.is_some() {
        return refuse("InvalidParameterCombination", format!("{switch} and StopType exclude each other"));
    }
    if !matches!(kind, None | Some("SOFT" | "SOFT_FIRST" | "HARD")) {
        return refuse("InvalidParameterValue", "StopType is SOFT, SOFT_FIRST or HARD");
    }
    Ok(())
}

pub(crate) fn start(cx: &mut Context<'_>, r: StartInstances) -> Done<Accepted> {
    let mut machines = batch(cx, r.instance_ids)?;
    for machine in &machines {
        check(cx, machine, Act::Start)?;
    }
    for machine in &mut machines {
        machine.begin(cx, Op::Start, cx.settings.pace.power_ms, Power::On)?;
        machine.boot_ms = Some(machine.op_until);
        machine.save(cx.db)?;
    }
    Ok(Accepted::default())
}

pub(crate) fn stop(cx: &mut Context<'_>, r: StopInstances) -> Done<Accepted> {
    check_stop_type(r.force_stop, r.stop_type.as_deref(), "ForceStop")?;
    if !matches!(r.stopped_mode.as_deref(), None | Some("KEEP_CHARGING" | "STOP_CHARGING")) {
        return refuse("InvalidParameterValue", "StoppedMode is KEEP_CHARGING or STOP_CHARGING");
    }
    if r.stopped_mode.as_deref() == Some("STOP_CHARGING") {
        return refuse("UnsupportedOperation", "no type here stops charging");
    }
    let mut machines = batch(cx, r.instance_ids)?;
    for machine in &machines {
        check(cx, machine, Act::Stop)?;
    }
    for machine in &mut machines {
        machine.begin(cx, Op::Stop, cx.settings.pace.power_ms, Power::Off)?;
        machine.off_ms = None;
        machine.save(cx.db)?;
    }
    Ok(Accepted::default())
}
