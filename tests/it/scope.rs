//! Plans about a part of everything: `--target` and `--exclude`.

use std::collections::BTreeSet;

use fleetwright::cli::Exit;
use fleetwright::model::addr::Addr;

use crate::kit::{GZ, IMAGE, SH, counts, fleet, image, says};
use crate::rig::{Ran, Rig};

const SHOP: &str = "shop.yaml";

/// Applies a part, by just the calls that its plan says. What is left is not looked at.
#[track_caller]
fn apply_part(rig: &Rig, args: &str) -> Ran {
    let plan = rig.run(&format!("plan {args}")).expect(Exit::Done);
    let foretold = rig.foretold(args);
    let mark = rig.mark();
    rig.run(&format!("apply --auto-approve {args}")).expect(Exit::Done);
    assert_eq!(rig.mutations(mark), foretold, "{}", plan.out);
    rig.expect_in_step();
    plan
}

/// The blocks that a plan changes.
fn blocks(rig: &Rig, args: &str) -> BTreeSet<String> {
    let json = rig.json(&format!("plan --json {args}"));
    let changes = json["changes"].as_array().expect("changes");
    let addr = |change: &serde_json::Value| {
        let text = change["address"].as_str().expect("an address");
        text.parse::<Addr>().expect("an address").block.to_string()
    };
    changes.iter().map(addr).collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// A new version of the image, a larger fleet and one more account, all at once.
fn changed() -> Rig {
    let rig = image();
    rig.edit(SHOP, "ready: stopped }\n", "ready: stopped }\n    version: \"2\"\n");
    rig.edit(SHOP, "count: 3", "count: 5");
    rig.edit(SHOP, "\"100000000003\"]", "\"100000000003\", \"100000000004\"]");
    rig
}

#[test]
fn a_target_comes_with_what_it_needs_and_nothing_else() {
    let rig = Rig::new(&[(SHOP, IMAGE), ("boot.sh", crate::kit::BOOT)]);
    for (args, wanted) in [
        ("--target fleet.builder", set(&["fleet.builder"])),
        ("--target image.web", set(&["fleet.builder", "image.web"])),
        ("--target share.partners", set(&["fleet.builder", "image.web", "share.partners"])),
        ("--target fleet.web", set(&["fleet.builder", "fleet.web", "image.web"])),
        ("--target fleet.web[1]", set(&["fleet.builder", "fleet.web", "image.web"])),
        ("--exclude share.partners", set(&["fleet.builder", "fleet.web", "image.web"])),
        ("--exclude fleet.web --exclude share.partners", set(&["fleet.builder", "image.web"])),
        ("--exclude image.web", set(&["fleet.builder"])),
        // Without its source there is no image, and without that nothing that uses it.
        ("--exclude fleet.builder", set(&[])),
        ("--exclude fleet.builder[0]", set(&[])),
        // Only the copy that is asked for, and the one that it is made from.
        ("--target image.web/ap-shanghai", set(&["fleet.builder", "image.web"])),
    ] {
        assert_eq!(blocks(&rig, args), wanted, "{args}");
    }
    let plan = apply_part(&rig, "--target fleet.web[1]");
    insta::assert_snapshot!("scope_target", plan.err);
    assert_eq!(rig.instances(GZ).len(), 2, "the builder, and one of three");
    assert_eq!(rig.images(SH).len(), 1);
    let plan = rig.run("plan").expect(Exit::Done);
    says(&plan.out, "Plan: 4 to add, 0 to change, 0 to reset, 0 to destroy.");
    rig.settle();
}

#[test]
fn any_part_first_and_then_the_rest_ends_where_all_at_once_does() {
    let whole = changed();
    whole.settle();
    for args in [
        "--target image.web",
        "--target share.partners",
        "--target fleet.web",
        "--target fleet.web[4]",
        "--target fleet.web[0]",
        "--target image.web/ap-shanghai",
        "--exclude fleet.web",
        "--exclude fleet.web[1]",
        "--exclude share.partners",
        "--exclude image.web",
        "--exclude image.web@2",
        "--exclude image.web/ap-shanghai",
        "--exclude share.partners/ap-shanghai",
    ] {
        let rig = changed();
        apply_part(&rig, args);
        rig.settle();
        assert_eq!(names(&rig), names(&whole), "{args}");
    }
}

/// What there is, by name.
fn names(rig: &Rig) -> Vec<BTreeSet<String>> {
    let keys = |found: std::collections::BTreeMap<String, String>| found.into_keys().collect();
    vec![keys(rig.instances(GZ)), keys(rig.images(GZ)), keys(rig.images(SH))]
}

#[test]
fn an_image_stays_for_whoever_is_left_out() {
    let rig = changed();
    let before = rig.images(GZ);
    let plan = apply_part(&rig, "--target image.web");
    insta::assert_snapshot!("scope_image_stays", plan.err);
    // The old version is there beside the new one, for the fleet runs from it.
    let after = rig.images(GZ);
    assert!(before.iter().all(|(name, id)| after.get(name) == Some(id)), "{after:?}");
    assert_eq!(after.len(), before.len() + 1);
    // Nobody runs from what is in the other region, but it is shared.
    assert_eq!(rig.images(SH).len(), 2);
    says(
        &rig.run("plan --exclude image.web").expect(Exit::Done).err,
        "all but image.web | = note: left out with it, for they need it: share.partners, fleet.web",
    );
    let plan = apply_part(&rig, "--exclude share.partners");
    says(&plan.err, "is a share of it, and is left out of this plan");
    assert_eq!(rig.images(GZ).len(), 2);
    rig.settle();
    assert_eq!((rig.images(GZ).len(), rig.images(SH).len()), (1, 1));
}

#[test]
fn what_is_left_out_is_not_even_looked_at() {
    let rig = image();
    // Somebody lost an instance, and the config of the image has become impossible.
    let id = rig.id("fleet.web[0]");
    rig.by_hand(GZ, "TerminateInstances", &serde_json::json!({ "InstanceIds": [id] }));
    rig.edit(SHOP, "regions: [ap-guangzhou, ap-shanghai]", "regions: [ap-guangzhou, ap-nowhere]");
    rig.edit(SHOP, "    count: 1", "    count: 2");
    rig.run("plan").expect(Exit::Config);
    let mark = rig.mark();
    assert_eq!(blocks(&rig, "--target fleet.builder"), set(&["fleet.builder"]));
    let asked: Vec<String> =
        rig.since(mark).into_iter().filter(|call| call.action == "DescribeInstances").map(|call| call.action).collect();
    assert_eq!(asked.len(), 1);
    assert!(!rig.calls(mark).contains_key("DescribeImageSharePermission"), "{:?}", rig.calls(mark));
    rig.run("apply --auto-approve --exclude image.web").expect(Exit::Done);
    rig.edit(SHOP, "regions: [ap-guangzhou, ap-nowhere]", "regions: [ap-guangzhou, ap-shanghai]");
    rig.settle();
}

#[test]
fn slots_are_chosen_one_by_one() {
    let rig = fleet();
    rig.edit(SHOP, "type: S5.MEDIUM4", "type: S5.LARGE8");
    rig.edit(SHOP, "count: 5", "count: 7");
    let plan = apply_part(&rig, "--target fleet.web[6] --target fleet.web[1]");
    says(&plan.out, "Plan: 1 to add, 1 to change, 0 to reset, 0 to destroy.");
    assert_eq!(rig.instances(GZ).len(), 6);
    let plan = apply_part(&rig, "--exclude fleet.web[0] --exclude fleet.web[5]");
    says(&plan.out, "Plan: 0 to add, 3 to change, 0 to reset, 0 to destroy.");
    let plan = rig.run("plan").expect(Exit::Done);
    says(&plan.out, "Plan: 1 to add, 1 to change, 0 to reset, 0 to destroy.");
    rig.settle();
    // A smaller fleet keeps what is excluded.
    rig.edit(SHOP, "count: 7", "count: 5");
    let plan = apply_part(&rig, "--exclude fleet.web[6]");
    says(&plan.out, "Plan: 0 to add, 0 to change, 0 to reset, 1 to destroy.");
    assert!(rig.addrs().contains(&"fleet.web[6]".to_owned()));
    rig.settle();
}

#[test]
fn a_part_is_destroyed_with_what_uses_it() {
    for (args, left) in [
        // As with every destruction: what uses it cannot stay.
        ("--target image.web", set(&["fleet.builder"])),
        ("--target fleet.builder", set(&["fleet.web", "image.web", "share.partners"])),
        ("--target fleet.web[2]", set(&["fleet.builder", "fleet.web", "image.web", "share.partners"])),
        ("--target share.partners", set(&["fleet.builder", "fleet.web", "image.web"])),
        // What is left out keeps the image that it uses.
        ("--exclude fleet.web", set(&["fleet.web", "image.web"])),
        ("--exclude share.partners", set(&["image.web", "share.partners"])),
        ("--exclude image.web", set(&["image.web"])),
    ] {
        let rig = image();
        let mark = rig.mark();
        let foretold = rig.foretold(&format!("--destroy {args}"));
        rig.run(&format!("destroy --auto-approve {args}")).expect(Exit::Done);
        if args == "--target fleet.builder" {
            // The image that was captured from it needs it, so it goes as well, and so do those that use the image.
            assert_eq!(rig.addrs(), Vec::<String>::new());
        } else {
            let there: BTreeSet<String> =
                rig.addrs().iter().map(|addr| addr.parse::<Addr>().expect("an address").block.to_string()).collect();
            assert_eq!(there, left, "{args}");
        }
        assert_eq!(rig.mutations(mark), foretold, "{args}");
        rig.expect_in_step();
        rig.settle();
    }
}

#[test]
fn what_is_removed_from_the_config_can_be_chosen_too() {
    let rig = image();
    let text = rig.read(SHOP);
    let (kept, _) = text.split_once("  web:\n    image: web").expect("the fleet");
    rig.write(SHOP, kept);
    rig.edit(SHOP, "shares:\n  partners:\n    image: web\n    accounts: [\"100000000002\", \"100000000003\"]\n", "");
    let plan = apply_part(&rig, "--target share.partners");
    says(&plan.out, "Plan: 0 to add, 0 to change, 0 to reset, 2 to destroy.");
    assert_eq!(rig.shared(GZ, &rig.images(GZ).into_values().next().expect("a copy")), Vec::<String>::new());
    assert_eq!(blocks(&rig, "--exclude fleet.web"), set(&[]));
    assert_eq!(blocks(&rig, "--target fleet.web"), set(&["fleet.web"]));
    rig.settle();
}

#[test]
fn a_saved_plan_and_what_it_says_to_type_keep_to_the_part() {
    let rig = changed();
    rig.run("plan --target fleet.builder --target image.web --out plan.json").expect(Exit::Done);
    let json = rig.json("show plan.json --json");
    assert_eq!(json["target"], serde_json::json!(["image.web", "fleet.builder"]));
    assert_eq!(json["exclude"], serde_json::json!([]));
    says(&rig.run("show plan.json").expect(Exit::Done).out, "part only (--target image.web --target fleet.builder)");
    let asked = rig.run("apply --exclude fleet.web[0]").expect(Exit::Failed);
    says(&asked.err, "fleetwright apply --exclude 'fleet.web[0]' --auto-approve");
    apply_part(&rig, "--target image.web");
    let stale = rig.run("apply plan.json").expect(Exit::Foreign);
    says(&stale.err, "fleetwright plan --target image.web --target fleet.builder --out plan.json");
}

#[test]
fn only_a_part_is_learnt() {
    let rig = fleet();
    for slot in [0, 3] {
        let id = rig.id(&format!("fleet.web[{slot}]"));
        rig.by_hand(GZ, "TerminateInstances", &serde_json::json!({ "InstanceIds": [id] }));
    }
    rig.wait_ms(600_000);
    let mark = rig.mark();
    rig.run("refresh --auto-approve --target fleet.web[3]").expect(Exit::Done);
    assert_eq!(rig.mutations(mark), counts(&[]));
    assert_eq!(rig.addrs(), ["fleet.web[0]", "fleet.web[1]", "fleet.web[2]", "fleet.web[4]"]);
    rig.run("refresh --auto-approve --exclude fleet.web").expect(Exit::Done);
    rig.run("apply --refresh-only --auto-approve --target fleet.web").expect(Exit::Done);
    assert_eq!(rig.addrs(), ["fleet.web[1]", "fleet.web[2]", "fleet.web[4]"]);
    let nothing = rig.run("plan --refresh-only --target fleet.web[1]").expect(Exit::Done);
    says(&nothing.out, "No changes to what this plan is about.");
}

#[test]
fn what_is_not_there_is_a_mistake_in_the_command_line() {
    let rig = image();
    for (args, what) in [
        ("--target fleet.wbe", "did you mean fleet.web?"),
        ("--target fleet.web[7]", "it has 3 slots, from 0 on"),
        ("--exclude image.web/ap-beijing", "neither config nor state has such a thing"),
        ("--exclude image.ubuntu[0]", "neither config nor state has such a thing"),
        ("--target image.web@99", "there is no such version, and none is made"),
        ("--target fleet", "is not an address"),
        ("--target fleet.builder --replace fleet.web", "it is left out of this plan"),
        ("--exclude image.ubuntu --upgrade=image.ubuntu", "it is left out of this plan"),
        ("--target fleet.web --exclude image.web", "cannot be used with"),
        ("--refresh-only --target fleet.wbe", "did you mean fleet.web?"),
        ("--refresh-only --target image.web@99", "there is no such version, and none is made"),
    ] {
        let refused = rig.run(&format!("plan {args}")).expect(Exit::Usage);
        says(&refused.err, what);
    }
    rig.run("apply plan.json --target fleet.web").expect(Exit::Usage);
}

/// The accounts that an apply of a part left where they were.
fn shares(rig: &Rig) -> Vec<Vec<String>> {
    [GZ, SH].iter().flat_map(|region| rig.images(region).into_values().map(|id| rig.shared(region, &id))).collect()
}

#[test]
fn nobody_loses_a_share_before_its_successor_is_planned() {
    for args in
        ["--exclude image.web/ap-shanghai", "--exclude share.partners@2", "--exclude share.partners/ap-shanghai"]
    {
        let rig = changed();
        let before = rig.images(SH);
        apply_part(&rig, args);
        let kept = before.values().next().expect("a copy");
        assert_eq!(rig.shared(SH, kept), ["100000000002", "100000000003"], "{args}");
        rig.settle();
    }
    // A share under another name keeps the accounts that the new one is not yet asked to drop.
    let rig = image();
    rig.edit(SHOP, "partners:", "resellers:");
    rig.edit(SHOP, "[\"100000000002\", \"100000000003\"]", "[\"100000000002\"]");
    apply_part(&rig, "--exclude share.resellers/ap-shanghai");
    assert!(rig.addrs().iter().any(|addr| addr.starts_with("share.partners@") && addr.ends_with("/ap-shanghai")));
    rig.settle();
    assert_eq!(shares(&rig), [["100000000002"], ["100000000002"]]);
}

#[test]
fn a_refresh_of_a_part_looks_at_all_of_it() {
    let rig = image();
    for args in
        ["--exclude image.web", "--exclude fleet.builder[0]", "--exclude fleet.builder", "--target share.partners"]
    {
        let nothing = rig.run(&format!("plan --refresh-only --detailed-exitcode {args}")).expect(Exit::Done);
        says(&nothing.out, "No changes to what this plan is about.");
    }
}

#[test]
fn without_a_look_what_is_left_out_is_remembered_as_well() {
    let rig = image();
    let two = "  web:\n    from_instance: { instance: \"fleet.builder[0]\", ready: stopped }";
    rig.edit(SHOP, two, &format!("{}\n{two}", two.replace("web:", "old:")));
    rig.settle();
    rig.edit(SHOP, "shares:\n  partners:\n    image: web\n    accounts: [\"100000000002\", \"100000000003\"]\n", "");
    apply_part(&rig, "--refresh=false --exclude image.web");
    assert_eq!(shares(&rig).concat(), Vec::<String>::new());
    rig.settle();
}

#[test]
fn what_is_there_in_part_is_known_to_need_what_it_needs() {
    let rig = image();
    rig.run("destroy --auto-approve --target fleet.web[2]").expect(Exit::Done);
    let plan = rig.run("plan --destroy --target image.web").expect(Exit::Done);
    says(&plan.out, "fleet.web[0,1]");
}

#[test]
fn a_copy_that_failed_goes_before_another_is_made_for_a_part() {
    let rig = changed();
    let copies = rig.images(GZ).into_keys().next().expect("a copy");
    let name = copies.replace(copies.rsplit('-').next().expect("a version"), "2");
    rig.cloud().inject(fleetwright::cloud::embedded::Injection::CaptureFails { name });
    rig.fails(Exit::Failed);
    apply_part(&rig, "--target image.web/ap-shanghai");
    rig.settle();
    // A slot that was replaced goes by its generation, or without.
    rig.run("apply --auto-approve --replace fleet.builder[0]").expect(Exit::Done);
    rig.edit(SHOP, "version: \"2\"", "version: \"3\"");
    for args in ["--exclude fleet.builder[0]", "--exclude fleet.builder[0]#2"] {
        assert_eq!(blocks(&rig, args), set(&[]), "{args}");
    }
    let again = rig.run("destroy --target fleet.nothing").expect(Exit::Usage);
    says(&again.err, "the state has no such thing");
}

#[test]
fn a_type_changes_without_a_look_though_nobody_named_a_disk() {
    let rig = fleet();
    rig.edit(SHOP, "type: S5.MEDIUM4", "type: S5.LARGE8");
    let plan = rig.run("plan --refresh=false").expect(Exit::Done);
    says(&plan.out, "Plan: 0 to add, 5 to change, 0 to reset, 0 to destroy.");
}
