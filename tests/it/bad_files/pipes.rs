//! Whoever reads standard output goes away: that is no fault, and what is under way goes on.

use std::process::{Command, Stdio};

use fleetwright::cli::Exit;

use super::check;
use crate::kit::{FLEET, fleet};
use crate::rig::{Rig, example_files};

const LOOKING: [&str; 24] = [
    "--help",
    "--version",
    "validate",
    "validate --json",
    "plan",
    "plan --json",
    "plan --detailed-exitcode",
    "show",
    "show 1",
    "show --json",
    "history",
    "history --json",
    "state list",
    "state list --json",
    "state show fleet.web[0]",
    "graph",
    "graph --format mermaid",
    "explain",
    "explain stale",
    "completions bash",
    "man",
    "cloud inspect",
    "cloud credentials",
    "force-unlock",
];

#[test]
fn looking_ends_as_it_would() {
    let rig = fleet();
    rig.edit("shop.yaml", "count: 5", "count: 6");
    for verb in LOOKING {
        rig.reads.set(usize::MAX);
        let whole = rig.run(verb);
        for bytes in [0, 1, 60] {
            rig.reads.set(bytes);
            let ran = rig.run(verb);
            check(verb, &ran);
            assert_eq!((ran.exit, ran.err), (whole.exit, whole.err.clone()), "{verb} read for {bytes} bytes");
            assert!(whole.out.starts_with(&ran.out), "{verb}");
        }
    }
}

#[test]
fn doing_goes_on_to_its_end() {
    for json in ["", " --json"] {
        let rig = Rig::new(&[("shop.yaml", FLEET), ("boot.sh", "#!/bin/sh\necho one\n")]);
        rig.reads.set(0);
        rig.run(&format!("plan --out plan.json{json}")).expect(Exit::Done);
        rig.run(&format!("apply plan.json{json}")).expect(Exit::Done);
        rig.edit("shop.yaml", "count: 5", "count: 7");
        rig.run(&format!("apply --auto-approve{json}")).expect(Exit::Done);
        assert_eq!(rig.instances("ap-guangzhou").len(), 7);
        rig.run(&format!("state rm fleet.web[6] --auto-approve{json}")).expect(Exit::Done);
        rig.run(&format!("history prune --keep 1 --auto-approve{json}")).expect(Exit::Done);
        rig.run(&format!("destroy --auto-approve{json}")).expect(Exit::Done);
        assert_eq!(rig.instances("ap-guangzhou").len(), 1, "the one that was forgotten stays");
    }
}

/// The program itself, with a pipe that is closed, and with no standard streams at all.
#[test]
fn the_program_itself() {
    let dir = tempfile::tempdir().expect("a directory");
    for (name, text) in example_files("01-quickstart") {
        std::fs::write(dir.path().join(name), text).expect("written");
    }
    for args in [&["validate"][..], &["plan", "--json"], &["apply", "--auto-approve"], &["show"], &["--help"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fleetwright"));
        command.args(args).current_dir(dir.path()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program");
        drop((child.stdout.take(), child.stderr.take()));
        assert_eq!(child.wait().expect("its end").code(), Some(0), "{args:?}");
    }
    let program = env!("CARGO_BIN_EXE_fleetwright");
    let script = format!("exec '{program}' destroy --auto-approve <&- >&- 2>&-");
    let status = Command::new("bash").args(["-c", &script]).current_dir(dir.path()).status().expect("bash");
    assert_eq!(status.code(), Some(0));
}
