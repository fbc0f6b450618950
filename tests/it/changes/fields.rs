//! Every attribute of a fleet, changed: the plan does what the table says, and the apply does what the plan says.

use fleetwright::cli::Exit;
use fleetwright::diff::Takes;
use fleetwright::diff::fields;
use fleetwright::model::attrs::FleetAttr;

use crate::kit::{FLEET, GZ, counts, says};
use crate::rig::Rig;

const WEB: &str = "shop.yaml";
const STEPS: &[(&str, usize)] = &[("TerminateInstances", 3), ("RunInstances", 3)];

/// One change of one attribute.
struct Case {
    /// What the table says it takes.
    takes: Takes,
    /// Keys of the fleet before and after.
    before: &'static str,
    after: &'static str,
    /// Added, changed, reset and destroyed.
    closes: [u32; 4],
    calls: &'static [(&'static str, usize)],
}

impl Case {
    const fn new(
        takes: Takes,
        [before, after]: [&'static str; 2],
        closes: [u32; 4],
        calls: &'static [(&'static str, usize)],
    ) -> Self {
        Self { takes, before, after, closes, calls }
    }

    /// Of something that only a new instance has.
    const fn replaces(before: &'static str, after: &'static str) -> Self {
        Self::new(Takes::Replace, [before, after], [5, 0, 0, 5], STEPS)
    }

    /// Of something that only the state has to know.
    const fn noted(before: &'static str, after: &'static str) -> Self {
        Self::new(Takes::Record, [before, after], [0, 5, 0, 0], &[])
    }
}

/// The cases of each attribute. The compiler asks for those of a new one.
fn cases(attr: FleetAttr) -> Vec<Case> {
    const MODIFY: &[(&str, usize)] = &[("ModifyInstancesAttribute", 1)];
    const SUBNETS: &str =
        "network: { vpc: vpc-0a1b2c3d, subnets: { ap-guangzhou-3: subnet-0a1b2c3d, ap-guangzhou-4: subnet-1a1b2c3d } }";
    match attr {
        FleetAttr::Image => vec![Case::new(Takes::Rebuild, ["image: ubuntu", "image: debian"], [5, 0, 0, 5], STEPS)],
        FleetAttr::Count => vec![
            Case::new(Takes::Scale, ["count: 5", "count: 7"], [2, 0, 0, 0], &[("RunInstances", 2)]),
            Case::new(Takes::Scale, ["count: 5", "count: 3"], [0, 0, 0, 2], &[("TerminateInstances", 1)]),
        ],
        FleetAttr::Region => vec![Case::new(
            Takes::Refused,
            ["zones: [ap-guangzhou-3, ap-guangzhou-4]", "region: ap-shanghai\n    zones: [ap-shanghai-2]"],
            [0; 4],
            &[],
        )],
        FleetAttr::Zones => vec![Case::new(
            Takes::Move,
            ["zones: [ap-guangzhou-3, ap-guangzhou-4]", "zones: [ap-guangzhou-3]"],
            [2, 0, 0, 2],
            &[("TerminateInstances", 1), ("RunInstances", 1)],
        )],
        FleetAttr::Type => vec![Case::new(
            Takes::Resize,
            ["type: S5.MEDIUM4", "type: S5.LARGE8"],
            [0, 5, 0, 0],
            &[("StopInstances", 3), ("ResetInstancesType", 5), ("StartInstances", 3)],
        )],
        FleetAttr::SystemDiskType => vec![Case::replaces(
            "system_disk: { type: CLOUD_PREMIUM, size: 60 }",
            "system_disk: { type: CLOUD_SSD, size: 60 }",
        )],
        FleetAttr::SystemDiskSize => vec![
            Case::new(
                Takes::Rebuild,
                ["system_disk: { size: 60 }", "system_disk: { size: 80 }"],
                [0, 0, 5, 0],
                &[("ResetInstance", 5)],
            ),
            Case::replaces("system_disk: { size: 60 }", "system_disk: { size: 50 }"),
        ],
        FleetAttr::DataDisks => vec![Case::replaces("", "data_disks: [{ type: CLOUD_PREMIUM, size: 100 }]")],
        FleetAttr::Subnet => vec![Case::replaces("", SUBNETS)],
        FleetAttr::SecurityGroups => {
            vec![Case::new(Takes::Modify, ["", "network: { security_groups: [sg-0a1b2c3d] }"], [0, 5, 0, 0], MODIFY)]
        }
        FleetAttr::Internet => {
            vec![Case::replaces("", "internet: { charge: TRAFFIC_POSTPAID_BY_HOUR, bandwidth_mbps: 5 }")]
        }
        FleetAttr::Login => vec![Case::new(
            Takes::Rebuild,
            ["key_ids: [skey-8a7c6b5d]", "key_ids: [skey-11111111]"],
            [0, 0, 5, 0],
            &[("ResetInstance", 5)],
        )],
        FleetAttr::UserData => vec![Case::new(
            Takes::Rebuild,
            ["user_data: { file: boot.sh }", "user_data: { text: \"#!/bin/sh\" }"],
            [0, 0, 5, 0],
            &[("ResetInstance", 5)],
        )],
        FleetAttr::Hostname => vec![Case::new(
            Takes::Restart,
            ["hostname: \"web-{zone}-{ordinal}\"", "hostname: \"www-{zone}-{ordinal}\""],
            [0, 5, 0, 0],
            &[("ModifyInstancesAttribute", 5)],
        )],
        FleetAttr::ChargeType => {
            vec![Case::replaces("", "charge_type: PREPAID\n    prepaid: { months: 1, renew: NOTIFY_AND_MANUAL_RENEW }")]
        }
        FleetAttr::PrepaidMonths => vec![Case::noted(
            "charge_type: PREPAID\n    prepaid: { months: 1, renew: NOTIFY_AND_MANUAL_RENEW }",
            "charge_type: PREPAID\n    prepaid: { months: 2, renew: NOTIFY_AND_MANUAL_RENEW }",
        )],
        FleetAttr::PrepaidRenew => vec![Case::noted(
            "charge_type: PREPAID\n    prepaid: { months: 1, renew: NOTIFY_AND_MANUAL_RENEW }",
            "charge_type: PREPAID\n    prepaid: { months: 1, renew: NOTIFY_AND_AUTO_RENEW }",
        )],
        FleetAttr::SpotMaxPrice => vec![Case::noted(
            "charge_type: SPOTPAID\n    spot: { max_price: \"5\" }",
            "charge_type: SPOTPAID\n    spot: { max_price: \"6\" }",
        )],
        FleetAttr::PlacementGroup => {
            vec![Case::replaces("placement_group: ps-0a1b2c3d", "placement_group: ps-1a1b2c3d")]
        }
        FleetAttr::CamRole => vec![
            Case::new(Takes::Modify, ["cam_role: web-role", "cam_role: api-role"], [0, 5, 0, 0], MODIFY),
            Case::new(Takes::Modify, ["cam_role: web-role", ""], [0, 5, 0, 0], MODIFY),
        ],
        FleetAttr::State => vec![
            Case::new(Takes::Power, ["", "state: stopped"], [0, 5, 0, 0], &[("StopInstances", 1)]),
            Case::new(Takes::Power, ["state: stopped", "state: running"], [0, 5, 0, 0], &[("StartInstances", 1)]),
        ],
        FleetAttr::Protect => vec![
            Case::new(Takes::Modify, ["", "protect: true"], [0, 5, 0, 0], MODIFY),
            Case::new(Takes::Modify, ["protect: true", "protect: false"], [0, 5, 0, 0], MODIFY),
        ],
        FleetAttr::Tags => {
            vec![Case::new(Takes::Tag, ["app: web", "app: store"], [0, 5, 0, 0], &[("TagResources", 1)])]
        }
        // There is no such key.
        FleetAttr::Name => Vec::new(),
    }
}

/// A fleet that has some keys, or others in their place.
pub(crate) fn with_keys(before: &str) -> String {
    let more = "  debian:\n    public: { name: \"Debian 12 64bit\" }\nfleets:\n";
    let config = FLEET.replace("fleets:\n", more);
    if before.is_empty() || config.contains(before) {
        return config;
    }
    config.replace("    tags:", &format!("    {before}\n    tags:"))
}

fn try_one(attr: FleetAttr, case: &Case) {
    let Case { takes, before, after, closes, calls } = case;
    let mut config = with_keys(before);
    if *takes == Takes::Rebuild && closes[2] > 0 {
        config = config.replace("strategy: replace", "strategy: reset");
    }
    let rig = Rig::new(&[(WEB, &config), ("boot.sh", "#!/bin/sh\necho one\n")]);
    rig.settle();
    match (*before, *after) {
        ("", after) => rig.edit(WEB, "    tags:", &format!("    {after}\n    tags:")),
        (before, after) => rig.edit(WEB, before, after),
    }
    if *takes == Takes::Refused {
        let mark = rig.mark();
        let refused = rig.fails(Exit::Config).err;
        says(&refused, "error[region-changed]");
        says(&refused, "cannot be moved");
        assert_eq!(rig.mutations(mark), counts(&[]), "{attr}");
        return;
    }
    let (hooks, worst) = rig.count_absent("shop-default-web-", 5);
    let changed = rig.change_with("", hooks);
    let [add, change, reset, destroy] = *closes;
    changed.closes(add, change, reset, destroy).took(calls);
    let absent = *worst.lock().expect("a count");
    assert!(absent <= 2 || matches!(takes, Takes::Power | Takes::Scale), "{attr}: {absent} were out of service");
    let off = after.contains("state: stopped");
    for id in rig.instances(GZ).values() {
        let seen = rig.instance(id);
        let states = if off { ["STOPPED", "STOPPED"] } else { ["RUNNING", "SHUTDOWN"] };
        assert!(states.contains(&seen.state.as_str()), "{attr}: {}", seen.state);
    }
}

fn try_all(attrs: &[FleetAttr]) {
    for attr in attrs {
        let row = fields::fleet(*attr);
        let cases = cases(*attr);
        for takes in row.change {
            let tried = cases.iter().any(|case| case.takes == *takes);
            assert!(tried || *attr == FleetAttr::Name, "{attr}: no case that takes {takes:?}");
        }
        for case in &cases {
            assert!(row.change.contains(&case.takes), "{attr}: the table says {:?}, not {:?}", row.change, case.takes);
            try_one(*attr, case);
        }
    }
}

#[test]
fn every_attribute_changes_as_the_table_says() {
    // Side by side: each is a world of its own.
    let shares: Vec<&[FleetAttr]> = FleetAttr::ALL.chunks(6).collect();
    std::thread::scope(|scope| {
        for share in shares {
            scope.spawn(move || try_all(share));
        }
    });
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the switch of a test")]
fn the_page_of_changes_is_what_the_table_says() {
    const BEGIN: &str = "<!-- made from src/diff/fields.rs: UPDATE_DOCS=1 cargo test --test it -->\n";
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/changes.md");
    let page = std::fs::read_to_string(&path).expect("docs/changes.md");
    let (head, rest) = page.split_once(BEGIN).expect("where the table begins");
    let (_, tail) = rest.split_once("<!-- end -->").expect("where the table ends");
    let wanted = format!("{head}{BEGIN}\n{}\n<!-- end -->{tail}", fields::fleet_table());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &wanted).expect("written");
        return;
    }
    assert_eq!(page, wanted, "run with UPDATE_DOCS=1");
}
