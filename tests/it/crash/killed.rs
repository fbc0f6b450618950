//! The real program, killed for real.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use fleetwright::cloud::embedded::{Embedded, Settings};

use crate::rig::{OWNER, example_files};

fn program(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fleetwright"));
    command.args(args).current_dir(dir).stdin(Stdio::null());
    command
}

#[track_caller]
fn expect_success(dir: &Path, args: &[&str]) {
    let output = program(dir, args).output().expect("the program");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{args:?}\n{}\n{}", text(&output.stdout), text(&output.stderr));
}

/// Starts a command and kills it when it has told of so many things. Answers whether it was still running.
fn kill_after(dir: &Path, args: &[&str], lines: usize) -> bool {
    let mut child = program(dir, args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program");
    let stderr = child.stderr.take().expect("a pipe");
    let told = BufReader::new(stderr).lines().take(lines).count();
    // Without an end to its talk it is still at work; killing what has ended does nothing.
    child.kill().expect("killed");
    child.wait().expect("gone");
    told == lines
}

#[test]
fn the_program_is_killed_and_goes_on() {
    let mut killed = 0;
    for lines in 1..=6 {
        let dir = tempfile::tempdir().expect("a directory");
        for (name, text) in example_files("01-quickstart") {
            std::fs::write(dir.path().join(name), text).expect("written");
        }
        // The first three die early in an apply, the others in a destroy as well.
        killed += usize::from(kill_after(dir.path(), &["apply", "--auto-approve"], lines));
        expect_success(dir.path(), &["apply", "--auto-approve"]);
        expect_success(dir.path(), &["plan", "--detailed-exitcode"]);
        if lines > 3 {
            killed += usize::from(kill_after(dir.path(), &["destroy", "--auto-approve"], lines - 3));
        }
        expect_success(dir.path(), &["destroy", "--auto-approve"]);
        let cloud = Embedded::open(Some(&dir.path().join("state").join("cloud.db")), Settings::default());
        let holdings = cloud.expect("a cloud").holdings(0).expect("holdings");
        assert!(holdings.nothing_of(OWNER), "{holdings:#?}");
    }
    assert!(killed >= 6, "{killed} were killed");
}
