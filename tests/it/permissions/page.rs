//! `docs/cam-policy.md`.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use fleetwright::ops::permissions::Command;
use serde_json::Value;

const HEAD: &str = "\
# What has to be allowed

What the keys that fleetwright signs with have to be allowed at Tencent Cloud, by access policies (CAM), command by command.
This page is made from `src/ops/permissions.rs`; tests hold each policy to what its command sends, no less and no more.

Who runs several commands has the policies of all of them. `apply` has all that the others have, but for the stock that
`plan --preflight` asks for. What is not listed here asks nothing of the cloud: `validate`, `show`, `history`, `state`, ….
`plan --destroy` is as `plan`, `apply --refresh-only` as `refresh`, `apply --destroy` as `destroy`, and `apply FILE` as `apply`;
so are `rollout resume`, `promote` and `rollback`, which go on. `rollout status`, `pause` and `abort` ask nothing of the cloud.

**For a CI that only plans**, the policy of `plan` is enough: nothing in it changes anything, and `plan --out FILE` hands the
plan to somebody who may apply it. `--preflight` takes more than reads. A dry run is a parameter of the action that it tries,
so whoever may run it dry may run it: leave it to those who may apply.

Two actions of a plan can be left out, and it says less: `DescribeInstancesAttributes` reads back user data that changes, for
the eyes of somebody at a terminal, and `InquiryPriceRunInstances` asks what launches cost.

**Resources.** Each policy is for all resources, `\"*\"`: the text of the API does not say which actions can be narrowed to
single ones. Where they can, is for the owner of the account to try.

**What may take more** than its action: what is paid for in advance (`PREPAID`), tags that things are made with, a role that
machines get (`cam_role`), and a key of one's own for a copy (`kms_key`). The text of the API does not say what else is looked
at then. The refusal does: it is shown with its code and its request id, and nothing was done.

**After an interrupted run**, `apply`, `refresh` and `destroy` first settle what it left open. A launch that got no answer is
then made again under its token, which makes nothing twice: `refresh` and `destroy` send `RunInstances` for that. Where they
may not, the launch is looked up in place of that, and they go on.

";

const MADE: &str = "made from src/ops/permissions.rs: UPDATE_DOCS=1 cargo test --test it permissions";

/// A policy that allows these.
fn policy(actions: &BTreeSet<&str>) -> String {
    let mut out = String::from("{\n  \"version\": \"2.0\",\n  \"statement\": [\n    {\n      \"effect\": \"allow\",\n");
    let list: Vec<String> = actions.iter().map(|action| format!("        \"{action}\"")).collect();
    _ = write!(
        out,
        "      \"action\": [\n{}\n      ],\n      \"resource\": [\"*\"]\n    }}\n  ]\n}}",
        list.join(",\n")
    );
    out
}

fn page() -> String {
    let mut out = format!("<!-- {MADE} -->\n\n{HEAD}## At a glance\n\n| action |");
    for command in Command::ALL {
        _ = write!(out, " `{}` |", command.words());
    }
    _ = write!(out, "\n|---|{}\n", ":-:|".repeat(Command::ALL.len()));
    let all: BTreeSet<&str> = Command::ALL.into_iter().flat_map(Command::actions).collect();
    for action in all {
        _ = write!(out, "| `{action}` |");
        for command in Command::ALL {
            let mark = if command.actions().contains(action) {
                " yes |"
            } else if command.settling().contains(action) {
                " settling |"
            } else {
                " |"
            };
            out.push_str(mark);
        }
        out.push('\n');
    }
    for command in Command::ALL {
        _ = write!(out, "\n## {}\n\n```json\n{}\n```\n", command.words(), policy(&command.actions()));
    }
    out
}

#[test]
#[expect(clippy::disallowed_methods, reason = "documents are written anew only when a person asks for it")]
fn the_page_of_policies_is_what_the_table_says() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/cam-policy.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, page()).expect("written");
    }
    let found = std::fs::read_to_string(path).expect("docs/cam-policy.md");
    assert_eq!(found, page(), "run with UPDATE_DOCS=1");
}

#[test]
fn every_policy_is_json_as_it_is_to_be() {
    let page = page();
    let blocks: Vec<&str> =
        page.split("```json\n").skip(1).filter_map(|rest| rest.split_once("\n```").map(|(block, _)| block)).collect();
    assert_eq!(blocks.len(), Command::ALL.len());
    for (block, command) in blocks.into_iter().zip(Command::ALL) {
        let policy: Value = serde_json::from_str(block).expect("JSON");
        let statement = &policy["statement"][0];
        assert_eq!((&policy["version"], &statement["effect"]), (&"2.0".into(), &"allow".into()));
        assert_eq!(statement["resource"], serde_json::json!(["*"]));
        let actions: Vec<&str> =
            statement["action"].as_array().expect("actions").iter().filter_map(Value::as_str).collect();
        assert_eq!(actions, command.actions().into_iter().collect::<Vec<_>>());
    }
}
