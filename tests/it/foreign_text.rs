//! Text of foreign origin, names of the cloud and what a plan file says, does nothing to a terminal but being seen.

use std::sync::Arc;

use fleetwright::cli::Exit;
use fleetwright::cloud::call::{Class, Fault, Reply};
use fleetwright::ops::Hooks;
use fleetwright::plan::{Drift, Handling, Plan, Value, file};

use crate::between::{between, refusal};
use crate::kit::{fleet, image, says};
use crate::rig::Ran;

/// Clears the screen, colours what follows, turns the writing round, breaks the line, and hides.
const EVIL: &str = "a\u{1b}[2Jb\u{1b}]0;title\u{7}c\u{202e}d\u{2066}e\nf\rg\u{9b}31mh\u{200b}i";

/// Nothing of a command's output does anything else than being seen.
#[track_caller]
fn harmless(ran: &Ran) {
    for text in [&ran.out, &ran.err] {
        let unseen = text.chars().find(|c| *c != '\n' && fleetwright::diagnostic::is_unseen(*c));
        assert_eq!(unseen, None, "{text}");
        assert!(!text.contains("e\nf"), "{text}");
    }
}

/// A plan file that somebody wrote by hand, with a hash that is right.
#[test]
fn in_a_plan_file() {
    let rig = fleet();
    rig.edit("shop.yaml", "count: 5", "count: 7");
    rig.run("plan --out plan.json").expect(Exit::Done);
    let bytes = std::fs::read(rig.dir().join("plan.json")).expect("the file");
    let mut plan: Plan = file::parse("plan.json", &bytes).expect("a plan");
    let evil = Value::Text(EVIL.to_owned());
    for change in &mut plan.changes {
        change.name = EVIL.to_owned();
        let detail = Arc::make_mut(&mut change.detail);
        for attr in &mut detail.attrs {
            (attr.name, attr.before, attr.after) = (EVIL.to_owned(), Value::None, evil.clone());
        }
    }
    plan.assumptions.push(EVIL.to_owned());
    plan.origin.endpoint = EVIL.to_owned();
    plan.drift.push(Drift {
        addr: plan.changes[0].addr.clone(),
        attr: EVIL.to_owned(),
        recorded: evil.clone(),
        observed: Value::List(vec![EVIL.to_owned()]),
        handling: Handling::Left,
        by: None,
    });
    rig.write("plan.json", &file::encode(&plan));
    let shown = rig.run("show plan.json").expect(Exit::Done);
    assert!(shown.out.contains("a\\u{1b}[2Jb"), "{}", shown.out);
    harmless(&shown);
    harmless(&rig.run("apply plan.json"));
}

/// A cloud whose images, instances and faults have names that are no names; it refuses an action.
fn evil(refused: &'static str) -> Hooks {
    between(move |cloud, call, signed_ms| {
        if call.body.action() == refused {
            let code = format!("Evil.{EVIL}");
            return Err(Fault { message: EVIL.to_owned(), ..refusal(Class::Invalid, &code) });
        }
        let mut answer = cloud.call(call, signed_ms)?;
        if let Reply::Images(page) = &mut answer.reply {
            for image in page.items.iter_mut().filter(|image| image.name.starts_with("shop-")) {
                (image.name, image.description) = (EVIL.to_owned(), EVIL.to_owned());
            }
        }
        if let Reply::Instances(page) = &mut answer.reply {
            for instance in &mut page.items {
                instance.name.push_str(EVIL);
                std::sync::Arc::make_mut(&mut instance.tags).insert("app".to_owned(), EVIL.to_owned());
            }
        }
        Ok(answer)
    })
}

#[test]
fn in_what_the_cloud_tells() {
    let rig = image();
    for args in
        ["drift", "plan", "plan --refresh-only", "refresh --auto-approve", "plan", "show", "state show image.web"]
    {
        harmless(&rig.run_with(args, evil("Nothing")));
    }
    let named = image();
    let drift = named.run_with("drift", evil("Nothing")).expect(Exit::Changes);
    assert!(drift.out.contains("a\\u{1b}[2Jb") && drift.out.contains("\\u{202e}"), "{}", drift.out);
    says(&drift.out, "fleet.web[0] name: shop-default-web-3-0 → shop-default-web-3-0a\\u{1b}[2Jb");
    // Faults, in what is told meanwhile, in the end, and in the history.
    let rig = image();
    rig.edit("shop.yaml", "count: 3", "count: 4");
    let failed = rig.run_with("apply --auto-approve", evil("RunInstances"));
    assert_ne!(failed.exit, Exit::Done);
    assert!(failed.out.contains("a\\u{1b}[2Jb"), "{}", failed.out);
    harmless(&failed);
    harmless(&rig.run("show 2"));
    harmless(&rig.run_with("plan", evil("DescribeInstances")).expect(Exit::Failed));
}
