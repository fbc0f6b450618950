//! Names that mean something to a shell or to a terminal.

use std::process::Command;

use fleetwright::cli::Exit;

use super::{check, tree};
use crate::kit::FLEET;
use crate::rig::{Ran, Rig};

const ODD: [&str; 9] = [
    "with blanks",
    "it's",
    "a\"quote\"",
    "$(touch pwned)",
    "`touch pwned`; touch pwned",
    "-C",
    "new\nline",
    "tab\tand \u{1b}[31mred",
    "naïve 网 \u{202e}gpj.exe",
];

/// The commands that a text tells one to type: what follows `fleetwright`, as a shell would take it apart.
fn commands(text: &str) -> Vec<Vec<String>> {
    let flat = text.lines().map(|line| line.trim_start_matches([' ', '|', '='])).collect::<Vec<_>>().join(" ");
    let starts: Vec<usize> = flat.match_indices("fleetwright ").map(|(at, _)| at).collect();
    let shell = |command: &str| {
        let script = format!("printf '%s\\0' {}", &command["fleetwright ".len()..]);
        let output = Command::new("bash").args(["-fc", &script]).output().expect("bash");
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        assert!(output.status.success(), "{command:?} cannot be pasted");
        text.split_terminator('\0').map(str::to_owned).collect::<Vec<_>>()
    };
    starts.iter().map(|at| shell(&flat[*at..])).collect()
}

/// A world whose config lies in a directory of this name.
fn world(name: &str) -> Rig {
    let rig = Rig::new(&[("keep.txt", "")]);
    rig.write(&format!("{name}/shop.yaml"), FLEET);
    rig.write(&format!("{name}/boot.sh"), "#!/bin/sh\necho one\n");
    rig
}

#[track_caller]
fn plain(name: &str, ran: &Ran) {
    let text = format!("{}{}", ran.out, ran.err);
    assert!(!text.contains(['\u{1b}', '\t', '\u{202e}']), "{name:?} reaches the terminal: {text:?}");
    if ran.exit != Exit::Done {
        check(name, ran);
    }
}

#[test]
fn a_directory_of_any_name() {
    for name in ODD {
        let rig = world(name);
        let path = if name.starts_with('-') { format!("./{name}") } else { name.to_owned() };
        let dir = format!("--chdir={path}");
        let run = |words: &[&str]| {
            let ran = rig.run_words(&[&[dir.as_str()], words].concat());
            plain(name, &ran);
            ran
        };
        run(&["validate"]).expect(Exit::Done);
        let planned = run(&["plan", "--out", "a plan.json"]).expect(Exit::Done);
        // The command that is told works as it is typed.
        let (_, told) = planned.out.split_once("just this one:\n").expect("the command");
        let told = commands(told);
        let words: Vec<&str> = told[0].iter().map(String::as_str).collect();
        let ran = rig.run_words(&words);
        plain(name, &ran);
        ran.expect(Exit::Done);
        assert_eq!(rig.instances("ap-guangzhou").len(), 5, "{name:?}: {words:?}");
        rig.edit(&format!("{name}/shop.yaml"), "count: 5", "count: 6");
        let refused = run(&["apply"]).expect(Exit::Failed);
        let told = commands(refused.err.split("1 error").next().expect("a text"));
        let words: Vec<&str> = told[0].iter().map(String::as_str).collect();
        rig.run_words(&words).expect(Exit::Done);
        assert_eq!(rig.instances("ap-guangzhou").len(), 6, "{name:?}: {words:?}");
        run(&["state", "list"]).expect(Exit::Done);
        run(&["force-unlock"]).expect(Exit::Done);
        run(&["apply", "a plan.json"]).expect(Exit::Foreign);
        assert!(!tree(&rig.dir()).keys().any(|path| path.ends_with("pwned")));
    }
}

#[test]
fn a_directory_of_any_name_that_is_not_there() {
    let rig = Rig::new(&[]);
    let mut all = String::new();
    for name in ODD {
        for words in [&["validate"][..], &["apply", "--auto-approve"], &["show"], &["apply", "plan\u{1b}[0m.json"]] {
            let ran = rig.run_words(&[&[format!("--chdir=./{name}").as_str()], words].concat());
            plain(name, &ran);
            let wanted = if words.contains(&"plan\u{1b}[0m.json") { Exit::Failed } else { Exit::Config };
            assert_eq!(ran.exit, wanted, "{name:?} {words:?}");
            if words == ["validate"] {
                all += &ran.err;
            }
        }
    }
    insta::assert_snapshot!(all);
}

/// Files of a config bear names, too.
#[test]
fn a_file_of_any_name() {
    let mut all = String::new();
    for name in ODD {
        let rig = Rig::new(&[("boot.sh", "true"), ("shop.yaml", FLEET), (&format!("{name}.yaml"), "project: [\n")]);
        let ran = rig.run("validate");
        plain(name, &ran);
        all += &ran.expect(Exit::Config).err;
    }
    insta::assert_snapshot!(all);
}
