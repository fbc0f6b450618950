//! The simulation: whole stories out of numbers, in virtual time, each on one thread. Configs are edited, other hands
//! meddle, the cloud is slow, loses things and fails late, and the program is killed at every kind of moment, also while
//! it recovers. After each round the world comes to rest: the state is what the cloud holds, the plan is empty, and
//! nothing was made twice, left behind, broken on the way, or told that is secret.
//!
//! Rollouts have stories of their own: settings, versions that are well and others, what somebody says on the way.
//!
//! ```sh
//! cargo test --test it sim::                        # some of the seeds
//! SIM_SEEDS=20000 cargo test --release --test it sim::stories
//! SIM_MINUTES=60 SIM_FROM=1000000 cargo test --release --test it sim::stories
//! SIM_SEED=17 cargo test --test it sim::stories     # one of them
//! SIM_SEED=17 cargo test --test it sim::rollouts
//! SIM_SEED=17 SIM_ONLY=2,5 cargo test …             # and of it only these atoms: a failure, made small
//! SIM_TRIES=0 cargo test …                           # failures are told as they are, and not made small
//! ```

mod cover;
mod hands;
mod rollouts;
mod run;
mod script;
mod shop;
mod shrink;
mod stage;
mod story;
pub(crate) mod watch;

use rollouts::script::Rolls;
use script::Script;

#[test]
fn stories_come_to_rest() {
    story::seeds::<Script>(2_000);
}

#[test]
fn rollouts_come_to_rest() {
    story::seeds::<Rolls>(500);
}
