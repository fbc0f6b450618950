//! `docs/cli.md`, made from the arguments as clap has them; and that help, manual and document say the same.

use std::fmt::Write as _;

use clap::{Arg, ArgAction, Command};

use super::Exit;
use super::shell_help::{command, pages};

/// The commands below one, by their whole names, each behind the one that it belongs to.
fn commands() -> Vec<(String, Command)> {
    fn add(name: &str, command: &Command, all: &mut Vec<(String, Command)>) {
        all.push((name.to_owned(), command.clone()));
        for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
            add(&format!("{name} {}", below.get_name()), below, all);
        }
    }
    let mut whole = command();
    whole.build();
    let mut all = Vec::new();
    add("fleetwright", &whole, &mut all);
    all
}

/// Whether an argument belongs to all commands, and is told of once.
fn is_common(arg: &Arg) -> bool {
    arg.is_global_set() || matches!(arg.get_id().as_str(), "help" | "version")
}

fn value_name(arg: &Arg) -> String {
    let names = arg.get_value_names().unwrap_or_default();
    names.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(" ")
}

fn takes_value(arg: &Arg) -> bool {
    !matches!(
        arg.get_action(),
        ArgAction::SetTrue
            | ArgAction::SetFalse
            | ArgAction::Count
            | ArgAction::Help
            | ArgAction::HelpShort
            | ArgAction::HelpLong
            | ArgAction::Version
    )
}

/// `-C, --chdir DIR`, `[RUN]`, `ADDR…`.
fn written(arg: &Arg) -> String {
    let value = value_name(arg);
    let many = if matches!(arg.get_action(), ArgAction::Append) { "…" } else { "" };
    if arg.is_positional() {
        return if arg.is_required_set() { format!("{value}{many}") } else { format!("[{value}{many}]") };
    }
    let names = [arg.get_short().map(|short| format!("-{short}")), arg.get_long().map(|long| format!("--{long}"))];
    let names = names.into_iter().flatten().collect::<Vec<_>>().join(", ");
    if takes_value(arg) { format!("{names} {value}{many}") } else { names }
}

fn defaults(arg: &Arg) -> Vec<String> {
    let shown = takes_value(arg) && !arg.is_hide_default_value_set();
    let values = arg.get_default_values().iter().map(|value| value.to_string_lossy().into_owned());
    values.filter(|_| shown).collect()
}

fn possible(arg: &Arg) -> Vec<String> {
    let shown = takes_value(arg) && !arg.is_hide_possible_values_set();
    arg.get_possible_values().iter().filter(|_| shown).map(|value| value.get_name().to_owned()).collect()
}

fn help(arg: &Arg) -> String {
    let mut text = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let list = |words: Vec<String>| words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    let possible = possible(arg);
    if !possible.is_empty() {
        _ = write!(text, "; one of {}", list(possible));
    }
    let defaults = defaults(arg);
    if !defaults.is_empty() {
        _ = write!(text, " (default: {})", list(defaults));
    }
    text.replace('|', "\\|")
}

fn table(out: &mut String, args: &[&Arg]) {
    if args.is_empty() {
        return;
    }
    out.push_str("\n| argument | meaning |\n|---|---|\n");
    for arg in args {
        _ = writeln!(out, "| `{}` | {} |", written(arg), help(arg));
    }
}

/// The document.
fn markdown() -> String {
    let all = commands();
    let mut out = String::from(
        "# The command line\n\nThis file is made from the program's own definition of its arguments.\n\n\
         stdout carries what was asked for, and nothing else; talk, progress and faults go to stderr. With `--json`, what\n\
         is asked for is one JSON document ([json.md](json.md)), and so is a fault.\n\n## Exit codes\n\n\
         They keep their meanings for ever. [diagnostics.md](diagnostics.md) says which faults lead to which.\n\n\
         | code | meaning |\n|---|---|\n",
    );
    for (exit, meaning) in Exit::ALL {
        _ = writeln!(out, "| {} | {meaning} |", exit.code());
    }
    for (n, (name, command)) in all.iter().enumerate() {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        let mut command = command.clone();
        let usage = command.render_usage().to_string().replace("Usage: ", "");
        _ = write!(out, "\n## {name}\n\n{about}.\n\n```text\n{}\n```\n", usage.trim());
        let args: Vec<&Arg> = command.get_arguments().filter(|arg| n == 0 || !is_common(arg)).collect();
        table(&mut out, &args);
        let below: Vec<&str> =
            command.get_subcommands().map(Command::get_name).filter(|below| *below != "help").collect();
        if !below.is_empty() {
            let links = below.iter().map(|word| {
                let anchor = format!("{name} {word}").replace(' ', "-");
                format!("[{word}](#{anchor})")
            });
            _ = write!(out, "\nCommands: {}.\n", links.collect::<Vec<_>>().join(", "));
        }
    }
    out
}

#[test]
#[expect(clippy::disallowed_methods, reason = "documents are written anew only when a person asks for it")]
fn the_document_is_what_the_arguments_say() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/cli.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, markdown()).expect("written");
    }
    let found = std::fs::read_to_string(path).expect("docs/cli.md").replace("\r\n", "\n");
    assert_eq!(found, markdown(), "run with UPDATE_DOCS=1");
}

/// The section of a command in the document.
fn section<'a>(document: &'a str, name: &str) -> &'a str {
    let heading = format!("\n## {name}\n");
    let start = document.find(&heading).unwrap_or_else(|| panic!("docs/cli.md lacks {name}")) + heading.len();
    let rest = &document[start..];
    &rest[..rest.find("\n## ").unwrap_or(rest.len())]
}

#[test]
fn help_manual_and_document_agree() {
    let (document, pages) = (markdown(), pages().expect("pages"));
    let all = commands();
    assert_eq!(pages.len(), all.len(), "a page for each command");
    for (name, command) in all {
        let file = format!("{}.1", name.replace(' ', "-"));
        // A manual escapes its hyphens.
        let page = pages.iter().find(|(page, _)| *page == file).map(|(_, text)| text.replace("\\-", "-"));
        let page = page.unwrap_or_else(|| panic!("there is no page {file}"));
        let help = command.clone().render_long_help().to_string();
        let section = section(&document, &name);
        let everywhere = |what: &str| {
            for (place, text) in [("the help", help.as_str()), ("the manual", &page), ("docs/cli.md", section)] {
                assert!(text.contains(what), "{place} of `{name}` lacks {what:?}:\n{text}");
            }
        };
        assert!(page.contains(&name.replace(' ', "-")), "{page}");
        for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
            everywhere(below.get_name());
        }
        for arg in command.get_arguments() {
            // What all commands have stands once in the document, at the program itself.
            if is_common(arg) && name != "fleetwright" {
                assert!(!section.contains(&written(arg)), "{name}: {arg}");
                continue;
            }
            if let Some(long) = arg.get_long() {
                everywhere(&format!("--{long}"));
            }
            if takes_value(arg) {
                everywhere(&value_name(arg));
            }
            for word in defaults(arg).iter().chain(&possible(arg)) {
                everywhere(word);
            }
            assert!(arg.get_help().is_some(), "{name}: {arg} says nothing about itself");
        }
        assert!(command.get_about().is_some_and(|about| !about.to_string().ends_with('.')), "{name}");
    }
}

#[test]
fn every_exit_code_is_in_the_document_once() {
    let document = markdown();
    for (exit, meaning) in Exit::ALL {
        assert_eq!(document.matches(&format!("\n| {} | {meaning} |\n", exit.code())).count(), 1);
    }
}
