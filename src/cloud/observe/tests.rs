#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a script answers some questions in particular, and the rest alike"
)]

use std::cell::Cell;

use super::*;
use crate::model::observed::{ImageKind, ImageState, TypeSeen};
use proptest::prelude::*;

const HOME: &str = "ap-guangzhou";

type Finished = Result<Observed, Vec<(Call, Fault)>>;

fn home() -> Region {
    Region::new(HOME)
}

fn needs(wanted: RegionNeeds) -> Needs {
    Needs {
        account: "100000000001".into(),
        home: home(),
        regions_list: false,
        regions: BTreeMap::from([(home(), wanted)]),
    }
}

fn fault(class: Class, code: &str) -> Fault {
    Fault { class, code: Some(code.to_owned()), ..strange("m") }
}

fn query(call: &Call) -> &Query {
    match &call.body {
        Body::Describe(query) => query,
        other => panic!("{other:?}"),
    }
}

/// Goes round as a driver does, and answers by a script. Tells what was seen, the calls by round, and the waits.
fn drive(
    needs: Needs,
    mut script: impl FnMut(&Call) -> Result<Reply, Fault>,
) -> (Finished, Vec<Vec<Call>>, Vec<Millis>) {
    let mut observer = Observer::new(needs);
    let (mut rounds, mut waits) = (Vec::new(), Vec::new());
    loop {
        let calls = observer.next();
        if calls.is_empty() {
            break;
        }
        waits.extend(observer.wait_ms());
        // Answers come in another order than the questions went.
        for call in calls.iter().rev() {
            let result = script(call).map(|reply| Answer { reply, request_id: "r".into(), cloud_ms: 5 });
            observer.answer(call, result);
        }
        rounds.push(calls);
    }
    (observer.finish(), rounds, waits)
}

fn image(id: &str, name: &str) -> Image {
    Image {
        id: id.into(),
        name: name.to_owned(),
        description: String::new(),
        state: ImageState::Normal,
        sync_percent: None,
        kind: ImageKind::Public,
        created_ms: 0,
        size_gib: 20,
        architecture: "x86_64".to_owned(),
        platform: "Ubuntu".to_owned(),
        creator: "tencent".to_owned(),
        family: String::new(),
        deprecated: false,
        snapshots: Vec::new(),
        tags: BTreeMap::new(),
        source: "CREATE_IMAGE".to_owned(),
    }
}

fn images(count: usize) -> Vec<Image> {
    (0..count).map(|n| image(&format!("img-{n:05}"), "n")).collect()
}

fn page_at(all: &[Image], offset: u32) -> Result<Reply, Fault> {
    let items = all.iter().skip(offset as usize).take(PAGE as usize).cloned().collect();
    Ok(Reply::Images(Page { total: number(all.len()), items }))
}

fn instance_ids(count: usize) -> BTreeSet<InstanceId> {
    (0..count).map(|n| InstanceId::new(format!("ins-{n:05}"))).collect()
}

fn listing() -> RegionNeeds {
    RegionNeeds { custom_images: true, ..RegionNeeds::default() }
}

fn offset(call: &Call) -> u32 {
    match query(call) {
        Query::CustomImages { offset } | Query::PublicImages { offset, .. } => *offset,
        other => panic!("{other:?}"),
    }
}

#[test]
fn known_instances_cost_the_floor_and_absent_ones_are_told() {
    for (count, floor) in [(0, 0), (1, 1), (100, 1), (101, 2), (1000, 10), (1001, 11)] {
        let wanted = RegionNeeds { instances: instance_ids(count).into_iter().collect(), ..RegionNeeds::default() };
        let (seen, rounds, _) = drive(needs(wanted), |call| {
            let Query::InstancesById { ids } = query(call) else { panic!("{call:?}") };
            assert!(ids.len() <= 100);
            let there = ids.iter().filter(|id| id.as_str() != "ins-00000").map(|id| Instance::sample(id.as_str()));
            Ok(Reply::Instances(Page { total: 0, items: there.collect() }))
        });
        let seen = seen.expect("seen");
        assert_eq!((rounds.concat().len(), seen.calls), (floor, floor as u32));
        assert_eq!(seen.by_region[&home()].instances.len(), count);
        if count > 0 {
            assert_eq!(seen.instance(&home(), &"ins-00000".into()), Some(&Seen::Absent { asked_ms: 5 }));
        }
        assert_eq!(seen.instance(&home(), &"ins-99999".into()), None);
    }
}

#[test]
fn a_listing_is_walked_to_its_end_in_two_rounds() {
    for count in [0, 1, 100, 101, 350] {
        let all = images(count);
        let (seen, rounds, _) = drive(needs(listing()), |call| page_at(&all, offset(call)));
        assert_eq!(seen.expect("seen").by_region[&home()].custom_images.as_ref().expect("listed").len(), count);
        let pages = count.div_ceil(100).max(1);
        assert_eq!(rounds.concat().len(), pages);
        assert_eq!(rounds.len(), pages.min(2));
    }
}

#[test]
fn a_listing_that_does_not_add_up_is_walked_again() {
    let all = images(150);
    let asked = Cell::new(0);
    let (seen, ..) = drive(needs(listing()), |call| {
        asked.set(asked.get() + 1);
        // The pages of the first walk overlap.
        let from = if asked.get() == 2 { 50 } else { offset(call) as usize };
        let end = all.len().min(from + 100) - usize::from(asked.get() == 2) * 30;
        Ok(Reply::Images(Page { total: 150, items: all[from..end].to_vec() }))
    });
    assert_eq!(seen.expect("seen").by_region[&home()].custom_images.as_ref().expect("listed").len(), 150);
    assert_eq!(asked.get(), 4);
}

#[test]
fn what_is_known_has_to_do_when_a_listing_never_adds_up() {
    let (seen, rounds, _) = drive(needs(listing()), |_| Ok(Reply::Images(Page { total: 9, items: images(3) })));
    assert_eq!(seen.expect("seen").by_region[&home()].custom_images.as_ref().expect("listed").len(), 3);
    assert_eq!(rounds.len(), 4);
}

#[test]
fn an_image_that_was_deleted_during_the_walk_is_not_kept() {
    let asked = Cell::new(0);
    let (seen, ..) = drive(needs(listing()), |_| {
        asked.set(asked.get() + 1);
        let (total, there) = if asked.get() == 1 { (4, 3) } else { (2, 2) };
        Ok(Reply::Images(Page { total, items: images(there) }))
    });
    assert_eq!(seen.expect("seen").by_region[&home()].custom_images.as_ref().expect("listed").len(), 2);
}

proptest! {
    #[test]
    fn shuffled_pages_are_deduplicated(count in 0_usize..400, seed: u64) {
        let all = images(count);
        let turn = Cell::new(seed);
        let (seen, rounds, _) = drive(needs(listing()), |call| {
            turn.set(turn.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
            let mut shuffled = all.clone();
            let by = usize::try_from(turn.get() % 401).unwrap();
            shuffled.rotate_left(if count == 0 { 0 } else { by % count });
            page_at(&shuffled, offset(call))
        });
        let seen = seen.expect("seen");
        let listed = seen.by_region[&home()].custom_images.as_ref().expect("listed");
        prop_assert!(listed.keys().all(|id| all.iter().any(|image| image.id == *id)));
        prop_assert!(count > 100 || listed.len() == count);
        prop_assert!(rounds.concat().len() <= 4 * count.div_ceil(100).max(1));
    }
}

#[test]
fn look_ups_keep_exact_names_of_public_images_oldest_first() {
    let lookup = Lookup { name: "Ubuntu 22".to_owned(), instance_type: Some("S5.MEDIUM4".into()) };
    let wanted = RegionNeeds { lookups: BTreeSet::from([lookup.clone()]), ..RegionNeeds::default() };
    let at = |created_ms, id| Image { created_ms, ..image(id, "Ubuntu 22") };
    let all = vec![
        at(3, "img-new"),
        image("img-fuzzy", "Ubuntu 22 arm"),
        Image { kind: ImageKind::Shared, ..at(9, "img-shared") },
        at(1, "img-old"),
    ];
    let (seen, ..) = drive(needs(wanted), |call| page_at(&all, offset(call)));
    let found = &seen.expect("seen").by_region[&home()].lookups[&lookup];
    assert_eq!(found.iter().map(|image| image.id.as_str()).collect::<Vec<_>>(), ["img-old", "img-new"]);
}

#[test]
fn a_look_up_for_a_type_that_is_not_there_finds_nothing() {
    let lookup = Lookup { name: "Ubuntu 22".to_owned(), instance_type: Some("S9.NONE".into()) };
    let wanted = RegionNeeds { lookups: BTreeSet::from([lookup.clone()]), ..RegionNeeds::default() };
    let (seen, ..) =
        drive(needs(wanted), |_| Err(fault(Class::NotFound, "InvalidParameterValue.InstanceTypeNotFound")));
    assert_eq!(seen.expect("seen").by_region[&home()].lookups[&lookup], []);
}

#[test]
fn images_by_id_cost_a_call_only_where_no_listing_answers() {
    let lookup = Lookup { name: "u".to_owned(), instance_type: None };
    let id = |id: &str| ImageId::new(id);
    let wanted = RegionNeeds {
        images: BTreeSet::from([id("img-00000"), id("img-u"), id("img-gone")]),
        lookups: BTreeSet::from([lookup]),
        ..listing()
    };
    let (seen, rounds, _) = drive(needs(wanted), |call| match query(call) {
        Query::CustomImages { .. } => page_at(&images(2), 0),
        Query::PublicImages { .. } => page_at(&[image("img-u", "u")], 0),
        Query::ImagesById { ids } => {
            assert_eq!(*ids, [id("img-gone")]);
            Ok(Reply::Images(Page { total: 0, items: Vec::new() }))
        }
        other => panic!("{other:?}"),
    });
    let seen = seen.expect("seen");
    assert_eq!(rounds.len(), 2);
    let kind = |image: &str| seen.image(&home(), &id(image)).map(|seen| seen.present().is_some());
    assert_eq!((kind("img-00000"), kind("img-u"), kind("img-gone")), (Some(true), Some(true), Some(false)));
    assert_eq!(kind("img-99999"), Some(false));
}

#[test]
fn throttled_reads_are_tried_again_after_longer_and_longer_waits() {
    let wanted = RegionNeeds { zones: true, types: true, ..RegionNeeds::default() };
    let tries = Cell::new(0);
    let script = |call: &Call| match query(call) {
        Query::Zones => Ok(Reply::Zones(BTreeMap::new())),
        _ => {
            tries.set(tries.get() + 1);
            match tries.get() {
                6 => Ok(Reply::Types(BTreeMap::from([(("z".into(), "t".into()), TypeSeen { cpu: 1, memory_gib: 1 })]))),
                n if n % 2 == 0 => Err(fault(Class::Transient, "InternalError")),
                _ => Err(fault(Class::Throttled, "RequestLimitExceeded")),
            }
        }
    };
    let (seen, rounds, waits) = drive(needs(wanted.clone()), script);
    let seen = seen.expect("seen");
    assert_eq!((waits, rounds.len(), seen.calls), (vec![500, 1000, 2000, 4000, 8000], 6, 7));
    assert!(seen.by_region[&home()].types.is_some() && seen.by_region[&home()].zones.is_some());

    let (seen, rounds, _) = drive(needs(wanted), |_| Err(fault(Class::Throttled, "RequestLimitExceeded")));
    assert_eq!(seen.expect_err("throttled").len(), 2);
    assert_eq!(rounds.len(), 6);
}

#[test]
fn other_faults_end_it_with_the_calls_that_failed() {
    let wanted = RegionNeeds { zones: true, ..listing() };
    let (seen, rounds, _) = drive(needs(wanted), |call| match query(call) {
        Query::Zones => Err(fault(Class::Auth, "AuthFailure.SignatureFailure")),
        _ => page_at(&images(300), offset(call)),
    });
    let faults = seen.expect_err("refused");
    assert_eq!(faults.len(), 1);
    assert_eq!(query(&faults[0].0), &Query::Zones);
    assert_eq!(rounds.len(), 1);
}

#[test]
fn what_was_never_answered_was_not_observed() {
    let mut observer = Observer::new(needs(RegionNeeds { zones: true, ..listing() }));
    let calls = observer.next();
    observer
        .answer(&calls[0], Ok(Answer { reply: Reply::Zones(BTreeMap::new()), request_id: "r".into(), cloud_ms: 5 }));
    assert!(observer.next().is_empty());
    assert_eq!(observer.finish().expect_err("unanswered").len(), 1);
}

#[test]
fn an_answer_of_another_kind_is_a_fault() {
    let (seen, ..) = drive(needs(listing()), |_| Ok(Reply::Done));
    assert_eq!(seen.expect_err("strange")[0].1.class, Class::Transport);
}

#[test]
fn quotas_take_the_larger_use() {
    for (reported, listed, used) in [(3, 5, 5), (7, 5, 7)] {
        let (seen, ..) = drive(needs(RegionNeeds { quotas: true, ..listing() }), |call| match query(call) {
            Query::ImageQuota => Ok(Reply::ImageQuota(10)),
            Query::AccountQuota => Ok(Reply::AccountQuota {
                images: Some(Quota { used: reported, total: 9 }),
                instances: BTreeMap::from([("z".into(), Quota { used: 1, total: 2 })]),
                prepaid: BTreeMap::from([("z".into(), Quota { used: 3, total: 4 })]),
                spot: BTreeMap::from([("z".into(), Quota { used: 5, total: 6 })]),
            }),
            _ => page_at(&images(listed), 0),
        });
        let seen = &seen.expect("seen").by_region[&home()];
        assert_eq!(seen.image_quota, Some(Quota { used, total: 10 }));
        assert_eq!(seen.instance_quota.as_ref().map(BTreeMap::len), Some(1));
        assert_eq!(seen.prepaid_quota, Some(BTreeMap::from([("z".into(), Quota { used: 3, total: 4 })])));
        assert_eq!(seen.spot_quota, Some(BTreeMap::from([("z".into(), Quota { used: 5, total: 6 })])));
    }
}

#[test]
fn shares_of_an_image_that_vanished_are_no_fault() {
    let wanted = RegionNeeds { shares: BTreeSet::from(["img-1".into(), "img-2".into()]), ..RegionNeeds::default() };
    let (seen, ..) = drive(needs(wanted.clone()), |call| match query(call) {
        Query::Shares { image } if image.as_str() == "img-1" => Ok(Reply::Shares(BTreeSet::from(["2".into()]))),
        _ => Err(fault(Class::NotFound, "InvalidImageId.NotFound")),
    });
    let seen = seen.expect("seen");
    assert_eq!(seen.by_region[&home()].shares, BTreeMap::from([("img-1".into(), BTreeSet::from(["2".into()]))]));
    let (seen, ..) = drive(needs(wanted), |_| Err(fault(Class::NotFound, "InvalidRegion.NotFound")));
    assert_eq!(seen.expect_err("no region").len(), 2);
}

#[test]
fn an_instance_that_is_an_error_is_found_by_halving() {
    let wanted = RegionNeeds { instances: instance_ids(100).into_iter().collect(), ..RegionNeeds::default() };
    let bad = InstanceId::new("ins-00042");
    let (seen, ..) = drive(needs(wanted), |call| {
        let Query::InstancesById { ids } = query(call) else { panic!("{call:?}") };
        if ids.contains(&bad) {
            return Err(fault(Class::NotFound, "InvalidInstanceId.NotFound"));
        }
        Ok(Reply::Instances(Page { total: 0, items: ids.iter().map(|id| Instance::sample(id.as_str())).collect() }))
    });
    let seen = seen.expect("seen");
    let absent = seen.by_region[&home()].instances.iter().filter(|(_, seen)| seen.present().is_none());
    assert_eq!(absent.map(|(id, _)| id.clone()).collect::<Vec<_>>(), [bad]);
}

#[test]
fn a_region_that_does_not_exist_is_no_fault_where_the_regions_are_asked_for() {
    let elsewhere = Region::new("ap-nowhere");
    let mut wanted = needs(listing());
    wanted.regions_list = true;
    wanted.regions.insert(elsewhere.clone(), RegionNeeds { zones: true, ..listing() });
    let script = |regions: &[&str]| {
        let regions: BTreeSet<Region> = regions.iter().map(|region| Region::new(*region)).collect();
        move |call: &Call| match query(call) {
            Query::Regions => Ok(Reply::Regions(regions.clone())),
            _ if call.region.as_str() == HOME => page_at(&images(1), 0),
            _ => Err(fault(Class::Invalid, "UnsupportedRegion")),
        }
    };
    let (seen, ..) = drive(wanted.clone(), script(&[HOME]));
    let seen = seen.expect("seen");
    assert_eq!(seen.by_region[&elsewhere], RegionSeen::default());
    assert_eq!(seen.by_region.len(), 2);
    let (seen, ..) = drive(wanted, script(&[HOME, "ap-nowhere"]));
    assert_eq!(seen.expect_err("a region that is there").len(), 2);
}
