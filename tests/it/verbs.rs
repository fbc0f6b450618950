//! The verbs around plan and apply.

mod doctor;
mod explain;
mod history;
mod lock;
mod rollout;
mod rollout_runs;
mod start;
mod state;

use std::collections::BTreeSet;

use fleetwright::cli::Exit;
use serde_json::Value;

/// Every key of a document's objects.
fn keys(json: &Value, found: &mut BTreeSet<String>) {
    match json {
        Value::Object(fields) => {
            for (key, value) in fields {
                found.insert(key.clone());
                keys(value, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| keys(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Every key of it is in the documentation.
#[track_caller]
fn documented(json: &Value) {
    let docs = include_str!("../../docs/json.md");
    let mut found = BTreeSet::new();
    keys(json, &mut found);
    let missing: Vec<&String> = found.iter().filter(|key| !docs.contains(&format!("`{key}`"))).collect();
    assert!(!found.is_empty() && missing.is_empty(), "docs/json.md lacks {missing:?}");
}

#[test]
fn every_key_of_their_json_is_documented() {
    let docs = include_str!("../../docs/json.md");
    let rig = crate::kit::image();
    rig.run("state rm fleet.web[2] --auto-approve").expect(Exit::Done);
    let mut found = BTreeSet::new();
    for args in [
        "history",
        "show 2",
        "state show image.web",
        "state show fleet.builder",
        "state rm fleet.web[1] --auto-approve",
        "history prune --keep 1 --auto-approve",
        "force-unlock",
        "graph",
        "explain cycle",
        "init first",
    ] {
        let json = rig.json(&format!("{args} --json"));
        let format = json["format"].as_str().expect("a format").to_owned();
        assert!(docs.contains(&format!("`{format}`")) || docs.contains(&format!("\"{format}\"")), "{format}");
        keys(&json, &mut found);
    }
    let missing: Vec<&String> = found.iter().filter(|key| !docs.contains(&format!("`{key}`"))).collect();
    assert!(missing.is_empty(), "docs/json.md lacks {missing:?}");
}
