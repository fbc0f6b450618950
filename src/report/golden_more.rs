//! What programs read, and the smaller outputs, held by snapshots.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;

use crate::apply::events::Outcome;
use crate::diagnostic::{Diagnostic, Place, Source, SourceMap, Span, codes};
use crate::model::digest::{Digest, SecretKey, SecretSource, context};
use crate::model::ids::{ImageId, InstanceType, Lineage, Name, Uin, Version, Zone};
use crate::model::recorded::{Object, OpId, Recorded, Status, VersionRecord};
use crate::model::spec::{
    ImageCopySpec, ImageUse, Inputs, Login, ObjectSpec, ShareCopySpec, SlotNetwork, SlotSpec, SystemDisk,
};
use crate::plan::{Action, Plan};

use super::inspect::{self, Inspect, InspectImage, InspectInstance};
use super::plan_json::{self, Beside};
use super::progress::{Next, outcome};
use super::samples::{self, NOON, addr};
use super::style::{Style, display_width};
use super::{diagnostics, events_json, state_text};

const NEXT: Next<'_> = Next { again: "fleetwright apply", rollout: "fleetwright rollout" };

#[test]
fn plans_as_json() {
    let mut first: Plan = samples::first();
    first.changes.retain(|change| change.addr.slot.is_none_or(|slot| slot < 1));
    insta::assert_snapshot!("first_json", plan_json::plan(&first, Beside::default()).text());
    let mut mixed: Plan = samples::mixed();
    mixed.changes.retain(|change| change.addr.slot.is_none_or(|slot| slot < 2));
    mixed.notes = vec![
        Diagnostic::warning(codes::BUILDER_REMOVED, "fleet.builder is no longer in the config")
            .why("image.web stays")
            .help("keep the block if you mean to capture again"),
    ];
    insta::assert_snapshot!("mixed_json", plan_json::plan(&mixed, Beside::default()).text());
}

/// Every key of a document's objects.
fn keys(json: &serde_json::Value, found: &mut BTreeSet<String>) {
    match json {
        serde_json::Value::Object(fields) => {
            for (key, value) in fields {
                found.insert(key.clone());
                keys(value, found);
            }
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| keys(item, found)),
        serde_json::Value::Null
        | serde_json::Value::Bool(_)
        | serde_json::Value::Number(_)
        | serde_json::Value::String(_) => {}
    }
}

#[test]
fn every_key_is_documented() {
    let docs = include_str!("../../docs/json.md");
    let mut mixed = samples::mixed();
    mixed.notes = vec![Diagnostic::warning(codes::BUILDER_REMOVED, "gone")];
    let span = Span { file: 0, start: 3, end: 4 };
    let fault = Diagnostic::error(codes::UNKNOWN_KEY, "a fault").at_span(span).related(Place::Span(span), "here");
    let sources =
        SourceMap { sources: vec![Source { path: "a.yaml".into(), text: "a: 1".into() }], ..SourceMap::default() };
    let mut found = BTreeSet::new();
    for text in [
        plan_json::plan(&samples::first(), Beside::default()).text(),
        plan_json::plan(&mixed, Beside::default()).text(),
        state_text::json(&state()).text(),
        inspect::json(&held()),
        diagnostics::render_json(&[fault], &sources),
    ] {
        keys(&serde_json::from_str(&text).expect("JSON"), &mut found);
    }
    // the names of actions are the cloud's
    let missing: Vec<&String> = found
        .iter()
        .filter(|key| key.starts_with(|c: char| c.is_ascii_lowercase()) && !docs.contains(&format!("`{key}`")))
        .collect();
    assert!(missing.is_empty(), "docs/json.md lacks {missing:?}");
    for format in [plan_json::FORMAT, state_text::FORMAT, inspect::FORMAT, events_json::FORMAT] {
        assert!(docs.contains(format), "docs/json.md lacks {format}");
    }
}

fn state() -> Recorded {
    let secret = SecretKey::of(&Lineage::new("0192a7c4")).refer(SecretSource::File("provision.sh".into()), b"echo hi");
    let digest = secret.digest;
    let slot = Arc::new(ObjectSpec::Slot(Box::new(SlotSpec {
        image: ImageUse::Made { image: Name::new("web"), version: Version::new("3f9a1c02"), generation: 1 },
        instance_type: InstanceType::new("S5.MEDIUM4"),
        system_disk: SystemDisk { kind: None, size_gib: Some(50) },
        data_disks: Vec::new(),
        network: SlotNetwork::default(),
        internet: None,
        login: Login::Unset,
        tags: BTreeMap::from([("app".to_owned(), "web".to_owned())]),
        user_data: Some(secret),
        hostname: None,
        charge: crate::model::spec::Charge::Hourly,
        placement_group: None,
        cam_role: None,
        power: None,
        protect: false,
        on_trial: false,
    })));
    let image = Arc::new(ObjectSpec::Image(ImageCopySpec {
        description: None,
        tags: BTreeMap::new(),
        ..ImageCopySpec::default()
    }));
    let share = Arc::new(ObjectSpec::Share(ShareCopySpec { accounts: BTreeSet::from([Uin::new("100000000003")]) }));
    let object = |at: &str, cloud_id, name: &str, spec: &Arc<ObjectSpec>| Object {
        addr: addr(at),
        generation: 1,
        region: samples::region(),
        cloud_id,
        name: name.to_owned(),
        zone: None,
        ordinal: None,
        status: Status::Ready,
        spec: Arc::clone(spec),
        made_from: None,
        accepted_ms: NOON,
        made_by: Some(OpId(1)),
    };
    let mut objects = vec![
        object("image.web@3f9a1c02/ap-guangzhou", samples::image(1), "webshop-default-web-3f9a1c02", &image),
        object("share.partners@3f9a1c02/ap-guangzhou", samples::image(1), "", &share),
    ];
    for n in 0..3 {
        objects.push(Object {
            zone: Some(Zone::new("ap-guangzhou-3")),
            ordinal: Some(n + 1),
            made_from: Some(ImageId::new("img-00000001")),
            generation: n % 2 + 1,
            status: if n == 2 { Status::Creating } else { Status::Ready },
            ..object(
                &format!("fleet.web[{n}]"),
                samples::instance(n),
                &format!("webshop-default-web-3-{}", n + 1),
                &slot,
            )
        });
    }
    Recorded {
        lineage: Lineage::new("0192a7c4"),
        serial: 7,
        origin: Some(samples::empty().origin),
        halted: BTreeSet::new(),
        objects,
        versions: vec![VersionRecord {
            block: samples::block("image.web"),
            version: Version::new("3f9a1c02"),
            generation: 1,
            inputs: Inputs {
                instance: None,
                base: Some(ImageUse::Found { id: ImageId::new("img-487zeit5") }),
                user_data: Some(digest),
                system_disk: SystemDisk::default(),
                data_disks: Vec::new(),
                import: None,
                encryption: None,
            },
            inputs_digest: Digest::of(context::INPUTS, b"inputs"),
            made_ms: NOON,
        }],
        edges: BTreeSet::from([(samples::block("fleet.web"), samples::block("image.web"))]),
        rollouts: BTreeMap::new(),
    }
}

#[test]
fn states() {
    let plain = |width| Style { width, color: false };
    insta::assert_snapshot!("state_80", state_text::show(&state(), plain(80)));
    insta::assert_snapshot!("state_120", state_text::show(&state(), plain(120)));
    insta::assert_snapshot!("state_40", state_text::show(&state(), plain(40)));
    insta::assert_snapshot!("state_list", state_text::list(&state(), true));
    insta::assert_snapshot!("state_json", state_text::json(&state()).text());
    insta::assert_snapshot!("state_empty", state_text::show(&Recorded::empty(Lineage::new("x")), plain(80)));
}

fn held() -> Inspect {
    let instance = |n: u32, owner: &str| InspectInstance {
        account: "100000000001".into(),
        id: samples::instance(n).to_string(),
        name: format!("webshop-default-web-3-{n}"),
        zone: "ap-guangzhou-3".into(),
        state: "RUNNING".into(),
        instance_type: "S5.MEDIUM4".into(),
        image: "img-487zeit5".into(),
        addresses: vec![format!("10.0.0.{n}")],
        charge_type: if n == 1 { "PREPAID" } else { "POSTPAID_BY_HOUR" }.into(),
        protected: n == 1,
        hostname: format!("web-3-{n}"),
        placement_group: None,
        cam_role: (n == 1).then(|| "web-role".into()),
        fee_micros_per_hour: 0,
        owner: owner.into(),
    };
    let image = InspectImage {
        account: "100000000001".into(),
        id: "img-00000001".into(),
        name: "webshop-default-web-3f9a1c02".into(),
        region: "ap-guangzhou".into(),
        state: "NORMAL".into(),
        size_gib: 50,
        shared_with: vec!["100000000003".into(), "100000000004".into()],
        family: "web".into(),
        deprecated: true,
        imported: false,
        encrypted: false,
        error: None,
        fee_micros_per_hour: 120_000,
        owner: "webshop/default/image.web".into(),
    };
    let failed = InspectImage {
        id: "img-00000002".into(),
        name: "legacy".into(),
        state: "IMPORTFAILED".into(),
        shared_with: Vec::new(),
        family: String::new(),
        deprecated: false,
        imported: true,
        error: Some("VirtioNotInstall".into()),
        fee_micros_per_hour: 0,
        owner: String::new(),
        ..image.clone()
    };
    let offer = inspect::InspectOffer {
        id: "img-kx1vn3zd".into(),
        kind: "marketplace".into(),
        owner: String::new(),
        name: "WordPress".into(),
        region: "mainland".into(),
        fee_micros_per_hour: 120_000,
    };
    Inspect {
        instances: vec![instance(1, "webshop/default/fleet.web"), instance(2, "")],
        images: vec![image, failed],
        offers: vec![offer],
    }
}

#[test]
fn what_a_cloud_holds() {
    let held = held();
    insta::assert_snapshot!("inspect_80", inspect::text(&held, Style { width: 80, color: false }));
    insta::assert_snapshot!("inspect_140", inspect::text(&held, Style { width: 140, color: false }));
    insta::assert_snapshot!("inspect_json", inspect::json(&held));
    insta::assert_snapshot!("inspect_empty", inspect::text(&Inspect::default(), Style::PLAIN));
}

fn slots(range: std::ops::Range<u32>) -> Vec<crate::model::addr::Addr> {
    range.map(|n| addr(&format!("fleet.web[{n}]"))).collect()
}

#[test]
fn how_an_apply_ended() {
    let mut end = Outcome {
        done: slots(0..4).into_iter().map(|slot| (Action::Create, slot)).collect(),
        failed: Vec::new(),
        skipped: Vec::new(),
        ..Outcome::default()
    };
    end.done.push((Action::Delete, addr("image.web@1/ap-guangzhou")));
    end.done.push((Action::Replace, addr("fleet.db[0]")));
    insta::assert_snapshot!("outcome_done", outcome(&end, "", NEXT, Style::PLAIN));
    end.failed = slots(4..7)
        .into_iter()
        .map(|slot| (slot, "ResourceInsufficient: the type is sold out in ap-guangzhou-3".to_owned()))
        .collect();
    end.skipped = vec![(addr("image.copy@1/ap-guangzhou"), "fleet.web[4] failed".to_owned())];
    insta::assert_snapshot!(
        "outcome_partly",
        outcome(&end, "", Next { again: "fleetwright -e prod apply", ..NEXT }, Style::PLAIN)
    );
    end.interrupted = true;
    end.failed.clear();
    insta::assert_snapshot!("outcome_interrupted", outcome(&end, "", NEXT, Style::PLAIN));
}

proptest! {
    #[test]
    fn nothing_panics_and_rows_fit_whatever_a_name_holds(
        name in "\\PC{0,80}|[\u{0}-\u{1f}]{0,8}", why in "\\PC{0,200}", width in 0usize..130,
    ) {
        let mut plan = samples::mixed();
        for change in &mut plan.changes {
            change.name.clone_from(&name);
        }
        plan.assumptions.push(why.clone());
        let style = Style { width, color: false };
        let text = super::plan_text::plan(&plan, style, &super::plan_text::PlanOpts::default());
        prop_assert!(text.lines().all(|row| !row.contains(|c: char| c.is_control())));
        let failed = Outcome { failed: vec![(addr("fleet.web[0]"), why)], ..Outcome::default() };
        let end = outcome(&failed, "", NEXT, style);
        for row in text.lines().chain(end.lines()).filter(|_| width >= 60) {
            // what is wider is one word behind a label
            prop_assert!(display_width(row) <= width || row.split(' ').filter(|word| !word.is_empty()).count() <= 2, "{row:?}");
        }
    }

    #[test]
    fn whatever_is_lost_stands_in_the_summary(actions in prop::collection::vec(0u8..4, 0..40)) {
        let mut plan = samples::torn_down(40);
        plan.changes.truncate(actions.len());
        for (change, action) in plan.changes.iter_mut().zip(&actions) {
            change.action = match action {
                0 => Action::Delete,
                1 => Action::Reset,
                2 => Action::Update,
                _ => Action::Replace,
            };
        }
        let text = super::plan_text::plan(&plan, Style { width: 4000, color: false }, &Default::default());
        let summary: Vec<&str> = text.lines().take_while(|line| !line.starts_with("Signs:")).collect();
        for sign in [Action::Delete, Action::Reset, Action::Replace] {
            let wanted: BTreeSet<u32> =
                plan.changes.iter().filter(|change| change.action == sign).filter_map(|change| change.addr.slot).collect();
            let mark = format!(" {} fleet.web[{}]", sign.sign(), super::fold::slots(&wanted, usize::MAX));
            prop_assert_eq!(wanted.is_empty(), !summary.iter().any(|line| line.contains(&mark)), "{}", mark);
        }
        prop_assert!(summary.iter().all(|line| !line.contains('~')));
    }
}
