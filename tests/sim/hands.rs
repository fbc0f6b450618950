//! Other hands: what somebody else does to the cloud, and what the cloud itself gets wrong.

use fleetwright::cloud::embedded::{Injection, public_image_id};
use serde_json::json;

use crate::kit::{BJ, GZ, SH};
use crate::rig::{OWNER, Rig};

/// Something that somebody else does: what, to which thing, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deed {
    pub(crate) what: usize,
    pub(crate) whom: usize,
    pub(crate) how: usize,
}

/// A late failure: the cloud accepts something and fails it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) what: usize,
    pub(crate) whom: usize,
    pub(crate) how: usize,
}

fn of<T: Clone>(items: &[T], n: usize) -> Option<T> {
    if items.is_empty() { None } else { items.get(n % items.len()).cloned() }
}

impl Deed {
    pub(crate) const KINDS: usize = 13;

    /// Whether it may still be under way when the next plan is made: then what it leads to is only seen by the one after.
    pub(crate) fn takes_its_time(self) -> bool {
        matches!(self.what % Self::KINDS, 4 | 5)
    }

    /// Does it; whether the cloud lets them is their affair. Answers what was done, in words.
    pub(crate) fn done(self, rig: &Rig) -> String {
        let Self { what, whom, how } = self;
        let region = [GZ, GZ, SH, BJ][how % 4];
        let instances: Vec<String> = rig.instances(GZ).into_values().collect();
        let images: Vec<String> = rig.images(region).into_values().collect();
        let resource = |kind: &str, region: &str, id: &str| format!("qcs::cvm:{region}:uin/{OWNER}:{kind}/{id}");
        let (region, action, body) = match (what % Self::KINDS, of(&instances, whom), of(&images, whom)) {
            (0 | 1, Some(id), _) => (GZ, "TerminateInstances", json!({"InstanceIds": [id]})),
            (2, Some(id), _) => (GZ, "StopInstances", json!({"InstanceIds": [id]})),
            (3, Some(id), _) => (GZ, "ModifyInstancesAttribute", json!({"InstanceIds": [id], "InstanceName": "mine"})),
            (4, Some(id), _) => {
                let debian = public_image_id(GZ, "Debian 12 64bit");
                (GZ, "ResetInstance", json!({"InstanceId": id, "ImageId": debian}))
            }
            (5, Some(id), _) => {
                let body = json!({"InstanceIds": [id], "InstanceType": "S5.LARGE8", "ForceStop": true});
                (GZ, "ResetInstancesType", body)
            }
            (6, Some(id), _) => {
                let keys = ["app", "fleetwright"];
                (GZ, "UnTagResources", json!({"ResourceList": [resource("instance", GZ, &id)], "TagKeys": keys}))
            }
            (7, Some(id), _) => {
                let tags = json!([{"TagKey": "app", "TagValue": "web"}, {"TagKey": "tier", "TagValue": "front"}]);
                (GZ, "TagResources", json!({"ResourceList": [resource("instance", GZ, &id)], "Tags": tags}))
            }
            (8, _, Some(id)) => {
                let accounts = rig.shared(region, &id);
                if !accounts.is_empty() {
                    let cancel = json!({"ImageId": id, "AccountIds": accounts, "Permission": "CANCEL"});
                    rig.ask(OWNER, region, "ModifyImageSharePermission", &cancel);
                }
                (region, "DeleteImages", json!({"ImageIds": [id], "DeleteBindedSnap": true}))
            }
            (9, _, Some(id)) => {
                let account = format!("10000000000{}", 2 + how % 6);
                let permission = ["SHARE", "CANCEL"][how % 2];
                let body = json!({"ImageId": id, "AccountIds": [account], "Permission": permission});
                (region, "ModifyImageSharePermission", body)
            }
            (10, _, Some(id)) => {
                (region, "ModifyImageAttribute", json!({"ImageId": id, "ImageDescription": "number 2"}))
            }
            (11, _, Some(id)) => {
                let body = json!({"ResourceList": [resource("image", region, &id)], "TagKeys": ["app"]});
                (region, "UnTagResources", body)
            }
            // An image of somebody else's fills the quota.
            (12, ..) => {
                let image = json!({"Filters": []});
                let listed = rig.ask(OWNER, GZ, "DescribeInstances", &image);
                let Some(id) = listed["InstanceSet"][0]["InstanceId"].as_str() else { return "nothing".into() };
                // A failed image holds its place, and nobody but its owner may delete it.
                if whom.is_multiple_of(2) {
                    rig.cloud().inject(Injection::CaptureFails { name: format!("theirs-{how}") });
                }
                (
                    GZ,
                    "CreateImage",
                    json!({"ImageName": format!("theirs-{how}"), "InstanceId": id, "ForcePoweroff": true}),
                )
            }
            _ => return "nothing".into(),
        };
        let answer = rig.ask(OWNER, region, action, &body);
        format!("{region} {action} {body} → {}", answer["Error"]["Code"])
    }
}

/// Somebody else's imports, so many, that failed: they hold their places until their owner deletes them.
pub(crate) fn failed_imports(rig: &Rig, many: usize) {
    for n in 0..many {
        let name = format!("theirs-failed-{n}");
        rig.cloud().inject(Injection::ImportFails { name: name.clone(), reason: "InternalError".into() });
        let body = json!({
            "ImageName": name, "Architecture": "x86_64", "OsType": "CentOS", "OsVersion": "7",
            "ImageUrl": "https://files-1250000000.cos.ap-guangzhou.myqcloud.com/theirs.qcow2",
        });
        let answer = rig.ask(OWNER, GZ, "ImportImage", &body);
        assert!(answer.get("Error").is_none(), "{answer}");
    }
    // However long an import takes, it is over by then.
    rig.wait_ms(if many > 0 { 24 * 3_600_000 } else { 0 });
}

impl Failure {
    pub(crate) const KINDS: usize = 9;

    /// What is asked of the cloud.
    pub(crate) fn injection(self, rig: &Rig) -> Injection {
        let Self { what, whom, how } = self;
        let instances: Vec<String> = rig.instances(GZ).into_values().collect();
        let images: Vec<String> = rig.images(GZ).into_keys().collect();
        let code = ["RequestLimitExceeded", "InternalError"][how % 2];
        match (what % Self::KINDS, of(&instances, whom), of(&images, whom)) {
            (0, Some(instance), _) => Injection::ResetFails { instance },
            (1, Some(id), _) => Injection::TagFails { id, code: "FailedOperation.TagAttached".into() },
            (2, _, Some(name)) => Injection::CopyFails { name, region: [SH, BJ][how % 2].into() },
            (3, _, Some(name)) => Injection::CaptureFails { name },
            (4, ..) => {
                let actions =
                    ["RunInstances", "TagResources", "CreateImage", "ResetInstance", "DeleteImages", "SyncImages"];
                let action = actions[whom % actions.len()].into();
                Injection::Refuse { action, code: code.into(), times: 2 }
            }
            (5, ..) => Injection::LaunchFails { name: format!("shop-default-builder-3-{}", whom % 2) },
            (6, ..) => Injection::LaunchFails { name: format!("shop-default-old-4-{}", whom % 2) },
            _ => Injection::LaunchFails { name: format!("shop-default-web-{}-{}", 3 + how % 2, whom % 3) },
        }
    }

    /// What kind of failure it is.
    pub(crate) fn word(injection: &Injection) -> &'static str {
        match injection {
            Injection::LaunchFails { .. } => "launch fails later",
            Injection::CaptureFails { .. } => "capture fails later",
            Injection::ImportFails { .. } => "import fails later",
            Injection::TakenBack { .. } => "taken back",
            Injection::CopyFails { .. } => "copy fails later",
            Injection::ResetFails { .. } => "reset fails later",
            Injection::TagFails { .. } => "one of a batch is not tagged",
            Injection::Refuse { .. } => "refused twice",
        }
    }
}
