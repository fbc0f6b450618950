//! Cases of whole runs: `tests/cases/plan/NAME/` holds a config, a script, and the golden of what is said.
//! `UPDATE_GOLDENS=1` writes the goldens anew.
//!
//! A script has one command a line; a line that is indented goes on with the one before.
//!
//! - `$ ARGS`: runs the program, and shows all that it says. What is refused has changed nothing in the cloud.
//! - `> ARGS`: runs the program, which has to succeed, and shows nothing.
//! - `edit FILE: OLD => NEW`: replaces a text that stands once in a file of the config.
//! - `cloud REGION ACTION JSON`: a request by hand, as the owner; `<fleet.web[0]>` stands for the id of that address, and
//!   `<1>` for the first id that such a request gave. Then the cloud has time to do it.
//! - `limit NAME N`: a limit of the cloud, before anything is run.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use fleetwright::cli::Exit;
use fleetwright::cloud::embedded::Settings;
use fleetwright::model::limits::Limits;
use serde_json::Value;

use crate::kit::quick;
use crate::rig::Rig;

const SCRIPT: &str = "script";
const GOLDEN: &str = "expected.txt";

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/plan");
    let mut cases: Vec<PathBuf> =
        fs::read_dir(folder).expect("cases").map(|entry| entry.expect("an entry").path()).collect();
    cases.sort();
    cases
}

/// The commands of a script.
fn commands(script: &str) -> Vec<String> {
    let mut commands: Vec<String> = Vec::new();
    for line in script.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
        match commands.last_mut() {
            Some(last) if line.starts_with(' ') => *last += &format!(" {}", line.trim()),
            _ => commands.push(line.to_owned()),
        }
    }
    commands
}

fn limits(commands: &[String]) -> Limits {
    let mut limits = Limits::EMBEDDED;
    for command in commands {
        let Some((name, n)) = command.strip_prefix("limit ").and_then(|rest| rest.split_once(' ')) else { continue };
        let n = n.parse().expect("a number");
        match name {
            "images_per_region" => limits.images_per_region = n,
            "accounts_per_image" => limits.accounts_per_image = n,
            "instances_per_zone" => limits.instances_per_zone = n,
            "prepaid_per_zone_and_month" => limits.prepaid_per_zone_and_month = n,
            "spot_cores_per_zone" => limits.spot_cores_per_zone = n,
            other => panic!("there is no limit {other:?}"),
        }
    }
    limits
}

/// Plays a case, and answers what it shows.
fn play(case: &Path) -> String {
    let script = fs::read_to_string(case.join(SCRIPT)).expect("a script");
    let commands = commands(&script);
    let rig = Rig::with(&[], Settings { limits: limits(&commands), ..quick() });
    for entry in fs::read_dir(case).expect("the case") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if name != SCRIPT && name != GOLDEN {
            rig.write(&name, &fs::read_to_string(&path).expect("text"));
        }
    }
    let mut shown = String::new();
    let mut ids: Vec<String> = Vec::new();
    for command in &commands {
        let (verb, rest) = command.split_once(' ').unwrap_or((command, ""));
        match verb {
            "$" => {
                let mark = rig.mark();
                let ran = rig.run(rest);
                if !matches!(ran.exit, Exit::Done | Exit::Changes) {
                    assert_eq!(rig.mutating(mark), Vec::<String>::new(), "{}: {rest}", case.display());
                }
                for fault in ran.err.split("error[").skip(1) {
                    assert!(fault.contains("help: "), "{}: nothing says what to do: {fault}", case.display());
                }
                let said = format!("{}{}", ran.out, ran.err);
                _ = write!(shown, "$ fleetwright {rest}\nexit {}\n{}\n\n", ran.exit.code(), said.trim_end());
            }
            ">" => drop(rig.run(rest).expect(Exit::Done)),
            "edit" => {
                let (file, rest) = rest.split_once(": ").expect("a file");
                let (from, to) = rest.split_once(" => ").expect("what it becomes");
                rig.edit(file, from, &named(&rig, &ids, to));
            }
            "cloud" => {
                let mut words = rest.splitn(3, ' ');
                let mut word = || words.next().expect("region, action and body");
                let (region, action, body) = (word(), word(), named(&rig, &ids, word()));
                let body: Value = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"));
                ids.extend(given(&rig.by_hand(region, action, &body)));
                rig.wait_ms(10_000);
            }
            "limit" => {}
            other => panic!("{}: what is {other:?}?", case.display()),
        }
    }
    shown
}

/// The ids that an answer hands out.
fn given(answer: &Value) -> Vec<String> {
    let one = answer["ImageId"].as_str().map(str::to_owned);
    let many = answer["InstanceIdSet"].as_array().into_iter().flatten();
    one.into_iter().chain(many.map(|id| id.as_str().expect("an id").to_owned())).collect()
}

/// A text with ids in the place of what stands for them.
fn named(rig: &Rig, ids: &[String], text: &str) -> String {
    let mut named = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('<') {
        let (addr, after) = after.split_once('>').expect("its end");
        let id = match addr.parse::<usize>() {
            Ok(n) => ids[n - 1].clone(),
            Err(_) => rig.id(addr),
        };
        named += before;
        named += &id;
        rest = after;
    }
    named + rest
}

#[expect(clippy::disallowed_methods, reason = "the switch of a test")]
fn updating() -> bool {
    std::env::var_os("UPDATE_GOLDENS").is_some()
}

#[test]
fn every_case_says_what_its_golden_says() {
    let mut wrong = Vec::new();
    for case in cases() {
        let shown = play(&case);
        let golden = case.join(GOLDEN);
        if updating() {
            fs::write(&golden, &shown).expect("written");
        } else if fs::read_to_string(&golden).ok().as_deref() != Some(&shown) {
            wrong.push(format!("--- {}\n{shown}", case.display()));
        }
    }
    assert!(wrong.is_empty(), "{}\nrun with UPDATE_GOLDENS=1 if this is meant", wrong.join("\n"));
}

/// What goes wrong most, and costs most: where a golden shows it, and with which words.
const MUST_BE_CAUGHT: &[(&str, &str, &str)] = &[
    ("owner not trusted", "cases/config/trusted-owner-other", "error[untrusted-owner]"),
    ("owner not trusted, none named", "cases/config/trusted-owner-missing", "error[untrusted-owner]"),
    ("owner another one than the config says", "cases/plan/images-of-others", "error[image-owner]"),
    ("fee not accepted", "cases/config/marketplace-fee", "error[fee-not-accepted]"),
    ("two sources", "cases/config/image-of-two-sources", "error[conflict]: image `both` comes from two places"),
    ("no source", "cases/config/image-of-two-sources", "error[missing-key]: image `none` does not say where"),
    ("malformed URL", "cases/config/import-url", "error[invalid-value]: there is no host in"),
    ("URL with a secret", "cases/config/import-signed-url", "error[signed-url]"),
    ("import of an unsupported system", "cases/plan/system-that-is-not-imported", "error[unknown-system]"),
    ("received image renamed", "cases/config/shared-image-keys", "error[not-ours]: a shared image takes no `name`"),
    ("received image shared", "cases/config/share-of-what-is-not-ours", "error[wrong-kind]"),
    ("received image sent elsewhere", "cases/config/shared-image-keys", "takes no `regions`"),
    ("received image run elsewhere", "cases/plan/received-image-elsewhere", "error[image-not-in-region]"),
    ("fleet where its image is not", "cases/config/fleet-without-its-image", "error[image-not-in-region]"),
    (
        "slot out of range",
        "cases/config/slot-out-of-range",
        "error[unknown-reference]: fleet `builder` has no slot [3]",
    ),
    ("cycle through builder and fleet", "cases/config/cycle", "the circle: image.db -> fleet.builder -> image.db"),
    ("cycle through a copy", "cases/config/cycle-through-copy-and-fleet", "the circle: image.sealed -> image.web"),
    ("duplicate accounts", "cases/config/shares", "error[conflict]: `100000000002` stands twice in `accounts`"),
    ("too many data disks", "cases/config/data-disks", "21 data disks are too many"),
    ("keys and keep_image_login", "cases/config/fleet-values", "error[conflict]: `keep_image_login` and `key_ids`"),
    ("prepaid without a period", "cases/config/charge-types", "error[missing-key]"),
    ("empty file", "cases/config/empty-file", "error[empty-file]"),
    ("file of comments only", "cases/config/only-comments", "error[empty-file]"),
    ("empty directory", "cases/config/empty-directory", "error[no-config]"),
    ("<<", "cases/config/merge-in-fleet", "error[merge-key]"),
    ("several documents", "cases/config/several-documents", "error[several-documents]"),
    ("YAML bomb", "cases/config/alias-bomb", "error[alias]"),
    ("20,000 levels", "cases/config/nested-too-deep", "error[too-large]: the text is nested deeper"),
    ("not UTF-8", "cases/config/not-utf8", "error[not-utf8]"),
    (
        "unreadable file",
        "it/bad_files/snapshots/it__bad_files__denied__files_that_cannot_be_read.snap",
        "error[unreadable]",
    ),
    ("directory named like a file", "cases/config/directory-named-yaml", "warning[not-read]"),
    (
        "directory as a file",
        "it/bad_files/snapshots/it__bad_files__config__user_data_that_cannot_be_read.snap",
        "error[unreadable]: `boot.sh` cannot be read",
    ),
    (
        "directory as a plan",
        "it/bad_files/snapshots/it__bad_files__pins_and_cloud__plan_files.snap",
        "it is a directory",
    ),
    (
        "file as a directory",
        "it/bad_files/snapshots/it__bad_files__config__a_directory_that_is_a_file.snap",
        "error[no-config]",
    ),
    ("state that is no database", "it/bad_files/snapshots/it__bad_files__state__text.snap", "error[not-a-state]"),
    ("newer state", "it/bad_files/snapshots/it__bad_files__state__a_newer_schema.snap", "error[newer-state]"),
    ("full disk", "it/bad_files/snapshots/it__bad_files__full__at_every_write_of_an_apply.snap", "the disk is full"),
    (
        "read-only directory",
        "it/bad_files/snapshots/it__bad_files__denied__a_directory_in_which_nothing_can_be_made.snap",
        "error[unwritable]",
    ),
    (
        "read-only state",
        "it/bad_files/snapshots/it__bad_files__denied__a_state_that_can_only_be_read.snap",
        "error[store]: state/default.db: cannot be written",
    ),
];

#[test]
fn what_must_be_caught_is_in_a_golden() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut lacking = Vec::new();
    for (what, place, words) in MUST_BE_CAUGHT {
        let place = tests.join(place);
        let golden = if place.is_dir() { place.join(GOLDEN) } else { place };
        let text = fs::read_to_string(&golden).unwrap_or_default();
        let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if !flat.contains(words) {
            lacking.push(format!("{what}: {words:?} is not in {}", golden.display()));
        }
    }
    assert!(lacking.is_empty(), "{}", lacking.join("\n"));
}

#[test]
fn a_script_is_read_line_by_line() {
    let script = "# what is refused\nlimit images_per_region 3\n\n> apply\nedit a.yaml: one\n  two => three\n$ plan\n";
    let commands = commands(script);
    assert_eq!(commands, ["limit images_per_region 3", "> apply", "edit a.yaml: one two => three", "$ plan"]);
    assert_eq!(limits(&commands).images_per_region, 3);
}
