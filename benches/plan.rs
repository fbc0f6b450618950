//! How long plans take, and how much memory: `cargo bench --bench plan`. Figures are printed, not judged.

#![expect(clippy::disallowed_methods, reason = "a bench looks at the clock")]
#![expect(clippy::print_stdout, reason = "its figures are what it is for")]

#[path = "../tests/planner/world.rs"]
mod world;

use std::path::Path;
use std::time::Instant;

use fleetwright::cloud::observe::add_remembered;
use fleetwright::model::limits::Limits;
use fleetwright::model::pins::Pins;
use fleetwright::plan::{Options, PlanInput, check, plan};
use fleetwright::store::{Holder, Record, SqliteStore, Store};

use world::{World, desired, fleet};

const ROOMY: Limits = Limits { instances_per_zone: 1_000_000, ..Limits::TENCENT };

fn timed<T>(what: &str, work: impl Fn() -> T) -> T {
    let mut best = u128::MAX;
    let mut done = None;
    for _ in 0..3 {
        let start = Instant::now();
        let result = work();
        best = best.min(start.elapsed().as_micros());
        done = Some(result);
    }
    println!("{what:<58} {:>9.1} ms", micros(best));
    done.expect("it ran")
}

fn micros(n: u128) -> f64 {
    u32::try_from(n).map_or(f64::INFINITY, f64::from) / 1000.0
}

/// Resident memory now and at its highest, in MB, where the system tells.
fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok().map(|kb| kb / 1024)
    };
    format!("{} MB now, {} MB at most", field("VmRSS:").unwrap_or(0), field("VmHWM:").unwrap_or(0))
}

/// A no-op plan that does not look, in a process of its own, so that its memory is its own: the rows of a state, what
/// they are taken to be in the cloud, and the plan.
fn no_op(file: &Path) {
    let wanted = desired(&fleet(SLOTS, 1, "one"));
    let mut world = World::new(ROOMY);
    world.look_up(&wanted);
    println!("  a process without a state: {}", memory());
    let start = Instant::now();
    let mut store = SqliteStore::open_read_only(file).expect("a state").expect("there");
    world.recorded = store.load().expect("read").recorded;
    drop(store);
    let read = start.elapsed();
    println!("  with its rows, read in {} ms: {}", read.as_millis(), memory());
    let start = Instant::now();
    add_remembered(&mut world.observed, &wanted, &world.recorded, &Pins::new(), 0);
    println!("  in the place of a look, in {} ms: {}", start.elapsed().as_millis(), memory());
    let start = Instant::now();
    let input = world.input(&wanted);
    let options = Options { from_memory: true, ..input.options };
    let same = plan(&PlanInput { options, ..input }).expect("a plan");
    assert!(same.is_empty());
    println!("  with a plan, made in {} ms: {}", start.elapsed().as_millis(), memory());
}

const SLOTS: usize = 100_000;

fn main() {
    if let Some(file) = std::env::args_os().skip_while(|arg| arg != "--no-op").nth(1) {
        no_op(Path::new(&file));
        return;
    }
    let wanted = desired(&fleet(SLOTS, 1, "one"));
    let mut world = World::new(ROOMY);
    world.look_up(&wanted);
    let new = timed("100,000 new slots", || plan(&world.input(&wanted)).expect("a plan"));
    println!("  {} steps; {}", new.steps.len(), memory());
    timed("  of which the second opinion", || check(&new, &world.input(&wanted)));
    world.apply(&new);
    drop(new);
    world.see_everything();
    timed("100,000 slots, all of them as they should be", || plan(&world.input(&wanted)).expect("a plan"));

    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("state.db");
    let mut store = SqliteStore::create(&file, &world.recorded.lineage).expect("a state");
    let holder = Holder { who: "ada".into(), host: "bench".into(), pid: 1, started: 1 };
    let fence = store.lock(&holder, 0, 60_000, &|_| false).expect("the lock");
    let puts: Vec<Record> =
        world.recorded.objects.iter().cloned().map(|object| Record::Put(Box::new(object))).collect();
    store.commit(fence, &puts).expect("written");
    drop((puts, store, world));
    println!("no-op plan of 100,000 slots");
    let this = std::env::current_exe().expect("this program");
    let child = std::process::Command::new(this).arg("--no-op").arg(&file).status().expect("a process");
    assert!(child.success());

    let mut world = World::new(ROOMY);
    let first = desired(&fleet(10_000, 1, "one"));
    let launched = world.plan(&first).expect("a plan");
    world.apply(&launched);
    for most in [1, 100] {
        let second = desired(&fleet(10_000, most, "two"));
        let what = format!("10,000 replaced, {most} at a time");
        let found = timed(&what, || plan(&world.input(&second)).expect("a plan"));
        println!("  {} steps", found.steps.len());
        timed("  of which the second opinion", || check(&found, &world.input(&second)));
    }
    for zone in world.observed.by_region.values_mut().filter_map(|seen| seen.instance_quota.as_mut()) {
        for quota in zone.values_mut() {
            quota.total = quota.used.max(1);
        }
    }
    let second = desired(&fleet(10_000, 1, "two"));
    timed("10,000 replaced in full zones, 1 at a time", || plan(&world.input(&second)).expect("a plan"));
    let more = desired(&fleet(10_002, 1, "two"));
    timed("two too many, with a change that would help", || plan(&world.input(&more)).expect_err("no room"));
}
