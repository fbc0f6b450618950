//! Every parameter of every action, in each way in which it can be right or wrong: requests made from a table of what
//! the API text says, and not from what the cloud happens to take.

mod cases;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;

use fleetwright::cloud::cvm::transport::HttpRequest;
use fleetwright::cloud::embedded::{credentials, public_image_id};
use serde_json::{Value, json};

use crate::world::{GZ, UBUNTU, World, code, may_answer, quick, sign, uin};
use cases::Case;
use table::{Action, table};

/// How much is tried at least: what has been tried once is not to get lost.
const ACTIONS: usize = 37;
const PARAMETERS: usize = 397;
const REQUESTS: [(&str, usize); 6] =
    [("get", 37), ("left out", 90), ("right", 318), ("unknown", 105), ("wrong type", 2597), ("wrong value", 365)];

/// A world with a thing of each kind, and what `$words` stand for in it.
struct Stage {
    world: World,
    words: Vec<(&'static str, String)>,
}

impl Stage {
    fn new() -> Self {
        let world = World::new(quick());
        let launch = |more: Value| world.launch(1, more)[0].clone();
        let running = launch(json!({"DataDisks": [{"DiskSize": 10}]}));
        let (stopped, terminating) = (launch(json!({})), launch(json!({})));
        world.must("StopInstances", json!({"InstanceIds": [stopped]}));
        let image = world.capture(&running, "golden");
        world.capture(&running, "silver");
        world.must("TerminateInstances", json!({"InstanceIds": [terminating]}));
        let text = |value: &Value| value.as_str().expect("an id").to_owned();
        let seen = world.instance(&running);
        let words = vec![
            ("$disk", text(&seen["DataDisks"][0]["DiskId"])),
            ("$system", text(&seen["SystemDisk"]["DiskId"])),
            ("$snapshot", text(&world.image(&image)["SnapshotSet"][0]["SnapshotId"])),
            ("$image", image),
            ("$running", running),
            ("$stopped", stopped),
            ("$terminating", terminating),
            ("$public", public_image_id(GZ, UBUNTU)),
            ("$arm", public_image_id(GZ, "Ubuntu Server 22.04 LTS 64bit ARM64")),
            ("$received", "img-8toqc6s3".to_owned()),
        ];
        Self { world, words }
    }

    /// A body with the ids of this world.
    fn named(&self, body: &Value) -> Value {
        let text = self.words.iter().fold(body.to_string(), |text, (word, id)| text.replace(word, id));
        assert!(!text.contains('$'), "{text}");
        serde_json::from_str(&text).expect("JSON")
    }

    /// The code of an answer, and what it says to people.
    fn ask(&self, action: &Action, body: &Value) -> (String, String) {
        let request = self.world.request(1, GZ, &action.name, &self.named(body).to_string());
        let answer = self.world.send(&request);
        (code(&answer), answer["Error"]["Message"].as_str().unwrap_or_default().to_owned())
    }

    /// The same as a query.
    fn get(&self, action: &Action, body: &Value) -> String {
        let known = credentials(&uin(1)).expect("a key");
        let mut pairs = Vec::new();
        flatten("", &self.named(body), &mut pairs);
        let query = pairs.join("&");
        let kind = "application/x-www-form-urlencoded";
        let secret = (known.secret_id.as_str(), known.secret_key.as_str());
        let mut headers = sign(secret, self.world.now.get(), &action.service, ("GET", &query, b""), kind);
        let version = if action.service == "tag" { "2018-08-13" } else { "2017-03-12" };
        for (name, value) in [("X-TC-Action", action.name.as_str()), ("X-TC-Version", version), ("X-TC-Region", GZ)] {
            headers.push((name.to_owned(), value.to_owned()));
        }
        let request = HttpRequest { method: "GET".into(), path: "/".into(), query, headers, body: Vec::new() };
        code(&self.world.send(&request))
    }
}

/// `Filters.0.Name=zone` (1.2).
fn flatten(name: &str, value: &Value, pairs: &mut Vec<String>) {
    let inner = |key: &str| if name.is_empty() { key.to_owned() } else { format!("{name}.{key}") };
    let encoded = |text: &str| {
        text.bytes()
            .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") })
            .collect::<String>()
    };
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| flatten(&inner(key), value, pairs)),
        Value::Array(list) => {
            for (n, value) in list.iter().enumerate() {
                flatten(&inner(&n.to_string()), value, pairs);
            }
        }
        Value::String(text) => pairs.push(format!("{name}={}", encoded(text))),
        Value::Null | Value::Bool(_) | Value::Number(_) => pairs.push(format!("{name}={value}")),
    }
}

fn changes_nothing(action: &str) -> bool {
    action.starts_with("Describe") || action.starts_with("Inquiry")
}

/// Tries all cases of an action, and says what is otherwise than it should be.
fn try_all(action: &Action, cases: &[Case], wrong: &mut Vec<String>) {
    let (right, refused): (Vec<&Case>, Vec<&Case>) = cases.iter().partition(|case| case.expected == "ok");
    let mut stage = Stage::new();
    let held = |stage: &Stage| stage.world.cloud.holdings(stage.world.now.get()).expect("holdings");
    let before = held(&stage);
    let look = |case: &Case, (answered, message): (String, String)| {
        let Case { kind, about, body, expected } = case;
        let name = &action.name;
        // Whoever is told that a parameter is wrong wants to know which.
        let parameter = about.rsplit('.').next().unwrap_or_default();
        let named = !matches!(*kind, "wrong type" | "unknown") || message.contains(parameter);
        if answered != *expected {
            Some(format!("{name} {about}, {kind}: {answered} instead of {expected}: {body}"))
        } else if !may_answer(name, &answered) {
            Some(format!("{name} {about}: {answered} is no code of this action"))
        } else {
            (!named).then(|| format!("{name} {about}, {kind}: `{message}` does not name it: {body}"))
        }
    };
    for case in refused {
        wrong.extend(look(case, stage.ask(action, &case.body)));
    }
    if held(&stage) != before {
        wrong.push(format!("{}: what was refused left something behind", action.name));
        stage = Stage::new();
    }
    let mut first = true;
    for case in right {
        let by_get = std::mem::take(&mut first).then(|| {
            let answered = stage.get(action, &case.body);
            if !changes_nothing(&action.name) {
                stage = Stage::new();
            }
            answered
        });
        if let Some(answered) = by_get.filter(|answered| answered != "ok") {
            wrong.extend(look(case, (format!("{answered} by GET"), String::new())));
        }
        wrong.extend(look(case, stage.ask(action, &case.body)));
        if !changes_nothing(&action.name) {
            stage = Stage::new();
        }
    }
}

#[test]
fn every_parameter_is_taken_as_the_api_text_says() {
    let table = table();
    let mut wrong = Vec::new();
    let mut parameters = 0;
    let mut requests: BTreeMap<&str, usize> = BTreeMap::new();
    for action in &table.actions {
        let (cases, count) = cases::cases(&table, action);
        parameters += count;
        *requests.entry("get").or_default() += 1;
        for case in &cases {
            *requests.entry(case.kind).or_default() += 1;
        }
        try_all(action, &cases, &mut wrong);
    }
    let count = table.actions.len();
    let note = format!("conformance: {count} actions, {parameters} parameters, requests {requests:?}\n");
    std::io::stderr().write_all(note.as_bytes()).expect("a note");
    assert!(wrong.is_empty(), "{} are otherwise:\n{}\n", wrong.len(), wrong.join("\n"));
    assert!(count >= ACTIONS && parameters >= PARAMETERS, "something got lost: {note}");
    for (kind, least) in REQUESTS {
        assert!(requests.get(kind).is_some_and(|count| *count >= least), "something got lost: {kind} in {note}");
    }
}

#[test]
fn the_table_has_every_action_and_parameter_that_is_served() {
    let table = table();
    let api = include_str!("../../../src/cloud/embedded/api.rs");
    let served: BTreeSet<(String, String)> = api
        .lines()
        .filter_map(|line| {
            let (pair, _) = line.trim().strip_prefix("(\"")?.split_once("\") => run(")?;
            let (service, action) = pair.split_once("\", \"")?;
            Some((service.to_owned(), action.to_owned()))
        })
        .collect();
    let told = table.actions.iter().map(|action| (action.service.clone(), action.name.clone())).collect();
    assert_eq!(served, told);
    let requests = include_str!("../../../src/cloud/cvm/wire/requests.rs");
    for action in &table.actions {
        let told: BTreeSet<String> = action.parameters.iter().map(|parameter| parameter.name.clone()).collect();
        assert_eq!(fields(requests, &action.name), told, "{}", action.name);
    }
    let shapes = include_str!("../../../src/cloud/cvm/wire/shapes.rs");
    for (name, fields_told) in &table.shapes {
        let told: BTreeSet<String> = fields_told.iter().map(|field| field.name.clone()).collect();
        assert_eq!(fields(shapes, name), told, "{name}");
    }
}

/// The names, as they are sent, of the fields of a type in the source of the wire.
fn fields(source: &str, name: &str) -> BTreeSet<String> {
    let head = |line: &&str| line.trim().split([' ', '{']).next() == Some(name) && line.contains('{');
    let start = source.lines().find(head).unwrap_or_else(|| panic!("{name} is not there"));
    let rest = source.split_once(start).map(|(_, rest)| rest).unwrap_or_default();
    let first = start.split_once('{').map(|(_, fields)| fields).unwrap_or_default();
    let body = match first.split_once('}') {
        Some((fields, _)) => fields,
        None => rest.split_once("\n    }").map(|(fields, _)| fields).unwrap_or_default(),
    };
    body.split(',')
        .filter_map(|field| {
            if let Some((_, renamed)) = field.split_once("rename = \"") {
                return renamed.split('"').next().map(str::to_owned);
            }
            let (name, _) = field.trim().split_once(':')?;
            let words = name.trim_start_matches("r#").split('_');
            Some(words.map(|word| word[..1].to_uppercase() + &word[1..]).collect())
        })
        .collect()
}
