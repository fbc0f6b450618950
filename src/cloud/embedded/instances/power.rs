//! TerminateInstances, StartInstances, StopInstances (API text 5.4 to 5.6).

use std::collections::BTreeSet;

use super::{Act, Op, Power, Spec, State, batch, check};
use crate::cloud::cvm::wire::answers::Accepted;
use crate::cloud::cvm::wire::requests::{StartInstances, StopInstances, TerminateInstances};
use crate::cloud::embedded::api::Context;
use crate::cloud::embedded::refusal::{Done, refuse};

/// A pay-as-you-go instance is gone after a while; a prepaid one goes to the recycle bin first (2.2).
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
        isolated.push(spec.charge == "PREPAID" && state != State::Shutdown);
        charges.insert(spec.charge);
    }
    if charges.len() > 1 {
        let text = "the instances are of more than one billing mode";
        return refuse("UnsupportedOperation.InstanceMixedPricingModel", text);
    }
    let takes = cx.settings.pace.terminate_ms;
    for (machine, isolated) in machines.iter_mut().zip(isolated) {
        if isolated {
            machine.begin(cx, Op::Terminate, 0, Power::Isolated)?;
        } else {
            machine.begin(cx, Op::Terminate, takes, Power::Isolated)?;
            machine.gone_ms = Some(machine.op_until);
            machine.save(cx.db)?;
        }
    }
    Ok(Accepted::default())
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
    if r.force_stop.is_some() && r.stop_type.is_some() {
        return refuse("InvalidParameterCombination", "ForceStop and StopType exclude each other");
    }
    if !matches!(r.stop_type.as_deref(), None | Some("SOFT" | "SOFT_FIRST" | "HARD")) {
        return refuse("InvalidParameterValue", "StopType is SOFT, SOFT_FIRST or HARD");
    }
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
