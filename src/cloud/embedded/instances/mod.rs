//! Instances: their rows, and what state they are in at a time (API text 2.2).

pub(crate) mod change;
pub(crate) mod charge;
pub(crate) mod inquire;
pub(crate) mod launch;
mod names;
pub(crate) mod power;
pub(crate) mod read;

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde::{Deserialize, Serialize};

use super::api::Context;
use super::catalogue::Content;
use super::ids::{self, Kind};
use super::machines::Script;
use super::prices::{self, Hourly};
use super::refusal::{Done, refuse, required};
use super::settings::Settings;
use crate::cloud::cvm::wire::shapes::InternetAccessible;
use crate::model::Millis;
use crate::model::catalog::TypeEntry;

/// The most ids of a request (8.9).
const MAX_IDS: usize = 100;

/// A disk that an instance was made with.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct DiskSpec {
    pub(crate) kind: String,
    pub(crate) size: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    /// Whether it outlives the instance (DeleteWithInstance false).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) keep: bool,
}

/// What an instance was made with. Never changed, but replaced.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Spec {
    pub(crate) instance_type: String,
    pub(crate) image: String,
    pub(crate) charge: String,
    pub(crate) renew: Option<String>,
    pub(crate) months: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) max_price: Option<String>,
    pub(crate) system: DiskSpec,
    pub(crate) data: Vec<DiskSpec>,
    pub(crate) vpc: String,
    pub(crate) subnet: String,
    pub(crate) groups: Vec<String>,
    pub(crate) keys: Vec<String>,
    pub(crate) internet: InternetAccessible,
    pub(crate) protected: bool,
    /// With the patterns of its launch.
    pub(crate) host_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cam_role: Option<String>,
    /// Whether its system disk is encrypted, as that of its image.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) encrypted: bool,
    pub(crate) content: Content,
    pub(crate) script: ScriptTimes,
}

/// What the user data has the machine do, read once.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct ScriptTimes {
    pub(crate) boot_ms: Millis,
    pub(crate) unhealthy_ms: Option<Millis>,
}

impl From<Script> for ScriptTimes {
    fn from(script: Script) -> Self {
        Self { boot_ms: script.boot_ms, unhealthy_ms: script.unhealthy_ms }
    }
}

macro_rules! numbered {
    ($(#[$doc:meta])* $name:ident { $($variant:ident),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(crate) enum $name { $($variant),* }

        impl $name {
            const ALL: &[Self] = &[$(Self::$variant),*];

            /// The number in the file.
            pub(crate) fn number(self) -> i64 {
                self as i64
            }

            /// Whose number it is; an unknown one is the first.
            pub(crate) fn of(number: i64) -> Self {
                usize::try_from(number).ok().and_then(|n| Self::ALL.get(n)).copied().unwrap_or(Self::ALL[0])
            }
        }
    };
}
pub(crate) use numbered;

numbered! {
    /// What was last done to an instance. The numbers are in files: only append.
    Op { Run, Start, Stop, Terminate, Reset, Resize, Modify, Rename, Capture, CaptureOff, Isolate, Reboot }
}

numbered! {
    /// Whether a machine is on, as far as was asked for. The numbers are in files: only append.
    Power { On, Off, Isolated }
}

numbered! {
    /// What becomes of an instance that the cloud takes away by itself: it is gone, or lies in the recycle bin first.
    /// The numbers are in files: only append.
    End { Gone, Bin }
}

impl Op {
    /// LatestOperation.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Run => "RunInstances",
            Self::Start => "StartInstances",
            Self::Stop => "StopInstances",
            Self::Terminate | Self::Isolate => "TerminateInstances",
            Self::Reboot => "RebootInstances",
            Self::Reset => "ResetInstance",
            Self::Resize => "ResetInstancesType",
            Self::Modify | Self::Rename => "ModifyInstancesAttribute",
            Self::Capture | Self::CaptureOff => "CreateImage",
        }
    }
}

/// InstanceState.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    Pending,
    LaunchFailed,
    Running,
    Stopped,
    Starting,
    Stopping,
    Rebooting,
    Shutdown,
    Terminating,
}

impl State {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::LaunchFailed => "LAUNCH_FAILED",
            Self::Running => "RUNNING",
            Self::Stopped => "STOPPED",
            Self::Starting => "STARTING",
            Self::Stopping => "STOPPING",
            Self::Rebooting => "REBOOTING",
            Self::Shutdown => "SHUTDOWN",
            Self::Terminating => "TERMINATING",
        }
    }
}

/// The row of an instance.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Machine {
    pub(crate) n: i64,
    pub(crate) account: i64,
    pub(crate) region: String,
    pub(crate) zone: String,
    pub(crate) name: String,
    pub(crate) spec: i64,
    pub(crate) next_spec: Option<i64>,
    /// How much of its zone's quota it gives back when it is gone.
    pub(crate) counted: i64,
    pub(crate) created_ms: Millis,
    pub(crate) op: Op,
    pub(crate) op_start: Millis,
    pub(crate) op_until: Millis,
    pub(crate) op_error: Option<String>,
    pub(crate) op_request: String,
    pub(crate) was: Power,
    pub(crate) becomes: Power,
    pub(crate) boot_ms: Option<Millis>,
    pub(crate) off_ms: Option<Millis>,
    pub(crate) gone_ms: Option<Millis>,
    pub(crate) address: Option<String>,
    pub(crate) hidden: bool,
    /// Its place in its launch, from 0.
    pub(crate) ordinal: i64,
    /// When the cloud takes it away by itself.
    pub(crate) ends_ms: Option<Millis>,
    pub(crate) ends_into: End,
    pub(crate) placement_group: Option<String>,
}

const COLUMNS: &str = "n, account, region, zone, name, spec, next_spec, counted, created_ms, op, op_start, op_until, \
                       op_error, op_request, was, becomes, boot_ms, off_ms, gone_ms, address, hidden, ordinal, \
                       ends_ms, ends_into, placement_group";

fn machine(row: &Row<'_>) -> rusqlite::Result<Machine> {
    Ok(Machine {
        n: row.get(0)?,
        account: row.get(1)?,
        region: row.get(2)?,
        zone: row.get(3)?,
        name: row.get(4)?,
        spec: row.get(5)?,
        next_spec: row.get(6)?,
        counted: row.get(7)?,
        created_ms: row.get(8)?,
        op: Op::of(row.get(9)?),
        op_start: row.get(10)?,
        op_until: row.get(11)?,
        op_error: row.get(12)?,
        op_request: row.get(13)?,
        was: Power::of(row.get(14)?),
        becomes: Power::of(row.get(15)?),
        boot_ms: row.get(16)?,
        off_ms: row.get(17)?,
        gone_ms: row.get(18)?,
        address: row.get(19)?,
        hidden: row.get(20)?,
        ordinal: row.get(21)?,
        ends_ms: row.get(22)?,
        ends_into: End::of(row.get(23)?),
        placement_group: row.get(24)?,
    })
}

impl Machine {
    pub(crate) fn load(db: &Connection, n: i64) -> Done<Option<Self>> {
        let text = const_format();
        Ok(db.prepare_cached(text)?.query_row([n], machine).optional()?)
    }

    /// All machines of an account in a region, or of everybody.
    pub(crate) fn all(db: &Connection, place: Option<(i64, &str)>) -> Done<Vec<Self>> {
        let machines = match place {
            Some((account, region)) => db
                .prepare_cached(&format!(
                    "SELECT {COLUMNS} FROM instance WHERE account = ?1 AND region = ?2 ORDER BY n"
                ))?
                .query_map(params![account, region], machine)?
                .collect::<rusqlite::Result<_>>()?,
            None => db
                .prepare_cached(&format!("SELECT {COLUMNS} FROM instance ORDER BY n"))?
                .query_map([], machine)?
                .collect::<rusqlite::Result<_>>()?,
        };
        Ok(machines)
    }

    pub(crate) fn insert(&self, db: &Connection) -> Done<()> {
        db.prepare_cached(
            "INSERT INTO instance VALUES
             (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21,
              ?22, ?23, ?24, ?25)",
        )?
        .execute(params![
            self.n,
            self.account,
            self.region,
            self.zone,
            self.name,
            self.spec,
            self.next_spec,
            self.counted,
            self.created_ms,
            self.op.number(),
            self.op_start,
            self.op_until,
            self.op_error,
            self.op_request,
            self.was.number(),
            self.becomes.number(),
            self.boot_ms,
            self.off_ms,
            self.gone_ms,
            self.address,
            self.hidden,
            self.ordinal,
            self.ends_ms,
            self.ends_into.number(),
            self.placement_group,
        ])?;
        Ok(())
    }

    /// Writes what an operation may change.
    pub(crate) fn save(&self, db: &Connection) -> Done<()> {
        db.prepare_cached(
            "UPDATE instance SET name = ?2, spec = ?3, next_spec = ?4, op = ?5, op_start = ?6, op_until = ?7,
             op_error = ?8, op_request = ?9, was = ?10, becomes = ?11, boot_ms = ?12, off_ms = ?13, gone_ms = ?14,
             counted = ?15, ends_ms = ?16
             WHERE n = ?1",
        )?
        .execute(params![
            self.n,
            self.name,
            self.spec,
            self.next_spec,
            self.op.number(),
            self.op_start,
            self.op_until,
            self.op_error,
            self.op_request,
            self.was.number(),
            self.becomes.number(),
            self.boot_ms,
            self.off_ms,
            self.gone_ms,
            self.counted,
            self.ends_ms,
        ])?;
        Ok(())
    }

    pub(crate) fn id(&self, seed: u64) -> String {
        ids::encode(Kind::Instance, seed, self.n)
    }

    pub(crate) fn busy(&self, now: Millis) -> bool {
        now < self.op_until
    }

    fn powered(&self, power: Power, now: Millis) -> State {
        match power {
            Power::On if self.off_ms.is_some_and(|off| off <= now) => State::Stopped,
            Power::On => State::Running,
            Power::Off => State::Stopped,
            Power::Isolated => State::Shutdown,
        }
    }

    /// Whether the cloud has taken it away by itself.
    pub(crate) fn has_ended(&self, now: Millis) -> bool {
        self.ends_ms.is_some_and(|ends| ends <= now)
    }

    /// InstanceState at a time. While a prepaid instance is on its way to the recycle bin it is shut down (assumed).
    pub(crate) fn state(&self, now: Millis, settings: &Settings) -> State {
        if self.has_ended(now) {
            return match self.ends_into {
                End::Gone => State::Terminating,
                End::Bin => State::Shutdown,
            };
        }
        let busy = self.busy(now);
        let failed = self.op_error.is_some();
        let going_down = now < self.op_until.min(self.op_start + settings.pace.power_ms);
        match self.op {
            Op::Run if busy => State::Pending,
            Op::Run if failed => State::LaunchFailed,
            Op::Start if busy => State::Starting,
            Op::Stop if busy => State::Stopping,
            Op::Terminate if busy => State::Terminating,
            Op::Isolate if busy && self.was == Power::On => State::Stopping,
            Op::Rename | Op::Reboot if busy => State::Rebooting,
            Op::Reset if busy && settings.reset_shows_rebooting => State::Rebooting,
            Op::CaptureOff | Op::Resize if busy && self.was == Power::On => {
                if going_down {
                    State::Stopping
                } else {
                    State::Stopped
                }
            }
            Op::Run
            | Op::Start
            | Op::Stop
            | Op::Terminate
            | Op::Reset
            | Op::Resize
            | Op::Modify
            | Op::Rename
            | Op::Capture
            | Op::CaptureOff
            | Op::Isolate
            | Op::Reboot => {
                self.powered(if busy || (failed && self.op == Op::Reset) { self.was } else { self.becomes }, now)
            }
        }
    }

    /// Which spec holds at a time.
    pub(crate) fn spec_at(&self, now: Millis) -> i64 {
        match self.next_spec {
            Some(next) if !self.busy(now) && self.op_error.is_none() => next,
            Some(_) | None => self.spec,
        }
    }

    /// LatestOperationState at a time.
    pub(crate) fn outcome(&self, now: Millis) -> &'static str {
        match (self.busy(now), &self.op_error) {
            (true, _) => "OPERATING",
            (false, None) => "SUCCESS",
            (false, Some(_)) => "FAILED",
        }
    }

    /// Whether its last reinstall failed (10.4).
    pub(crate) fn is_broken(&self, now: Millis) -> bool {
        self.op == Op::Reset && self.op_error.is_some() && !self.busy(now)
    }

    /// Begins an operation; what went before is folded into the row.
    pub(crate) fn begin(&mut self, cx: &Context<'_>, op: Op, takes: Millis, becomes: Power) -> Done<()> {
        let state = self.state(cx.now, cx.settings);
        self.was = match state {
            State::Running | State::Rebooting | State::Starting | State::Pending => Power::On,
            State::Stopped | State::Stopping | State::LaunchFailed => Power::Off,
            State::Shutdown | State::Terminating => Power::Isolated,
        };
        if self.was == Power::Off {
            self.off_ms = None;
        }
        let spec = self.spec_at(cx.now);
        let old = [Some(self.spec), self.next_spec].into_iter().flatten().filter(|n| *n != spec).collect::<Vec<_>>();
        self.spec = spec;
        self.next_spec = None;
        self.op = op;
        self.op_start = cx.now;
        self.op_until = cx.now + cx.takes(takes, self.n);
        self.op_error = None;
        self.op_request.clone_from(&cx.request_id);
        self.becomes = becomes;
        self.save(cx.db)?;
        for spec in old {
            super::db::release_spec(cx.db, spec)?;
        }
        Ok(())
    }

    /// Its private address: one out of its number, where none was asked for.
    pub(crate) fn private_address(&self) -> String {
        self.address.clone().unwrap_or_else(|| dotted(10, self.n))
    }

    /// What its host is called.
    pub(crate) fn host_name(&self, spec: &Spec) -> String {
        names::host_name(spec.host_name.as_deref(), self.ordinal, &self.private_address(), &spec.content)
    }

    /// Its disks: the system disk first, with their ids.
    pub(crate) fn disks(&self, spec: &Spec, seed: u64) -> Vec<(String, DiskSpec)> {
        std::iter::once(&spec.system)
            .chain(&spec.data)
            .enumerate()
            .map(|(place, disk)| (ids::encode(Kind::Disk, seed, ids::disk_number(self.n, place)), disk.clone()))
            .collect()
    }
}

fn dotted(first: u8, n: i64) -> String {
    format!("{first}.{}.{}.{}", (n >> 16) & 255, (n >> 8) & 255, n & 255)
}

/// The statement that loads a row, put together once.
fn const_format() -> &'static str {
    static TEXT: std::sync::LazyLock<String> =
        std::sync::LazyLock::new(|| format!("SELECT {COLUMNS} FROM instance WHERE n = ?1"));
    &TEXT
}

impl Spec {
    pub(crate) fn load(db: &Connection, n: i64) -> Done<Self> {
        Self::parse(&Self::body(db, n)?)
    }

    /// A spec as it is stored.
    pub(crate) fn body(db: &Connection, n: i64) -> Done<String> {
        Ok(db.prepare_cached("SELECT body FROM spec WHERE n = ?1")?.query_row([n], |row| row.get(0))?)
    }

    /// What is stored as this text.
    pub(crate) fn parse(body: &str) -> Done<Self> {
        Ok(serde_json::from_str(body)?)
    }

    pub(crate) fn insert(&self, db: &Connection, user_data: Option<&str>) -> Done<i64> {
        db.prepare_cached("INSERT INTO spec (body, user_data) VALUES (?1, ?2)")?
            .execute(params![serde_json::to_string(self)?, user_data])?;
        Ok(db.last_insert_rowid())
    }
}

impl Spec {
    /// What such an instance costs an hour.
    pub(crate) fn hourly(&self, region: &str, kind: &TypeEntry) -> Hourly {
        let disks = std::iter::once(&self.system).chain(&self.data).map(|disk| (disk.kind.as_str(), disk.size));
        prices::hourly(region, kind, disks, &self.content)
    }
}

/// The user data of a spec, in base64.
pub(crate) fn user_data(db: &Connection, spec: i64) -> Done<Option<String>> {
    Ok(db.prepare_cached("SELECT user_data FROM spec WHERE n = ?1")?.query_row([spec], |row| row.get(0))?)
}

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

fn check_count(count: usize) -> Done<()> {
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
