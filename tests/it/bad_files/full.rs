//! A disk that is full while the state is written: at every write of an apply and of a destroy. What was not written was
//! not done, and with room again it goes on, without duplicate or orphan.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fleetwright::cli::Exit;
use fleetwright::cloud::embedded::{Embedded, Settings};
use fleetwright::ops::Hooks;
use fleetwright::store::{Record, StoreFault};

use super::tree;
use crate::between::{Guard, Guarded};
use crate::crash::world::faults;
use crate::kit::{BOOT, FLEET, GZ, IMAGE, says};
use crate::rig::{OWNER, Rig, example_files};

/// A disk that has room for so many more writes.
struct Tight(Arc<AtomicUsize>);

impl Guard for Tight {
    fn before(&mut self, _: &[Record]) -> Result<(), StoreFault> {
        let took = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |room| room.checked_sub(1));
        took.map(drop).map_err(|_| StoreFault::Full("state/default.db".into()))
    }
}

/// Hooks with a disk that has room for so many writes, and how many are left.
fn tight(writes: usize) -> (Hooks, Arc<AtomicUsize>) {
    let room = Arc::new(AtomicUsize::new(writes));
    let left = Arc::clone(&room);
    let store = Box::new(move |inner| Guarded::by(Tight(Arc::clone(&room)), inner));
    (Hooks { store: Some(store), ..Hooks::default() }, left)
}

/// Runs a command on a disk that is full after each number of writes in turn, and then once more with room.
fn sweep(name: &str, world: &Rig, command: &str) -> Vec<(Exit, String)> {
    const ROOMY: usize = 10_000;
    let whole = world.fork();
    let (hooks, left) = tight(ROOMY);
    whole.run_with(command, hooks).expect(Exit::Done);
    let writes = ROOMY - left.load(Ordering::Relaxed);
    let mut ends: Vec<(Exit, String)> = Vec::new();
    for room in 0..writes {
        let rig = world.fork();
        let mark = rig.mark();
        let ran = rig.run_with(command, tight(room).0);
        let at = format!("{name}: full after {room} of {writes} writes");
        assert_ne!(ran.exit, Exit::Bug, "{at}\n{}", ran.err);
        if ran.exit != Exit::Done {
            says(&format!("{}{}", ran.out, ran.err), "the disk is full");
        }
        // Lock, run and first records come before the first call.
        if room < 3 {
            assert_eq!(rig.mutating(mark), Vec::<String>::new(), "{at}");
        }
        if !ends.iter().any(|(exit, _)| *exit == ran.exit) {
            ends.push((ran.exit, format!("full after {room} of {writes} writes\n{}{}", ran.out, ran.err)));
        }
        let again = rig.run(command);
        assert_eq!(again.exit, Exit::Done, "{at}\n{}\n{}", again.out, again.err);
        assert_eq!(faults(&rig), Vec::<String>::new(), "{at}");
        if command.starts_with("destroy") {
            assert!(rig.holdings().nothing_of(OWNER), "{at}");
        } else {
            rig.expect_no_changes();
            rig.expect_in_step();
        }
    }
    assert!(writes > 8, "{name}: {writes}");
    ends
}

#[test]
fn at_every_write_of_an_apply() {
    let fleet = Rig::new(&[("shop.yaml", FLEET), ("boot.sh", "#!/bin/sh\necho one\n")]);
    let ends = sweep("fleet", &fleet, "apply --auto-approve");
    let first = ends.first().map(|(exit, _)| *exit);
    assert_eq!(first, Some(Exit::Failed));
    let text: String = ends.iter().map(|(exit, text)| format!("=== exit {}: {text}\n", exit.code())).collect();
    insta::assert_snapshot!(text);
    let image = Rig::new(&[("shop.yaml", IMAGE), ("boot.sh", BOOT)]);
    sweep("image", &image, "apply --auto-approve");
}

#[test]
fn at_every_write_of_a_destroy() {
    let image = Rig::new(&[("shop.yaml", IMAGE), ("boot.sh", BOOT)]);
    image.settle();
    sweep("destroy", &image, "destroy --auto-approve");
}

/// Runs the program itself, which can write files of so many blocks at most.
fn limited(dir: &Path, blocks: usize, args: &str) -> (Option<i32>, String) {
    let program = env!("CARGO_BIN_EXE_fleetwright");
    // The signal is ignored, so that a write that goes too far is a fault like that of a full disk.
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec '{program}' {args}");
    let output =
        Command::new("bash").args(["-c", &script]).current_dir(dir).stdin(Stdio::null()).output().expect("bash");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout) + &text(&output.stderr))
}

/// The same with the real program and files that cannot grow.
#[test]
fn the_program_itself() {
    let mut refused = 0;
    for blocks in [0, 1, 8, 24, 60, 90, 120, 160, 200, 260, 400] {
        let dir = tempfile::tempdir().expect("a directory");
        for (name, text) in example_files("01-quickstart") {
            std::fs::write(dir.path().join(name), text).expect("written");
        }
        let before = tree(dir.path());
        let (code, text) = limited(dir.path(), blocks, "apply --auto-approve");
        assert!([Some(0), Some(1), Some(3)].contains(&code), "{blocks} blocks: {code:?}\n{text}");
        assert!(!text.contains("panicked") && !text.contains("failed inside"), "{blocks} blocks:\n{text}");
        if code != Some(0) {
            refused += 1;
            assert!(text.contains("error") || text.contains("failed"), "{blocks} blocks:\n{text}");
        }
        for (path, what) in &before {
            assert_eq!(tree(dir.path()).get(path), Some(what), "{blocks} blocks: {path:?} is another file");
        }
        for args in ["apply --auto-approve", "plan --detailed-exitcode"] {
            let (code, text) = limited(dir.path(), 1 << 20, args);
            assert_eq!(code, Some(0), "after {blocks} blocks: {args}\n{text}");
        }
        let cloud = Embedded::open(Some(&dir.path().join("state/cloud.db")), Settings::default()).expect("a cloud");
        let holdings = cloud.holdings(0).expect("holdings");
        let held = holdings.of(OWNER, GZ).expect("the fleet");
        let (code, list) = limited(dir.path(), 1 << 20, "state list -v");
        assert_eq!(code, Some(0), "{list}");
        for id in held.instances.keys() {
            assert!(list.contains(id), "after {blocks} blocks: {id} is an orphan\n{list}");
        }
        assert!(list.lines().count() >= held.instances.len(), "{list}");
    }
    assert!(refused >= 3, "only {refused} were refused");
}

/// A reader that cannot take any more: what was asked for is cut off, and that is said.
#[test]
fn standard_output_that_is_full() {
    let dir = tempfile::tempdir().expect("a directory");
    for (name, text) in example_files("01-quickstart") {
        std::fs::write(dir.path().join(name), text).expect("written");
    }
    for args in ["validate", "plan", "plan --json", "explain", "state list --json"] {
        let (code, text) = limited(dir.path(), 1 << 20, &format!("{args} > /dev/full"));
        assert_eq!(code, Some(1), "{args}\n{text}");
        assert!(text.contains("error[unwritable]: standard output cannot be written"), "{args}\n{text}");
    }
}
