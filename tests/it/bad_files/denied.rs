//! Files and directories that may not be read or written. The superuser may do anything, so the program itself is run as
//! somebody who may not: as nobody, where the tests run as the superuser.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::tree;
use crate::rig::example_files;

/// The user and the group that own nothing.
const NOBODY: u32 = 65_534;

/// A config of its own, and a program that is run by its owner.
struct Place {
    temp: tempfile::TempDir,
    program: PathBuf,
    /// Who runs it, where that is not whoever runs the tests.
    user: Option<u32>,
}

/// What a run of the program said.
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Place {
    /// The files of the quickstart, in a directory of their own.
    fn new() -> Self {
        let temp = tempfile::tempdir().expect("a directory");
        let superuser = fs::metadata(temp.path()).expect("the directory").uid() == 0;
        let program = PathBuf::from(env!("CARGO_BIN_EXE_fleetwright"));
        let mut place = Self { temp, program, user: superuser.then_some(NOBODY) };
        fs::set_permissions(place.temp.path(), fs::Permissions::from_mode(0o755)).expect("permissions");
        fs::create_dir(place.dir()).expect("a directory");
        for (name, text) in example_files("01-quickstart") {
            fs::write(place.dir().join(name), text).expect("written");
        }
        place.own(&place.dir());
        // Where nobody may not even look into the build's directory, the program goes where he may.
        if place.command("--version").status().is_err() {
            let copy = place.temp.path().join("fleetwright");
            fs::copy(&place.program, &copy).expect("copied");
            fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).expect("permissions");
            place.program = copy;
        }
        place
    }

    /// The same, applied.
    fn applied() -> Self {
        let place = Self::new();
        place.done("apply --auto-approve");
        place
    }

    fn dir(&self) -> PathBuf {
        self.temp.path().join("config")
    }

    /// All below a path belongs to whoever runs the program.
    fn own(&self, path: &Path) {
        let Some(user) = self.user else { return };
        chown(path, Some(user), Some(user)).expect("the superuser may");
        if path.is_dir() {
            for entry in fs::read_dir(path).expect("a directory") {
                self.own(&entry.expect("an entry").path());
            }
        }
    }

    fn command(&self, args: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.args(args.split_whitespace()).current_dir(self.dir()).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.env_clear().env("HOME", "/nonexistent").env("USER", "nobody");
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        command
    }

    fn run(&self, args: &str) -> Said {
        let output = self.command(args).output().expect("the program");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Said { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    #[track_caller]
    fn done(&self, args: &str) {
        let Said { code, out, err } = self.run(args);
        assert_eq!(code, Some(0), "{args}\n{out}{err}");
    }

    fn mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.dir().join(name), fs::Permissions::from_mode(mode)).expect("permissions");
    }

    /// With another mode of a file, these commands are refused, and do nothing. Then it is as it was, and all goes on.
    #[track_caller]
    fn refused(&self, shown: &mut String, what: &str, (name, mode): (&str, u32), commands: &[&str]) {
        let path = self.dir().join(name);
        let before = fs::metadata(&path).expect("it is there").permissions().mode() & 0o7777;
        let files = tree(&self.dir());
        self.mode(name, mode);
        _ = writeln!(shown, "=== {what}");
        let mut last = None;
        for args in commands {
            let Said { code, out, err } = self.run(args);
            let all = format!("{what}: {args}\n{out}{err}");
            assert!(![Some(0), Some(2), Some(101), None].contains(&code), "{all}");
            assert!(err.contains("error[") && err.contains("help: "), "{all}");
            for word in ["panicked", "failed inside", "/tmp/"] {
                assert!(!err.contains(word) && !out.contains(word), "{word} is in {all}");
            }
            assert_eq!(tree(&self.dir()), files, "{all}");
            let text = format!("exit {}\n{}", code.unwrap_or_default(), err.trim_end());
            // What several commands say alike is shown once.
            if last.as_ref() != Some(&text)
                && let Some(text) = last.replace(text)
            {
                _ = writeln!(shown, "{text}\n");
            }
            _ = writeln!(shown, "$ fleetwright {args}");
        }
        _ = writeln!(shown, "{}\n", last.unwrap_or_default());
        self.mode(name, before);
    }
}

/// What looks, and what writes.
const APPLY: &str = "apply --auto-approve";

#[test]
fn a_directory_in_which_nothing_can_be_made() {
    let place = Place::new();
    let mut shown = String::new();
    place.mode(".", 0o555);
    let files = tree(&place.dir());
    for looking in ["validate", "plan", "plan --json", "graph", "state list", "history", "show"] {
        place.done(looking);
    }
    assert_eq!(tree(&place.dir()), files);
    place.mode(".", 0o755);
    place.refused(&mut shown, "a directory that can only be read", (".", 0o555), &[APPLY, "plan --out plan.json"]);
    // Nothing was lost by it.
    place.done(APPLY);
    place.done("plan --detailed-exitcode");
    insta::assert_snapshot!(shown);
}

#[test]
fn a_state_that_can_only_be_read() {
    let place = Place::applied();
    let mut shown = String::new();
    let writing = [APPLY, "destroy --auto-approve", "state rm fleet.web[0] --auto-approve"];
    place.refused(&mut shown, "the file of the state", ("state/default.db", 0o444), &writing);
    place.refused(&mut shown, "its directory", ("state", 0o555), &writing);
    let asking = ["plan", writing[0], writing[1], "cloud inspect"];
    place.refused(&mut shown, "the file of the embedded cloud", ("state/cloud.db", 0o444), &asking);
    place.refused(&mut shown, "its directory, by whoever asks the cloud", ("state", 0o555), &["plan", "cloud inspect"]);
    for (name, mode) in [("state/default.db", 0o444), ("state", 0o555), ("state/cloud.db", 0o444)] {
        let mode_before = fs::metadata(place.dir().join(name)).expect("there").permissions().mode() & 0o7777;
        let files = tree(&place.dir());
        place.mode(name, mode);
        for looking in ["validate", "state list", "history", "show", "graph"] {
            place.done(looking);
        }
        // The embedded cloud notes the time of every question, so nobody asks it anything; a state is only read.
        if name == "state/default.db" {
            let others = || {
                let all = tree(&place.dir()).into_iter();
                all.filter(|(path, _)| !path.ends_with("cloud.db")).collect::<Vec<_>>()
            };
            let before = others();
            place.done("plan --detailed-exitcode");
            assert_eq!(others(), before);
            place.mode(name, mode_before);
            continue;
        }
        assert_eq!(tree(&place.dir()), files, "{name}");
        place.mode(name, mode_before);
    }
    place.done(APPLY);
    place.done("destroy --auto-approve");
    insta::assert_snapshot!(shown);
}

#[test]
fn files_that_cannot_be_read() {
    let place = Place::applied();
    place.done("plan --out plan.json");
    let mut shown = String::new();
    let all = ["validate", "plan", APPLY, "destroy --auto-approve"];
    let config = example_files("01-quickstart").into_iter().map(|(name, _)| name);
    let config = config.into_iter().find(|name| name.ends_with(".yaml")).expect("a config");
    place.refused(&mut shown, "a file of the config", (&config, 0o000), &all);
    place.refused(&mut shown, "the config's directory", (".", 0o311), &all);
    fs::create_dir(place.dir().join("environments")).expect("a directory");
    place.own(&place.dir());
    place.refused(&mut shown, "the directory of the environments", ("environments", 0o000), &all);
    let of_state = ["plan", APPLY, "state list", "history", "show", "force-unlock"];
    place.refused(&mut shown, "the state", ("state/default.db", 0o000), &of_state);
    place.refused(&mut shown, "the state's directory", ("state", 0o000), &of_state);
    place.refused(&mut shown, "the pins", ("fleetwright.lock", 0o000), &["plan", APPLY]);
    place.refused(&mut shown, "a plan", ("plan.json", 0o000), &["show plan.json", "apply plan.json"]);
    place.refused(&mut shown, "the embedded cloud", ("state/cloud.db", 0o000), &["plan", APPLY, "cloud inspect"]);
    place.done("plan --detailed-exitcode");
    insta::assert_snapshot!(shown);
}

/// Pins are written before anything is made with them.
#[test]
fn pins_that_cannot_be_written() {
    let place = Place::new();
    fs::create_dir(place.dir().join("state")).expect("a directory");
    place.own(&place.dir());
    place.mode(".", 0o555);
    let Said { code, out: _, err } = place.run(APPLY);
    insta::assert_snapshot!(err);
    assert_eq!(code, Some(1));
    let there = tree(&place.dir());
    let names: Vec<_> = there.keys().filter_map(|path| path.file_name()?.to_str()).collect();
    assert!(names.iter().all(|name| !name.starts_with('.')), "something half is left: {names:?}");
    assert!(!names.contains(&"fleetwright.lock"));
    let said = place.run("state list");
    assert_eq!((said.code, said.out.contains("fleet.web")), (Some(0), false), "{}", said.out);
    place.mode(".", 0o755);
    place.done(APPLY);
    place.done("plan --detailed-exitcode");
    // A file that may not be written is replaced by another one, where its directory may.
    place.mode("fleetwright.lock", 0o444);
    place.done("apply --auto-approve --upgrade");
    place.done("plan --detailed-exitcode");
}

/// What a run that was killed leaves beside its files is in nobody's way.
#[test]
fn what_a_killed_run_left_behind() {
    let place = Place::new();
    fs::create_dir(place.dir().join("state")).expect("a directory");
    let whole = fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/state-v1.db")).expect("a state");
    let left: [(&str, &[u8]); 6] = [
        ("state/.default.db.new-0", b""),
        ("state/.default.db.new-1", &whole[..whole.len() / 2]),
        ("state/.default.db.new-2", &whole),
        ("state/.default.db.new-2-wal", b"half"),
        (".fleetwright.lock.4711", b"{\"format\": 1"),
        (".plan.json.4711", b"{"),
    ];
    for (name, bytes) in left {
        fs::write(place.dir().join(name), bytes).expect("written");
    }
    place.own(&place.dir());
    for args in ["validate", "plan --out plan.json", "apply plan.json", "plan --detailed-exitcode", "state list"] {
        place.done(args);
    }
    for (name, bytes) in left {
        assert_eq!(fs::read(place.dir().join(name)).expect("as it was"), bytes, "{name}");
    }
    assert!(!place.dir().join("state/.default.db.new-3").exists());
    place.done("destroy --auto-approve");
}
