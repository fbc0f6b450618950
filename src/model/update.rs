//! How a fleet's changes are rolled out: how many instances at once, what each has to show before the next ones follow,
//! and what happens where they do not.
//!
//! ```text
//!   canary ──gate──▶ batch ──gate──▶ batch ──gate──▶ … ──▶ done
//!              │               │
//!              ▼               ▼
//!        pause, or where too many fail: stop, or back to what ran before
//! ```
//!
//! A batch is a set of slots. What takes the place of an instance is launched before that one goes as far as `max_surge`
//! allows, after it as far as `max_unavailable` does. A gate is passed when each new instance has been healthy for
//! `min_ready`, and all of them together for `bake`.

use serde::{Deserialize, Serialize};

use super::Millis;

/// A number of instances, as it stands in a config.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Amount {
    /// So many.
    Count(u32),
    /// So many of a hundred, at most 100.
    Percent(u32),
}

impl Amount {
    /// None at all.
    pub const NONE: Self = Self::Count(0);

    /// How many of `all` that is; a part of one counts as one.
    #[must_use]
    pub fn up(self, all: u32) -> u32 {
        match self {
            Self::Count(n) => n,
            Self::Percent(percent) => clamp((u64::from(all) * u64::from(percent)).div_ceil(100)),
        }
    }

    /// How many of `all` that is; a part of one counts as none.
    #[must_use]
    pub fn down(self, all: u32) -> u32 {
        match self {
            Self::Count(n) => n,
            Self::Percent(percent) => clamp(u64::from(all) * u64::from(percent) / 100),
        }
    }

    /// Whether it is none, of however many.
    #[must_use]
    pub fn is_none(self) -> bool {
        matches!(self, Self::Count(0) | Self::Percent(0))
    }
}

fn clamp(n: u64) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// `update`: how a fleet's changes are rolled out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Update {
    /// What is done to an instance whose system disk has to change.
    pub strategy: Strategy,
    /// The most instances above `count`; parts are rounded up.
    pub max_surge: Amount,
    /// The most instances out of service at once; parts are rounded down.
    pub max_unavailable: Amount,
    /// How many slots make a batch; silent: as many as `max_surge` and `max_unavailable` allow at once.
    pub batch: Option<Amount>,
    /// How many slots come first and alone; silent: none.
    pub canary: Option<Amount>,
    /// Where a rollout waits for somebody.
    pub pause: Pause,
    /// How long a batch has to stay healthy as a whole, in milliseconds.
    pub bake_ms: Millis,
    /// How long an instance has to be healthy before it counts as available, in milliseconds.
    pub min_ready_ms: Millis,
    /// What runs beside it.
    pub hooks: Hooks,
    /// How many slots may fail before the rollout does; parts are rounded down.
    pub max_failures: Amount,
    /// What a rollout that failed does.
    pub on_failure: OnFailure,
    /// Which slots come first.
    pub order: Order,
    /// The fewest instances in service at any moment, rounded up; silent: `count` less `max_unavailable`.
    pub min_available: Option<Amount>,
}

impl Default for Update {
    fn default() -> Self {
        Self {
            strategy: Strategy::Replace,
            max_surge: Amount::NONE,
            max_unavailable: Amount::Count(1),
            batch: None,
            canary: None,
            pause: Pause::None,
            bake_ms: 0,
            min_ready_ms: 0,
            hooks: Hooks::default(),
            max_failures: Amount::NONE,
            on_failure: OnFailure::Stop,
            order: Order::Zones,
            min_available: None,
        }
    }
}

impl Update {
    /// How many of a fleet of `count` may be above it, and how many out of service, at once. Where both would be none,
    /// one may be out of service: nothing could change else. Where slots are reset, one may be in any case, for those above
    /// the count help nothing there.
    #[must_use]
    pub fn at_once(&self, count: u32) -> AtOnce {
        let (surge, down) = (self.max_surge.up(count), self.max_unavailable.down(count));
        let needs_one = surge == 0 || self.strategy == Strategy::Reset;
        AtOnce { surge, down: if needs_one { down.max(1) } else { down } }
    }
}

/// How many instances of a fleet a rollout may work on at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AtOnce {
    /// Above `count`.
    pub surge: u32,
    /// Out of service.
    pub down: u32,
}

/// How an instance gets a new system disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// A new instance takes its place.
    Replace,
    /// The system disk is formatted; id and addresses stay.
    Reset,
    /// Whichever the plan finds to be better, and says why.
    Auto,
}

/// Where a rollout waits for somebody.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pause {
    /// Nowhere.
    #[default]
    None,
    /// After the canary.
    AfterCanary,
    /// After every batch.
    EveryBatch,
}

/// What a rollout that failed does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// It stops where it is.
    #[default]
    Stop,
    /// It goes back to what ran before.
    Rollback,
}

/// Which slots come first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// One zone after the other.
    #[default]
    Zones,
    /// By their numbers, whatever their zone.
    Slots,
}

/// `health`: what an instance has to show to be in service.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Health {
    /// What is asked of it, beyond that it runs.
    pub check: Option<Check>,
    /// By which of its addresses.
    pub address: Address,
    /// How long from one look to the next, in milliseconds.
    pub interval_ms: Millis,
    /// How many looks in a row have to be good; and how many bad ones make one that was healthy unhealthy.
    pub threshold: u32,
    /// How long it may take until it is healthy, in milliseconds.
    pub deadline_ms: Millis,
}

impl Default for Health {
    fn default() -> Self {
        Self { check: None, address: Address::Private, interval_ms: 5_000, threshold: 2, deadline_ms: 600_000 }
    }
}

/// What is asked of an instance.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// That it takes connections.
    Tcp {
        /// On which port.
        port: u16,
    },
    /// That it answers a GET.
    Http {
        /// On which port.
        port: u16,
        /// Of which path, with its slash.
        path: String,
        /// With which status.
        status: u16,
        /// With what somewhere in the body; silent: with anything.
        body: Option<String>,
    },
}

/// Which address of an instance is asked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Address {
    /// That in its own network: whoever asks is in there, too.
    #[default]
    Private,
    /// That of the internet.
    Public,
}

/// What runs beside a rollout, to tell a load balancer say.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Hooks {
    /// Before instances go out of service.
    pub before_stop: Option<Hook>,
    /// After instances came into service.
    pub after_ready: Option<Hook>,
}

/// Something that is run for instances, all those of a batch at once. It may be run again after a kill.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Hook {
    /// What is run.
    pub run: HookRun,
    /// How long it may take, in milliseconds.
    pub timeout_ms: Millis,
}

/// What a hook runs.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HookRun {
    /// A program with its arguments, in the directory of the config; it reads the instances as JSON.
    Command(Vec<String>),
    /// An address that the same JSON is posted to.
    Webhook(String),
}

/// When a hook is run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Moment {
    /// Before instances go out of service.
    BeforeStop,
    /// After instances came into service.
    AfterReady,
}

impl Moment {
    /// The word in a config and in output.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::BeforeStop => "before_stop",
            Self::AfterReady => "after_ready",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_an_instance_are_rounded_as_each_word_says() {
        let quarter = Amount::Percent(25);
        assert_eq!([quarter.up(20), quarter.down(20), quarter.up(5), quarter.down(5)], [5, 5, 2, 1]);
        assert_eq!([Amount::Count(3).up(1), Amount::Percent(100).down(u32::MAX)], [3, u32::MAX]);
    }

    #[test]
    fn something_may_always_change() {
        let update = |max_surge, max_unavailable| Update { max_surge, max_unavailable, ..Update::default() };
        assert_eq!(update(Amount::NONE, Amount::Percent(10)).at_once(5), AtOnce { surge: 0, down: 1 });
        assert_eq!(update(Amount::Percent(10), Amount::NONE).at_once(5), AtOnce { surge: 1, down: 0 });
        assert_eq!(update(Amount::Count(2), Amount::Percent(50)).at_once(5), AtOnce { surge: 2, down: 2 });
        let reset = Update { strategy: Strategy::Reset, ..update(Amount::Count(2), Amount::Percent(10)) };
        assert_eq!(reset.at_once(5), AtOnce { surge: 2, down: 1 });
    }
}
