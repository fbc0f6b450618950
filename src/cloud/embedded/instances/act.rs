//! Instances as requests name them, and whether their state allows what is asked for (API text 8.5, 10.4).

use std::collections::BTreeSet;

use super::{Machine, Op, State};
use crate::cloud::embedded::api::Context;
use crate::cloud::embedded::ids::{self, Kind};
use crate::cloud::embedded::refusal::{Done, refuse, required};

/// The most ids of a request (8.9).
pub(super) const MAX_IDS: usize = 100;

/// The number behind an id, or the fault of its shape.
pub(crate) fn number(cx: &Context<'_>, id: &str) -> Done<i64> {
    match ids::decode(Kind::Instance, cx.seed, id) {
        Some(n) => Ok(n),
        None => refuse("InvalidInstanceId.Malformed", format!("`{id}` is no instance id: ins-xxxxxxxx")),
    }
}

/// An instance of the caller in the region.
pub(crate) fn find(cx: &Context<'_>, id: &str) -> Done<Machine> {
    let region = cx.region()?.region;
    match Machine::load(cx.db, number(cx, id)?)? {
        Some(found) if found.account == cx.account && found.region == region => Ok(found),
        Some(_) | None => refuse("InvalidInstanceId.NotFound", format!("there is no instance `{id}` in {region}")),
    }
}

/// The instances of a batch, each once (8.9).
pub(crate) fn batch(cx: &Context<'_>, given: Option<Vec<String>>) -> Done<Vec<Machine>> {
    let given = required(given, "InstanceIds")?;
    check_count(given.len())?;
    let once: BTreeSet<&String> = given.iter().collect();
    once.into_iter().map(|id| find(cx, id)).collect()
}

pub(super) fn check_count(count: usize) -> Done<()> {
    match count {
        0 => refuse("MissingParameter", "InstanceIds is empty"),
        1..=MAX_IDS => Ok(()),
        _ => refuse("InvalidParameterValue.LimitExceeded", format!("at most {MAX_IDS} instances a request")),
    }
}

/// What somebody wants to do with an instance.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Act {
    Terminate,
    Start,
    Stop,
    Reboot,
    Reset,
    Modify,
    Resize,
    Capture,
}

/// Whether an instance's state allows it: the codes of 8.5 and 10.4. The batch is refused for the first that is not.
pub(crate) fn check(cx: &Context<'_>, machine: &Machine, act: Act) -> Done<State> {
    let state = machine.state(cx.now, cx.settings);
    let busy = machine.busy(cx.now);
    let id = machine.id(cx.seed);
    let no = |code: &str| refuse(code, format!("the instance `{id}` is {}", state.word()));
    if busy && act == Act::Capture && matches!(machine.op, Op::Capture | Op::CaptureOff) {
        return refuse("MutexOperation.TaskRunning", format!("another image of `{id}` is being made"));
    }
    let in_progress = "OperationDenied.InstanceOperationInProgress";
    if busy && machine.op == Op::Isolate && !matches!(act, Act::Resize | Act::Capture) {
        return refuse("UnsupportedOperation.InstanceStateIsolating", format!("`{id}` goes to the recycle bin"));
    }
    match (state, act) {
        (State::Pending, Act::Resize | Act::Capture) => return no(in_progress),
        (State::Pending, Act::Terminate | Act::Start | Act::Stop | Act::Reboot | Act::Reset | Act::Modify) => {
            return no("UnsupportedOperation.InstanceStatePending");
        }
        (State::LaunchFailed, Act::Terminate) => return no("UnsupportedOperation.InstanceStateLaunchFailed"),
        (
            State::LaunchFailed,
            Act::Start | Act::Stop | Act::Reboot | Act::Reset | Act::Modify | Act::Resize | Act::Capture,
        )
        | (State::Shutdown, Act::Capture) => return no("InvalidInstance.NotSupported"),
        (State::Starting, _) => return no("UnsupportedOperation.InstanceStateStarting"),
        (State::Stopping, _) => return no("UnsupportedOperation.InstanceStateStopping"),
        (State::Rebooting, _) => return no("UnsupportedOperation.InstanceStateRebooting"),
        (State::Terminating, _) => return no("UnsupportedOperation.InstanceStateTerminating"),
        (State::Shutdown, Act::Start | Act::Stop | Act::Reboot | Act::Reset | Act::Modify | Act::Resize) => {
            return no("UnsupportedOperation.InstanceStateShutdown");
        }
        (State::Shutdown, Act::Terminate) | (State::Running | State::Stopped, _) => {}
    }
    if busy {
        let text = format!("{} of `{id}` is under way", machine.op.word());
        return refuse(in_progress, text);
    }
    if machine.is_broken(cx.now) && !matches!(act, Act::Reset | Act::Terminate) {
        return no("UnsupportedOperation.InstanceReinstallFailed");
    }
    match (state, act) {
        (State::Running, Act::Start) => no("UnsupportedOperation.InstanceStateRunning"),
        (State::Stopped, Act::Stop | Act::Reboot) => no("UnsupportedOperation.InstanceStateStopped"),
        _ => Ok(state),
    }
}
