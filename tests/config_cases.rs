//! Whole configs with golden diagnostics, at 80 columns and without colour. `UPDATE_GOLDENS=1` writes the goldens anew.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use fleetwright::cli::Exit;
use fleetwright::config::{ConfigFiles, Loaded, load, read_dir, resolve_text};
use fleetwright::diagnostic::{Diagnostic, SourceMap};
use fleetwright::graph::Blocks;
use fleetwright::model::addr::Block;
use fleetwright::model::digest::{SecretKey, SecretSource};
use fleetwright::model::ids::{Lineage, Name};
use fleetwright::report::diagnostics::{render, render_json};
use fleetwright::report::explain::reference;
use proptest::prelude::*;

fn key() -> SecretKey {
    SecretKey::of(&Lineage::new("test"))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

fn cases() -> Vec<PathBuf> {
    let mut cases: Vec<PathBuf> = fs::read_dir(root().join("tests/cases/config"))
        .expect("cases")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    cases.sort();
    cases
}

#[expect(clippy::disallowed_methods, reason = "the switches of a test")]
fn switched_on(name: &str) -> bool {
    std::env::var_os(name).is_some()
}

fn read(case: &Path) -> Loaded {
    let env = fs::read_to_string(case.join("ENV")).unwrap_or_else(|_| "default".to_owned());
    match read_dir(case, ".") {
        Ok(files) => load(&files, &Name::new(env.trim()), &key()),
        Err(fault) => panic!("{fault:?}"),
    }
}

fn shown(loaded: &Loaded) -> String {
    let mut out = render(&loaded.diagnostics, &loaded.sources, 80, false);
    if let Some(desired) = &loaded.desired {
        _ = writeln!(out, "{desired:#?}");
    }
    out
}

#[test]
fn every_case_says_what_its_golden_says() {
    let mut wrong = Vec::new();
    for case in cases() {
        let out = shown(&read(&case));
        let golden = case.join("expected.txt");
        if switched_on("UPDATE_GOLDENS") {
            fs::write(&golden, &out).expect("written");
        } else if fs::read_to_string(&golden).ok().as_deref() != Some(&out) {
            wrong.push(format!("--- {}\n{out}", case.display()));
        }
    }
    assert!(wrong.is_empty(), "{}\nrun with UPDATE_GOLDENS=1 if this is meant", wrong.join("\n"));
}

/// Every golden text that shows diagnostics: of configs, of whole runs, and of the examples.
fn goldens() -> Vec<(PathBuf, String)> {
    let mut goldens = Vec::new();
    let mut open = vec![root().join("tests"), root().join("src"), root().join("examples")];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|end| end == "snap" || end == "txt") {
                goldens.extend(fs::read_to_string(&path).map(|text| (path, text)));
            }
        }
    }
    goldens
}

#[test]
fn there_are_seventy_goldens_of_faulty_configs() {
    let cases = root().join("tests/cases");
    let faulty = goldens()
        .iter()
        .filter(|(path, text)| path.starts_with(&cases) && (text.contains("error[") || text.contains("warning[")))
        .count();
    assert!(faulty >= 70, "only {faulty}");
}

/// Every error says where it is and what to do, keeps to its line, and has a caret.
#[test]
fn messages_are_complete() {
    for case in cases() {
        let loaded = read(&case);
        for diagnostic in &loaded.diagnostics {
            let Diagnostic { message, help, label, .. } = diagnostic;
            assert!(help.is_some() || !label.is_empty() || !diagnostic.is_error(), "{}: {message}", case.display());
            assert!(!message.ends_with('.') && message.chars().count() <= 100, "{}: {message}", case.display());
        }
        assert_eq!(loaded.desired.is_none(), loaded.diagnostics.iter().any(Diagnostic::is_error));
        for line in render(&loaded.diagnostics, &loaded.sources, 80, false).lines() {
            let wide = line.chars().map(|c| if c.is_ascii() || c == '…' { 1 } else { 2 }).sum::<usize>();
            assert!(wide <= 80, "{}: {line}", case.display());
        }
        let json: serde_json::Value =
            serde_json::from_str(&render_json(&loaded.diagnostics, &loaded.sources)).expect("JSON");
        assert_eq!(json["diagnostics"].as_array().map(Vec::len), Some(loaded.diagnostics.len()));
    }
}

#[test]
fn eight_faults_in_two_files_come_out_in_one_run_each_at_its_column() {
    let loaded = read(&root().join("tests/cases/config/eight-faults"));
    let places: Vec<String> = loaded
        .diagnostics
        .iter()
        .map(|diagnostic| {
            let span = diagnostic.place.as_ref().and_then(|place| loaded.sources.span(place)).expect("a place");
            let source = &loaded.sources.sources[span.file];
            let before = &source.text[..span.start];
            let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
            format!("{}:{}:{column} {}", source.path, before.matches('\n').count() + 1, diagnostic.code.word)
        })
        .collect();
    assert_eq!(
        places,
        [
            "fleets.yaml:3:12 unknown-reference",
            "fleets.yaml:4:12 wrong-type",
            "fleets.yaml:5:29 zone-outside",
            "fleets.yaml:7:5 unknown-key",
            "fleets.yaml:8:20 unsupported-yet",
            "images.yaml:1:10 invalid-name",
            "images.yaml:5:3 duplicate-key",
            "images.yaml:8:32 missing-version",
        ]
    );
}

#[test]
fn a_copy_needs_what_it_is_copied_from() {
    let desired = read(&root().join("tests/cases/config/ok-whole-language")).desired.expect("valid");
    let blocks = Blocks::of(&desired);
    let needs = |image: &str| -> Vec<String> {
        blocks.needs(&Block::image(&Name::new(image))).map(ToString::to_string).collect()
    };
    assert_eq!(needs("web-encrypted"), ["image.web"]);
    assert_eq!(needs("partner-own"), ["image.partner"]);
    assert!(needs("legacy").is_empty() && blocks.cycles().is_empty());
}

#[test]
fn a_secret_in_a_url_is_never_shown() {
    let loaded = read(&root().join("tests/cases/config/import-signed-url"));
    let text = render(&loaded.diagnostics, &loaded.sources, 400, false);
    let json = render_json(&loaded.diagnostics, &loaded.sources);
    for secret in ["AKIDsecret", "5ec2e7", "pa55word"] {
        assert!(!text.contains(secret) && !json.contains(secret), "{secret}");
        assert!(loaded.sources.sources.iter().all(|source| !source.text.contains(secret)), "{secret}");
    }
}

#[test]
fn the_reference_of_codes_is_what_the_table_says() {
    let reference = || reference(|class| Exit::of_class(class).code());
    let path = root().join("docs/diagnostics.md");
    if switched_on("UPDATE_DOCS") {
        fs::write(&path, reference()).expect("written");
    }
    assert_eq!(fs::read_to_string(path).expect("docs/diagnostics.md"), reference(), "run with UPDATE_DOCS=1");
}

fn load_texts(texts: &[(&str, &[u8])]) -> Loaded {
    load(&files(texts), &Name::new("default"), &key())
}

fn files(texts: &[(&str, &[u8])]) -> ConfigFiles<'static> {
    ConfigFiles {
        yaml: texts.iter().map(|(path, bytes)| ((*path).to_owned(), bytes.to_vec())).collect(),
        environments: BTreeSet::new(),
        faults: Vec::new(),
        others: Box::new(|path| if path == "run.sh" { Ok(b"#!/bin/sh\n".to_vec()) } else { Err("not there".into()) }),
    }
}

fn code_words(loaded: &Loaded) -> Vec<&str> {
    loaded.diagnostics.iter().map(|diagnostic| diagnostic.code.word).collect()
}

#[test]
fn what_is_too_large_or_not_there_is_a_fault() {
    assert_eq!(code_words(&load_texts(&[])), ["no-config"]);
    for bracket in ["[", "{", "- ", "{a: ", "? ", "[\n"] {
        let text = format!("project: x\nimages: {}", bracket.repeat(20_000));
        let loaded = load_texts(&[("a.yaml", text.as_bytes())]);
        assert!(loaded.diagnostics.iter().any(Diagnostic::is_error), "{bracket}");
        assert!(!render(&loaded.diagnostics, &loaded.sources, 80, false).is_empty());
    }
    let large = vec![b'a'; (1 << 20) + 1];
    assert_eq!(code_words(&load_texts(&[("a.yaml", &large)])), ["too-large"]);
    let script = "x".repeat(16 * 1024 + 1);
    let text = VALID.replace("file: run.sh", &format!("text: {script}"));
    assert_eq!(code_words(&load_texts(&[("a.yaml", text.as_bytes())])), ["user-data-too-large"; 2]);
}

#[test]
fn byte_order_marks_and_other_line_breaks_change_nothing() {
    let expected = load_texts(&[("a.yaml", VALID.as_bytes())]).desired.expect("valid");
    for text in [format!("\u{feff}{VALID}"), VALID.replace('\n', "\r\n"), format!("---\n{VALID}...\n")] {
        let desired = load_texts(&[("a.yaml", text.as_bytes())]).desired.expect("valid");
        assert_eq!((&desired.images, &desired.fleets), (&expected.images, &expected.fleets));
    }
    let faulty = format!("\u{feff}{}", VALID.replace("strategy", "stratgy").replace('\n', "\r\n"));
    let loaded = load_texts(&[("a.yaml", faulty.as_bytes())]);
    let text = render(&loaded.diagnostics, &loaded.sources, 80, false);
    assert!(text.contains("--> a.yaml:24:15\n") && text.contains("              ^^^^^^^ did you"), "{text}");
}

#[test]
fn what_two_readers_of_yaml_read_differently_is_a_fault() {
    for text in ["project: web\u{2028}shop\n", "%YAML 1.3\n---\nproject: x\n"] {
        let loaded = load_texts(&[("a.yaml", text.as_bytes())]);
        let found = loaded.diagnostics.iter().any(|diagnostic| diagnostic.message.contains("differ"));
        assert!(found, "{text:?}: {:?}", loaded.diagnostics);
    }
}

#[test]
fn the_digest_is_of_names_bytes_and_secrets() {
    let digest = |texts: &[(&str, &[u8])]| load_texts(texts).desired.expect("valid").digest;
    let one = digest(&[("a.yaml", VALID.as_bytes())]);
    assert_eq!(one, digest(&[("some/dir/a.yaml", VALID.as_bytes())]));
    assert_ne!(one, digest(&[("b.yaml", VALID.as_bytes())]));
    assert_ne!(one, digest(&[("a.yaml", format!("{VALID}\n").as_bytes())]));
    let split: Vec<&str> = VALID.split("fleets:").collect();
    let fleets = format!("fleets:{}", split[1]);
    let loaded = load_texts(&[("a.yaml", split[0].as_bytes()), ("b.yaml", fleets.as_bytes())]);
    assert!(loaded.diagnostics.is_empty(), "{:?}", loaded.diagnostics);
}

#[test]
fn a_text_in_the_config_can_be_read_back() {
    let text = VALID.replace("file: run.sh", "text: \"echo ${HOME}\"");
    let loaded = load_texts(&[("a.yaml", text.as_bytes())]);
    let secret = loaded.desired.as_ref().and_then(|desired| desired.fleets["web"].user_data.clone()).expect("a secret");
    assert_eq!(secret.source.to_string(), "config: fleets.web.user_data.text");
    let files = files(&[]);
    assert_eq!(resolve_text(&files, &loaded, &secret.source), Ok(b"echo ${HOME}".to_vec()));
    assert_eq!(resolve_text(&files, &loaded, &SecretSource::File("run.sh".into())), Ok(b"#!/bin/sh\n".to_vec()));
    assert!(resolve_text(&files, &loaded, &SecretSource::Config("fleets.no".into())).is_err());
}

const VALID: &str = "project: webshop
cloud: { provider: embedded, region: ap-guangzhou, latency: instant, limits: { images_per_region: 12 } }
images:
  ubuntu:
    public: { name: \"Ubuntu Server 22.04 LTS 64bit\" }
  web:
    from_instance: { instance: \"fleet.builder[0]\", ready: { after: 1h30m }, power_off: false }
    version: \"2026-11-23\"
    tags: { team: 网站 }
    regions: [ap-guangzhou, ap-shanghai]
shares:
  partners: { image: web, accounts: [\"100000000003\"], undeclared: cancel }
fleets:
  builder: { image: ubuntu, count: 1, zones: [ap-guangzhou-3], type: S5.MEDIUM4, user_data: { file: run.sh } }
  web:
    image: web
    count: 20
    zones: [ap-guangzhou-3, ap-guangzhou-4]
    type: S5.MEDIUM4
    data_disks:
      - { type: CLOUD_PREMIUM, size: 100 }
    login: { keep_image_login: true }
    user_data: { file: run.sh }
    update: { strategy: reset, max_unavailable: 2 }
";

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_panics(text in "[ -~\n\t网é{}\\[\\]:#&*!|>'\"%@`,?-]{0,80}") {
        let loaded = load_texts(&[("a.yaml", text.as_bytes())]);
        prop_assert!(!render(&loaded.diagnostics, &loaded.sources, 40, true).is_empty());
    }
}

#[test]
fn nothing_is_rendered_of_nothing() {
    assert_eq!(render(&[], &SourceMap::default(), 80, false), "");
}
