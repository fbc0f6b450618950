//! The sessions.

use fleetwright::cli::Exit;
use fleetwright::cloud::embedded::Injection;
use serde_json::json;

use super::play;
use crate::kit::GZ;
use crate::rig::OWNER;

const FILE: &str = "fleetwright.yaml";
const SCRIPT: &str = "provision.sh";

/// An image of one's own, fleets that run from it in two regions, and images of others.
#[test]
fn first_plan() {
    play("first-plan", |at| {
        at.enter("validate", Exit::Done);
        at.enter("plan", Exit::Done);
        at.enter_and("apply", "yes\n", Exit::Done);
        at.enter("plan", Exit::Done);
    });
}

/// A new version that a fleet is reset to, a fleet that goes, one that grows, changes in place, and what somebody else did.
#[test]
fn mixed_plan() {
    play("mixed-plan", |at| {
        at.settle();
        at.tell("provision.sh says something new; fleet.batch is taken out;");
        at.tell("fleet.api gets two more and another owner; fleet.worker gets a larger type.");
        at.tell("Somebody shares the image with another account, by hand.");
        at.rig.edit(SCRIPT, "hello from the shop", "hello again");
        let batch = at.rig.read(FILE).split_once("  batch:").expect("the fleet").1.to_owned();
        at.rig.edit(FILE, &format!("  batch:{batch}"), "");
        at.rig.edit(FILE, "count: 3\n", "count: 5\n");
        at.rig.edit(FILE, "owner: ada", "owner: grace");
        let worker = "count: 4\n    zones: [ap-guangzhou-6]\n    type: ";
        at.rig.edit(FILE, &format!("{worker}S5.LARGE8"), &format!("{worker}S5.2XLARGE16"));
        let image = at.rig.images(GZ).into_values().next().expect("the image");
        let share = json!({"ImageId": image, "AccountIds": ["100000000004"], "Permission": "SHARE"});
        at.rig.by_hand(GZ, "ModifyImageSharePermission", &share);
        at.rig.wait_ms(60_000);
        at.enter("plan", Exit::Guard);
        at.enter("plan --cancel-undeclared-shares", Exit::Done);
        at.enter_and("apply --cancel-undeclared-shares", "yes\n", Exit::Done);
    });
}

/// A capture fails, and so does a launch; what depends on them is skipped, and the next apply goes on.
#[test]
fn failed_apply() {
    play("failed-apply", |at| {
        let plan = at.rig.json("plan --json");
        let changes = plan["changes"].as_array().expect("changes");
        let image = changes.iter().find(|change| change["kind"] == "image").expect("the image");
        let name = image["name"].as_str().expect("a name").to_owned();
        at.rig.cloud().inject(Injection::CaptureFails { name });
        at.rig.cloud().inject(Injection::LaunchFails { name: "webshop-default-api-4-0".into() });
        at.enter_and("apply", "yes\n", Exit::Partly);
        at.tell("Meanwhile fleet.cache gets another key.");
        at.rig.edit(FILE, "skey-9e8f7a6b", "skey-8a7c6b5d");
        at.rig.wait_ms(600_000);
        at.enter_and("apply", "yes\n", Exit::Done);
    });
}

/// Tags, groups and types that were changed by hand, instances that were deleted and stopped, a disk that was enlarged.
#[test]
fn drift() {
    play("drift", |at| {
        at.settle();
        let rig = &at.rig;
        let id = |slot: u32| rig.id(&format!("fleet.web[{slot}]"));
        for slot in [0, 1, 3] {
            let resource = format!("qcs::cvm:{GZ}:uin/{OWNER}:instance/{}", id(slot));
            let tags = json!([{"TagKey": "team", "TagValue": "ops"}]);
            rig.by_hand(GZ, "TagResources", &json!({"ResourceList": [resource], "Tags": tags}));
        }
        let groups = json!({"InstanceIds": [id(1)], "SecurityGroups": ["sg-1a1b2c3d"]});
        rig.by_hand(GZ, "ModifyInstancesAttribute", &groups);
        let larger = json!({"InstanceIds": [id(4)], "InstanceType": "S5.LARGE8", "ForceStop": true});
        rig.by_hand(GZ, "ResetInstancesType", &larger);
        rig.by_hand(GZ, "TerminateInstances", &json!({"InstanceIds": [id(5)]}));
        rig.by_hand(GZ, "StopInstances", &json!({"InstanceIds": [id(6)]}));
        let image = rig.images(GZ).into_values().next().expect("the image");
        let share = |account: &str, permission: &str| {
            let body = json!({"ImageId": image, "AccountIds": [account], "Permission": permission});
            rig.by_hand(GZ, "ModifyImageSharePermission", &body);
        };
        share("100000000003", "CANCEL");
        share("100000000004", "SHARE");
        at.told.set(Some(|seen| seen.system_disk.size_gib = 100));
        rig.wait_ms(600_000);
        at.enter("drift", Exit::Changes);
        at.enter("plan", Exit::Done);
        at.enter_and("refresh", "yes\n", Exit::Done);
        at.enter("plan", Exit::Done);
    });
}

/// A first apply that fails in part, one that mends it, a change, a stop, and the end of a fleet.
#[test]
fn history() {
    play("history", |at| {
        let rig = &at.rig;
        rig.cloud().inject(Injection::LaunchFails { name: "webshop-default-web-3-1".into() });
        rig.run("apply --auto-approve").expect(Exit::Partly);
        rig.wait_ms(3_600_000);
        rig.write(".git/HEAD", "3f9a1c0200000000000000000000000000000000\n");
        rig.settle();
        rig.wait_ms(86_400_000);
        rig.edit(FILE, "count: 5", "count: 7");
        rig.edit(FILE, "{ app: web }", "{ app: shop }");
        rig.settle();
        rig.wait_ms(86_400_000);
        let api = rig.read(FILE).split_once("  api:").expect("the fleet").1.to_owned();
        rig.edit(FILE, &format!("  api:{api}"), "");
        rig.settle();
        at.enter("history", Exit::Done);
        at.enter("show 1", Exit::Done);
        at.enter("show 3", Exit::Done);
    });
}

/// A state that is restored from an older copy, and somebody's own instance of a name such as ours.
#[test]
fn orphans() {
    play("orphans", |at| {
        let rig = &at.rig;
        at.settle();
        at.enter("drift --orphans", Exit::Done);
        let state = rig.dir().join("state/default.db");
        let old = std::fs::read(&state).expect("the state");
        at.tell("fleet.web grows; then the state comes back from an older copy.");
        at.tell("Somebody has an instance with such a name as well.");
        rig.edit(FILE, "count: 5", "count: 7");
        at.settle();
        std::fs::write(&state, old).expect("restored");
        let image = rig.instance(&rig.id("fleet.web[0]")).image;
        let theirs = json!({
            "Placement": { "Zone": "ap-guangzhou-3" },
            "ImageId": image,
            "InstanceType": "S5.MEDIUM4",
            "InstanceName": "webshop-default-web-3-9",
        });
        rig.by_hand(GZ, "RunInstances", &theirs);
        rig.wait_ms(3_600_000);
        at.enter("drift --orphans", Exit::Changes);
        at.enter_and("drift --orphans --adopt", "yes\n", Exit::Changes);
        at.enter("plan", Exit::Done);
    });
}

/// A new version that somebody looks at behind the canary, and one that turns out to be bad and is taken back.
#[test]
fn rollout() {
    play("rollout", |at| {
        at.settle();
        at.tell("provision.sh says something new.");
        at.rig.edit(SCRIPT, "hello from the shop", "hello again");
        at.enter_and("apply", "yes\n", Exit::Waiting);
        at.enter("rollout status", Exit::Done);
        at.enter_and("rollout promote web", "yes\n", Exit::Done);
        at.tell("The next version answers with errors.");
        at.rig.edit(SCRIPT, "poweroff\n", "# sim: baked http status=500\npoweroff\n");
        at.enter_and("apply", "yes\n", Exit::Partly);
        at.enter("rollout status", Exit::Done);
        at.enter("apply", Exit::Done);
        at.enter("images", Exit::Done);
    });
}
