//! A first config, its graph, and the command line told to shells and manuals.

use std::collections::{BTreeMap, BTreeSet};

use fleetwright::cli::Exit;

use crate::kit::{BOOT, FLEET, IMAGE, says};
use crate::rig::Rig;

fn empty() -> Rig {
    Rig::new(&[])
}

#[test]
fn a_first_config_plans_and_applies() {
    let rig = empty();
    let wrote = rig.run("init shop --project webshop").expect(Exit::Done);
    insta::assert_snapshot!("init", wrote.out);
    let ran = rig.run("-C shop validate").expect(Exit::Done);
    assert_eq!(ran.err, "", "no warnings");
    says(&rig.run("-C shop plan").expect(Exit::Done).out, "Plan: 2 to add, 0 to change, 0 to reset, 0 to destroy.");
    says(&rig.run("-C shop plan").expect(Exit::Done).out, "Project webshop");
    assert!(rig.read("shop/.gitignore").lines().any(|line| line == "/state/"));
    assert!(rig.read("shop/fleetwright.yaml").starts_with("# vim: set ft=yaml"));
    rig.run("-C shop apply --auto-approve").expect(Exit::Done);
    rig.run("-C shop plan --detailed-exitcode").expect(Exit::Done);
}

#[test]
fn what_is_commented_out_in_it_is_right_as_well() {
    let rig = empty();
    rig.run("init shop").expect(Exit::Done);
    let text = rig.read("shop/fleetwright.yaml");
    // As the comments say: take the `#` away, and let `web` run from the image.
    let (head, body) = text.split_once("project:").expect("a project");
    let lines = body.lines().map(|line| {
        let bare = line.trim_start();
        let indent = &line[..line.len() - bare.len()];
        match bare.strip_prefix("# ") {
            Some(code) if is_code(code) => format!("{indent}{code}"),
            _ => line.to_owned(),
        }
    });
    let text = format!("{head}project:{}\n", lines.collect::<Vec<_>>().join("\n"));
    let text = text.replacen("    image: ubuntu\n    count: 2", "    image: web\n    count: 2", 1);
    rig.write("shop/fleetwright.yaml", &text);
    let ran = rig.run("-C shop validate").expect(Exit::Done);
    says(&ran.out, "2 images, 1 share, 2 fleets");
    rig.run("-C shop apply --auto-approve").expect(Exit::Done);
    rig.run("-C shop plan --detailed-exitcode").expect(Exit::Done);
}

/// Whether a comment is a part of the config that is switched off.
fn is_code(comment: &str) -> bool {
    let bare = comment.trim_start();
    bare.starts_with("#!") || bare.starts_with("# sim") || bare.starts_with("echo") || bare == "poweroff" || {
        let key = bare.split(':').next().unwrap_or_default();
        bare.contains(':') && key.chars().all(|c| c.is_ascii_lowercase() || c == '_') && !key.is_empty()
    }
}

#[test]
fn nothing_is_written_over() {
    let rig = Rig::new(&[("shop.yaml", FLEET), ("boot.sh", BOOT)]);
    let refused = rig.run("init").expect(Exit::Failed);
    insta::assert_snapshot!("init_refused", refused.err);
    assert_eq!(rig.read("shop.yaml"), FLEET);
    assert!(!rig.dir().join(".gitignore").exists());

    let rig = empty();
    rig.write(".gitignore", "*.log\n/state/\n");
    let wrote = rig.run("init").expect(Exit::Done).out;
    says(&wrote, "Wrote fleetwright.yaml: the config of project config.");
    says(&wrote, "it should have these lines as well: plan.json");
    assert_eq!(rig.read(".gitignore"), "*.log\n/state/\n");
    says(&rig.run("init other --project Shop!").expect(Exit::Config).err, "for example: --project shop");
    assert!(!rig.dir().join("other").exists());
    rig.write("file", "");
    says(&rig.run("init file").expect(Exit::Failed).err, "error[unwritable]: file cannot be written");
    let json = rig.json("init third --json");
    assert_eq!(json["written"], serde_json::json!(["fleetwright.yaml", ".gitignore"]));
    assert_eq!(json["project"], "third");
}

fn graphed() -> Rig {
    let yaml = IMAGE.replace(
        "public: { name: \"Ubuntu Server 22.04 LTS 64bit\" }",
        "public: { name: \"A \\\"B\\\" #1; <C> [D]\" }",
    );
    Rig::new(&[("shop.yaml", &yaml), ("boot.sh", BOOT)])
}

/// What the graph of the config is.
const EDGES: [(&str, &str); 4] = [
    ("fleet.builder", "image.ubuntu"),
    ("fleet.web", "image.web"),
    ("image.web", "fleet.builder"),
    ("share.partners", "image.web"),
];

#[test]
fn the_graph_for_graphviz() {
    let rig = graphed();
    let text = rig.run("graph").expect(Exit::Done).out;
    insta::assert_snapshot!("graph_dot", text);
    assert_eq!(text, rig.run("graph --format dot").out);
    // By hand: a head, one statement a line, nodes before edges, quotes that are closed.
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("digraph \"shop\" {"));
    assert_eq!(text.lines().last(), Some("}"));
    let (mut nodes, mut edges) = (BTreeSet::new(), BTreeSet::new());
    for line in lines.map(str::trim).filter(|line| line.starts_with('"')) {
        assert!(line.ends_with(';'), "{line}");
        let mut texts = Vec::new();
        let mut rest = line;
        while let Some(at) = rest.find('"') {
            rest = &rest[at + 1..];
            let mut end = 0;
            let bytes = rest.as_bytes();
            while bytes[end] != b'"' {
                end += if bytes[end] == b'\\' { 2 } else { 1 };
            }
            texts.push(rest[..end].to_owned());
            rest = &rest[end + 1..];
        }
        if line.contains(" -> ") {
            assert_eq!(texts.len(), 2, "{line}");
            assert!(nodes.contains(&texts[0]) && nodes.contains(&texts[1]), "{line}");
            edges.insert((texts[0].clone(), texts[1].clone()));
        } else {
            assert_eq!(texts.len(), 2, "an id and a label: {line}");
            assert!(line.contains("shape = "), "{line}");
            assert!(nodes.insert(texts[0].clone()), "{line}");
        }
    }
    let wanted: BTreeSet<_> = EDGES.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect();
    assert_eq!(edges, wanted);
    assert_eq!(nodes.len(), 5);
}

#[test]
fn the_graph_for_mermaid() {
    let rig = graphed();
    let text = rig.run("graph --format mermaid").expect(Exit::Done).out;
    insta::assert_snapshot!("graph_mermaid", text);
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("flowchart LR"));
    let mut names = BTreeMap::new();
    let mut edges = BTreeSet::new();
    for line in lines.map(str::trim) {
        if let Some((from, to)) = line.split_once(" --> ") {
            edges.insert((names[from], names[to]));
            continue;
        }
        let end = line.find(|c: char| !c.is_ascii_alphanumeric()).expect("a shape");
        let (id, shape) = line.split_at(end);
        assert!(id.starts_with('n') && id[1..].bytes().all(|byte| byte.is_ascii_digit()), "{line}");
        let label = shape.split('"').nth(1).expect("a label");
        assert_eq!(shape.matches('"').count(), 2, "{line}");
        let (address, rest) = label.split_once("<br/>").expect("two lines");
        assert!(!rest.contains(['<', '>', '[', ']', '"']), "{line}");
        let (open, close) = (shape.split('"').next().expect("open"), shape.split('"').nth(2).expect("close"));
        let mirrored: String = open
            .chars()
            .rev()
            .map(|c| match c {
                '(' => ')',
                '[' => ']',
                '{' => '}',
                other => other,
            })
            .collect();
        assert_eq!(mirrored, close, "{line}");
        assert_eq!(names.insert(id, address), None);
    }
    assert_eq!(edges, BTreeSet::from(EDGES));
}

#[test]
fn the_graph_for_programs_needs_no_cloud_and_no_state() {
    let rig = graphed();
    let json = rig.json("graph --json");
    assert_eq!(json["needs"].as_array().map(Vec::len), Some(EDGES.len()));
    assert_eq!(json["blocks"].as_array().map(Vec::len), Some(5));
    assert!(!rig.dir().join("state").exists());
    assert_eq!(rig.calls(0), BTreeMap::new());
    rig.edit("shop.yaml", "image: web\n    count", "image: wbe\n    count");
    rig.run("graph").expect(Exit::Config);
    rig.run("graph --format svg").expect(Exit::Usage);
}

#[test]
fn completions_for_each_shell() {
    let rig = empty();
    for (shell, words) in [
        ("bash", "complete -F"),
        ("zsh", "#compdef fleetwright"),
        ("fish", "complete -c fleetwright"),
        ("elvish", "edit:completion"),
        ("powershell", "Register-ArgumentCompleter"),
    ] {
        let text = rig.run(&format!("completions {shell}")).expect(Exit::Done).out;
        assert!(text.contains(words), "{shell}");
        for verb in ["plan", "force-unlock", "auto-approve"] {
            assert!(text.contains(verb), "{shell}: {verb}");
        }
    }
    rig.run("completions tcsh").expect(Exit::Usage);
}

#[test]
fn pages_for_man() {
    let rig = empty();
    let page = rig.run("man").expect(Exit::Done).out;
    assert!(page.contains(".TH fleetwright 1"), "{page}");
    says(&rig.run("man --dir pages").expect(Exit::Done).out, "pages into pages.");
    assert_eq!(rig.read("pages/fleetwright.1"), page);
    let prune = rig.read("pages/fleetwright-history-prune.1");
    assert!(prune.contains(".TH fleetwright-history-prune 1") && prune.contains("older"), "{prune}");
    rig.write("blocked", "");
    rig.run("man --dir blocked").expect(Exit::Failed);
}
