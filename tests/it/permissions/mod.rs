//! What each command has to be allowed: the table of `src/ops/permissions.rs` against all that can be sent, against what
//! commands do send, and as the page that is made from it.

mod lives;
mod page;

use std::collections::BTreeSet;

use fleetwright::cli::Exit;
use fleetwright::cloud::call::{Body, Call, Class};
use fleetwright::cloud::cvm::encode::encode;
use fleetwright::ops::permissions::{Command, UNASKED};

use crate::between::{between, refusal};
use crate::kit::{GZ, fleet, says};
use crate::requests::calls;
use crate::requests::every::Script;
use crate::rig::OWNER;

/// The action of a call, with its service.
fn action(body: &Body) -> String {
    let call = Call { account: OWNER.into(), region: GZ.into(), body: body.clone() };
    let out = encode(&call, &Script).unwrap_or_else(|fault| panic!("{fault}"));
    assert_eq!(out.action, body.action(), "{body:?}");
    format!("{}:{}", out.service, out.action)
}

#[test]
fn what_all_commands_send_is_all_that_can_be_sent() {
    let can: BTreeSet<String> = calls::all().values().flatten().map(action).collect();
    let asked: BTreeSet<&str> = Command::ALL.into_iter().flat_map(Command::actions).collect();
    let unasked: BTreeSet<&str> = UNASKED.iter().map(|(action, _)| *action).collect();
    assert_eq!(asked.intersection(&unasked).count(), 0, "{unasked:?}");
    let told: BTreeSet<String> = asked.union(&unasked).map(|action| (*action).to_owned()).collect();
    assert_eq!(told, can);
    // What settles an interrupted run is nothing else.
    assert!(Command::ALL.into_iter().flat_map(Command::settling).all(|action| asked.contains(action)));
}

#[test]
fn whoever_lacks_a_permission_is_told_which_commands_need_it() {
    let rig = fleet();
    let denied = between(|cloud, call, signed_ms| match call.body.action() {
        "DescribeZones" => Err(refusal(Class::Denied, "UnauthorizedOperation")),
        _ => cloud.call(call, signed_ms),
    });
    let told = rig.run_with("doctor", denied).expect(Exit::Failed);
    says(&told.out, "DescribeZones is not allowed: UnauthorizedOperation");
    says(&told.out, "allow it, for `doctor`, `plan`, `plan --preflight`, `apply`: docs/cam-policy.md has the policies");
}

#[test]
fn whoever_may_apply_may_do_all_else_but_ask_for_stock() {
    let apply = Command::Apply.actions();
    for command in Command::ALL {
        let more: Vec<&str> = command.actions().difference(&apply).copied().collect();
        let wanted: &[&str] =
            if command == Command::Preflight { &["cvm:DescribeZoneInstanceConfigInfos"] } else { &[] };
        assert_eq!(more, wanted, "{}", command.words());
    }
    // What only looks may be given to anybody.
    for command in [Command::Doctor, Command::Plan, Command::Images, Command::Drift, Command::Orphans] {
        let reads = |action: &&str| action.starts_with("cvm:Describe") || action.starts_with("cvm:Inquiry");
        assert!(command.actions().iter().all(reads), "{}", command.words());
    }
    assert_eq!(Command::that_send("DescribeZoneInstanceConfigInfos"), [Command::Preflight]);
}
