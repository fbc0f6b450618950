//! Every attribute of a fleet, changed by somebody else: repaired, shown or ignored as the table says.

use std::sync::Arc;

use fleetwright::cli::Exit;
use fleetwright::cloud::call::Reply;
use fleetwright::cloud::embedded::public_image_id;
use fleetwright::diff::fields::{self, Fate};
use fleetwright::model::attrs::FleetAttr;
use fleetwright::model::observed::{Disk, Instance};
use fleetwright::ops::Hooks;
use serde_json::{Value, json};

use crate::between::between;
use crate::changes::fields::with_keys;
use crate::kit::{GZ, counts, says};
use crate::rig::Rig;

const SHOP: &str = "shop.yaml";
/// The instance that somebody else changes.
pub(crate) const SLOT: &str = "fleet.web[2]";
const NAME: &str = "shop-default-web-3-1";

/// What somebody else does.
pub(crate) enum How {
    /// By this request on the one instance.
    Asks(&'static str, fn(&str) -> Value),
    /// In a way that the embedded cloud has no request for: it is only told.
    Tells(fn(&mut Instance)),
    /// Nobody can, or it cannot be seen.
    Cannot,
}

pub(crate) struct Case {
    /// Keys of the fleet.
    pub(crate) keys: &'static str,
    pub(crate) how: How,
    /// The calls by which it is repaired.
    calls: &'static [(&'static str, usize)],
}

fn asks(action: &'static str, body: fn(&str) -> Value, calls: &'static [(&'static str, usize)]) -> Case {
    Case { keys: "", how: How::Asks(action, body), calls }
}

fn tells(keys: &'static str, tell: fn(&mut Instance)) -> Case {
    Case { keys, how: How::Tells(tell), calls: &[] }
}

const PREPAID: &str = "charge_type: PREPAID\n    prepaid: { months: 1, renew: NOTIFY_AND_MANUAL_RENEW }";

/// The case of each attribute. The compiler asks for that of a new one.
pub(crate) fn case(attr: FleetAttr) -> Case {
    const MODIFY: &[(&str, usize)] = &[("ModifyInstancesAttribute", 1)];
    const MODIFIES: &str = "ModifyInstancesAttribute";
    let cannot = Case { keys: "", how: How::Cannot, calls: &[] };
    match attr {
        FleetAttr::Image => asks(
            "ResetInstance",
            |id| {
                json!({"InstanceId": id, "ImageId": public_image_id(GZ, "Debian 12 64bit"),
                "LoginSettings": {"KeyIds": ["skey-8a7c6b5d"]}})
            },
            &[("TerminateInstances", 1), ("RunInstances", 1)],
        ),
        FleetAttr::Count => asks("TerminateInstances", |id| json!({"InstanceIds": [id]}), &[("RunInstances", 1)]),
        FleetAttr::Region | FleetAttr::Zones => cannot,
        FleetAttr::UserData | FleetAttr::PrepaidMonths | FleetAttr::SpotMaxPrice => cannot,
        FleetAttr::Type => asks(
            "ResetInstancesType",
            |id| json!({"InstanceIds": [id], "InstanceType": "S5.LARGE8", "ForceStop": true}),
            &[("StopInstances", 1), ("ResetInstancesType", 1), ("StartInstances", 1)],
        ),
        FleetAttr::SystemDiskType => tells("system_disk: { type: CLOUD_PREMIUM, size: 60 }", |seen| {
            seen.system_disk.kind = "CLOUD_SSD".into();
        }),
        FleetAttr::SystemDiskSize => tells("system_disk: { size: 60 }", |seen| seen.system_disk.size_gib = 100),
        FleetAttr::DataDisks => tells("data_disks: [{ type: CLOUD_PREMIUM, size: 100 }]", |seen| {
            seen.data_disks.push(Disk { id: None, kind: "CLOUD_SSD".into(), size_gib: 20 });
        }),
        FleetAttr::Subnet => tells(
            "network: { vpc: vpc-0a1b2c3d, subnets: { ap-guangzhou-3: subnet-0a1b2c3d, ap-guangzhou-4: \
             subnet-1a1b2c3d } }",
            |seen| seen.subnet = "subnet-2a1b2c3d".into(),
        ),
        FleetAttr::SecurityGroups => Case {
            keys: "network: { security_groups: [sg-0a1b2c3d] }",
            ..asks(MODIFIES, |id| json!({"InstanceIds": [id], "SecurityGroups": ["sg-1a1b2c3d"]}), MODIFY)
        },
        FleetAttr::Internet => tells("internet: { charge: TRAFFIC_POSTPAID_BY_HOUR, bandwidth_mbps: 5 }", |seen| {
            seen.bandwidth_mbps = 50;
        }),
        FleetAttr::Login => tells("", |seen| Arc::make_mut(&mut seen.keys).extend(["skey-22222222".into()])),
        FleetAttr::Hostname => Case {
            keys: "hostname: \"web-{zone}-{ordinal}\"",
            ..asks(MODIFIES, |id| json!({"InstanceIds": [id], "HostName": "mine"}), MODIFY)
        },
        FleetAttr::ChargeType => tells("", |seen| seen.charge_type = "PREPAID".into()),
        FleetAttr::PrepaidRenew => tells(PREPAID, |seen| seen.renew = Some("NOTIFY_AND_AUTO_RENEW".into())),
        FleetAttr::PlacementGroup => {
            tells("placement_group: ps-0a1b2c3d", |seen| seen.placement_group = Some("ps-1a1b2c3d".into()))
        }
        FleetAttr::CamRole => Case {
            keys: "cam_role: web-role",
            ..asks(MODIFIES, |id| json!({"InstanceIds": [id], "CamRoleName": "admin"}), MODIFY)
        },
        FleetAttr::State => asks("StopInstances", |id| json!({"InstanceIds": [id]}), &[]),
        FleetAttr::Protect => Case {
            keys: "protect: true",
            ..asks(MODIFIES, |id| json!({"InstanceIds": [id], "DisableApiTermination": false}), MODIFY)
        },
        FleetAttr::Tags => asks(
            "UnTagResources",
            |id| {
                let resource = format!("qcs::cvm:{GZ}:uin/100000000001:instance/{id}");
                json!({"ResourceList": [resource], "TagKeys": ["app"]})
            },
            &[("TagResources", 1)],
        ),
        FleetAttr::Name => asks(MODIFIES, |id| json!({"InstanceIds": [id], "InstanceName": "mine"}), MODIFY),
    }
}

/// A cloud that tells something else of one instance.
fn telling(tell: fn(&mut Instance)) -> Hooks {
    between(move |cloud, call, signed_ms| {
        let mut answer = cloud.call(call, signed_ms)?;
        if let Reply::Instances(page) = &mut answer.reply {
            page.items.iter_mut().filter(|seen| seen.name == NAME).for_each(tell);
        }
        Ok(answer)
    })
}

pub(crate) fn rig_of(case: &Case, ignore: Option<FleetAttr>) -> Rig {
    let mut config = with_keys(case.keys);
    if let Some(attr) = ignore {
        config = config.replace("    tags:", &format!("    ignore_changes: [{attr}]\n    tags:"));
    }
    let rig = Rig::new(&[(SHOP, &config), ("boot.sh", "#!/bin/sh\necho one\n")]);
    rig.settle();
    rig
}

/// Lets it happen; what has to stand between then, if anything.
pub(crate) fn happen(rig: &Rig, how: &How) -> Hooks {
    if let How::Asks(action, body) = how {
        rig.by_hand(GZ, action, &body(&rig.id(SLOT)));
        rig.wait_ms(10_000);
    }
    still(how)
}

/// What has to stand between while it goes on being so.
pub(crate) fn still(how: &How) -> Hooks {
    match how {
        How::Tells(tell) => telling(*tell),
        How::Asks(..) | How::Cannot => Hooks::default(),
    }
}

fn try_one(attr: FleetAttr) {
    let row = fields::fleet(attr);
    let case = case(attr);
    let seen = !matches!(case.how, How::Cannot);
    assert_eq!(seen, matches!(row.drift, Fate::Repaired | Fate::Shown), "{attr}: the table says {:?}", row.drift);
    let rig = rig_of(&case, None);
    let hooks = happen(&rig, &case.how);
    let planned = rig.run_with("plan", hooks).expect(Exit::Done).out;
    match row.drift {
        Fate::Repaired => {
            let done =
                if attr == FleetAttr::Count { "deleted; made again".to_owned() } else { "; repaired".to_owned() };
            says(&planned, "Changed outside:");
            says(&planned, &done);
            rig.change().took(case.calls);
        }
        Fate::Shown => {
            says(&planned, &format!("Changed outside: {SLOT} {attr}:"));
            says(&planned, "; left as it is");
            says(&planned, "No changes. The cloud matches the config, apart from the above.");
            let mark = rig.mark();
            rig.run_with("apply --auto-approve", still(&case.how)).expect(Exit::Done);
            assert_eq!(rig.mutations(mark), counts(&[]), "{attr}");
        }
        Fate::Untold | Fate::Never => says(&planned, "No changes. The cloud matches the config."),
    }
    if !(row.ignorable && seen) {
        return;
    }
    let rig = rig_of(&case, Some(attr));
    let hooks = happen(&rig, &case.how);
    let planned = rig.run_with("plan", hooks).expect(Exit::Done).out;
    assert_eq!(planned, "No changes. The cloud matches the config.\n", "{attr} is ignored");
}

#[test]
fn every_attribute_drifts_as_the_table_says() {
    std::thread::scope(|scope| {
        for share in FleetAttr::ALL.chunks(6) {
            scope.spawn(move || share.iter().copied().for_each(try_one));
        }
    });
}
