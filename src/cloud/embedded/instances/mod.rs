//! Instances: their rows, and what state they are in at a time (API text 2.2).

mod act;
pub(crate) mod change;
pub(crate) mod charge;
mod disks;
pub(crate) mod inquire;
pub(crate) mod launch;
mod names;
pub(crate) mod power;
pub(crate) mod read;
mod row;

use serde::{Deserialize, Serialize};

use super::api::Context;
use super::catalogue::{Content, is_zero};
use super::ids::{self, Kind};
use super::machines::{Constitution, Script, ScriptTag};
use super::prices::{self, Hourly};
use super::refusal::Done;
use super::settings::Settings;
use crate::cloud::cvm::wire::shapes::InternetAccessible;
use crate::model::Millis;
use crate::model::catalog::TypeEntry;

pub(crate) use act::{Act, batch, check, find, number};
pub(crate) use row::{runs, user_data};

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
    /// By how many MiB a second it is faster than its kind (ThroughputPerformance).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) throughput: i64,
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
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct ScriptTimes {
    pub(crate) boot_ms: Millis,
    #[serde(flatten)]
    pub(crate) own: Constitution,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tag: Option<ScriptTag>,
}

impl From<&Script> for ScriptTimes {
    fn from(script: &Script) -> Self {
        Self { boot_ms: script.boot_ms, own: script.own.clone(), tag: script.tag.clone() }
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

impl Machine {
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

/// Whose private address it is where none was asked for, among the first sixteen million instances.
fn numbered_by(address: &str) -> Option<i64> {
    let [10, high, middle, low] = address.parse::<std::net::Ipv4Addr>().ok()?.octets() else { return None };
    Some(i64::from(u32::from_be_bytes([0, high, middle, low])))
}

impl Spec {
    /// What such an instance costs an hour.
    pub(crate) fn hourly(&self, region: &str, kind: &TypeEntry) -> Hourly {
        let disks = std::iter::once(&self.system).chain(&self.data).map(|disk| (disk.kind.as_str(), disk.size));
        prices::hourly(region, kind, disks, &self.content)
    }
}
