//! Shares: who may launch from an image, in each region where it is.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::draft::{Draft, ImageAt, Nature, NewStep, at_once, detail, known};
use super::images::{forget, is_chosen, is_gone, is_kept, usable};
use super::lineage;
use super::scope::Users;
use super::types::{
    Action, AttrChange, Do, Drift, Effect, Fact, Handling, Hold, Need, NewObject, Reason, Resource, Target, Value,
};
use crate::cloud::call::{Arg, Body, StepId};
use crate::diagnostic::{Code, Diagnostic, codes};
use crate::model::addr::{Addr, Block, Kind};
use crate::model::desired::{Desired, Image, Share, Undeclared};
use crate::model::ids::{CloudId, ImageId, Name, Region, Uin, Version};
use crate::model::recorded::Object;
use crate::model::spec::{ImageUse, ObjectSpec, ShareCopySpec};

/// Plans a share block: for every copy of the image's current version, and of older ones where the image says so, one call
/// to add and one to cancel at most.
pub(super) fn share(draft: &mut Draft<'_>, name: &Name, share: &Share) {
    let Some(current) = draft.current.get(&share.image) else { return };
    let version = current.version.clone();
    let block = Block::share(name);
    let mut places: Vec<Shared> = draft
        .images
        .iter()
        .filter(|((image, _), _)| *image == share.image)
        .map(|((_, region), at)| Shared {
            version: version.clone(),
            region: region.clone(),
            at: at.clone(),
            current: true,
        })
        .collect();
    places.extend(kept(draft, share));
    let bar = places.iter().find_map(|place| not_shareable(&place.at.nature));
    if let Some((code, why, help)) = bar {
        draft.faults.push(
            Diagnostic::error(code, format!("image.{} cannot be shared", share.image))
                .at(Desired::path(Kind::Share, name).key("image"))
                .why(why)
                .help(help),
        );
        return;
    }
    for Shared { version, region, at, current } in places {
        let addr = Addr::copy(block.clone(), version.clone(), region.clone());
        let rows = draft.objects_of(&block);
        let mut here = rows.iter().copied().filter(|object| object.addr == addr);
        let row = here.clone().find(|object| at.id.known().is_some_and(|id| object.cloud_id.image() == Some(id)));
        // Another image, or another copy of it, may have borne the same version.
        let last = here.next_back().map_or(0, |object| object.generation);
        let generation = row.map_or(last + 1, |row| row.generation);
        if draft.plans(&addr.clone().generation(generation)) {
            one_copy(draft, &Planning { name, share, addr, generation, region, at, row, current });
        }
    }
}

/// A copy that is to be shared.
struct Shared {
    version: Version,
    region: Region,
    at: ImageAt,
    /// Whether it is of the current version.
    current: bool,
}

/// The copies of older versions that are shared as the current one is. One that somebody is at stays as it is for now.
fn kept(draft: &Draft<'_>, share: &Share) -> Vec<Shared> {
    if !shares_kept(draft, &share.image) {
        return Vec::new();
    }
    let copies = draft.objects_of(&Block::image(&share.image)).into_iter().filter(|copy| is_chosen(draft, copy));
    let shared = copies.filter_map(|copy| {
        let (id, version, seen) = (copy.cloud_id.image()?, copy.addr.version.clone()?, usable(draft, copy)?);
        let use_ = ImageUse::Made { image: share.image.clone(), version: version.clone(), generation: copy.generation };
        let lineage = lineage::of(draft.input.recorded, &use_);
        let nature = Nature {
            encrypted: lineage.encrypted == Some(true),
            own_licence: lineage.own_licence,
            ..Nature::default()
        };
        let at = ImageAt {
            use_,
            id: Arg::Known(id.clone()),
            ready: Vec::new(),
            size_gib: seen.size_gib,
            nature: nature.seen(seen),
        };
        Some(Shared { version, region: copy.region.clone(), at, current: false })
    });
    shared.collect()
}

/// Whether the older versions of an image that `keep` lets stay are shared, too.
fn shares_kept(draft: &Draft<'_>, image: &Name) -> bool {
    draft.input.desired.images.get(image).and_then(Image::managed).is_some_and(|image| image.share_kept)
}

/// Why an image cannot be shared, where that is known (API text 4.8), and what can be done.
fn not_shareable(nature: &Nature) -> Option<(Code, &'static str, &'static str)> {
    if nature.encrypted {
        let help = "share the image that it is a copy of, or one that is captured from what runs from that";
        Some((codes::ENCRYPTED_IMAGE, "its disk is encrypted", help))
    } else if nature.own_licence == Some(true) {
        let why = "what it comes from was imported with `license: BYOL`, and that licence is nobody else's";
        Some((codes::BYOL_IMAGE, why, "remove the share, or make the image from one with another licence"))
    } else {
        None
    }
}

struct Planning<'a> {
    name: &'a Name,
    share: &'a Share,
    addr: Addr,
    generation: u32,
    region: Region,
    at: ImageAt,
    row: Option<&'a Object>,
    /// Whether it is of the current version.
    current: bool,
}

/// The accounts that an image was seen to be shared with.
pub(super) fn seen(draft: &Draft<'_>, region: &Region, image: &ImageId) -> BTreeSet<Uin> {
    let seen = draft.input.observed.by_region.get(region).and_then(|seen| seen.shares.get(image));
    seen.cloned().unwrap_or_default()
}

/// The accounts that rows of other blocks say are ours: a block that was renamed, or took another one's image over.
pub(super) fn of_other_blocks(draft: &Draft<'_>, block: &Block, region: &Region, image: &ImageId) -> BTreeSet<Uin> {
    let rows = draft
        .rows_of(Kind::Share)
        .filter(|row| row.addr.block != *block && row.region == *region && row.cloud_id.image() == Some(image));
    rows.flat_map(|row| ours(Some(row))).collect()
}

/// Notes that somebody else changed who may use an image, from these accounts to those.
pub(super) fn drifted(draft: &mut Draft<'_>, addr: &Addr, [from, to]: [&BTreeSet<Uin>; 2], handling: Handling) {
    draft.drift.push(Drift {
        addr: addr.clone(),
        attr: "accounts".into(),
        recorded: list(from),
        observed: list(to),
        handling,
        by: None,
    });
}

/// The accounts that a row says are ours.
pub(super) fn ours(row: Option<&Object>) -> BTreeSet<Uin> {
    match row.map(|row| row.spec.as_ref()) {
        Some(ObjectSpec::Share(ShareCopySpec { accounts })) => accounts.clone(),
        Some(ObjectSpec::Slot(_) | ObjectSpec::Image(_)) | None => BTreeSet::new(),
    }
}

fn one_copy(draft: &mut Draft<'_>, planning: &Planning<'_>) {
    let Planning { name: _, share, addr, generation, region, at, row, current } = planning;
    let wanted = &share.accounts;
    let there = at.id.known().map(|id| seen(draft, region, id)).unwrap_or_default();
    let recorded = ours(*row);
    let taken_over = at.id.known().map(|id| of_other_blocks(draft, &addr.block, region, id)).unwrap_or_default();
    let ours: BTreeSet<Uin> = recorded.union(&taken_over).cloned().collect();
    let add: BTreeSet<Uin> = wanted.difference(&there).cloned().collect();
    let foreign: BTreeSet<Uin> =
        there.iter().filter(|uin| !wanted.contains(*uin) && !ours.contains(*uin)).cloned().collect();
    let mut remove: BTreeSet<Uin> =
        ours.iter().filter(|uin| !wanted.contains(*uin) && there.contains(*uin)).cloned().collect();
    let full = addr.clone().generation(*generation);
    let kept: BTreeSet<Uin> = ours.intersection(&there).cloned().collect();
    // What was cancelled and what was added are told apart: they are not handled alike.
    if ours.iter().any(|uin| !there.contains(uin) && wanted.contains(uin)) {
        drifted(draft, &full, [&ours, &kept], Handling::Repaired);
    }
    match share.undeclared {
        Undeclared::Cancel => remove.extend(foreign.iter().cloned()),
        Undeclared::Keep if foreign.is_empty() => {}
        Undeclared::Keep => drifted(draft, &full, [&kept, &(&kept | &foreign)], Handling::Left),
    }
    if add.is_empty() && remove.is_empty() && row.is_some() && recorded == *wanted {
        return;
    }
    let limit = draft.input.limits.accounts_per_image as usize;
    let after = there.len() + add.len() - remove.len();
    if after > limit {
        over_cap(draft, planning, &there, &foreign, after, limit);
        return;
    }

    let spec = |accounts: BTreeSet<Uin>| Arc::new(ObjectSpec::Share(ShareCopySpec { accounts }));
    // Adding goes first, for nobody should lose an image while it moves; unless the list is too full for that.
    let add_first = there.len() + add.len() <= limit;
    let mut steps: Vec<StepId> = Vec::new();
    let id = cloud_id(&at.id);
    let target = |effect: Effect| Target { addr: addr.clone(), generation: *generation, id: Some(id.clone()), effect };
    let entered = |accounts: BTreeSet<Uin>| match row {
        Some(_) => target(Effect::Become(spec(accounts))),
        None => target(Effect::Make(Box::new(NewObject {
            region: region.clone(),
            name: addr.block.to_string(),
            zone: None,
            ordinal: None,
            spec: spec(accounts),
            version: None,
        }))),
    };
    let mut expected = there.clone();
    let mut order = vec![(false, &add), (true, &remove)];
    if !add_first {
        order.reverse();
    }
    let all_ours: BTreeSet<Uin> = ours.union(wanted).cloned().collect();
    let mut entered_already = row.is_some();
    for (cancel, accounts) in order {
        if accounts.is_empty() {
            continue;
        }
        let last = steps.len() + 1 == usize::from(!add.is_empty()) + usize::from(!remove.is_empty());
        let recorded = if last {
            wanted.clone()
        } else if cancel {
            &ours - accounts
        } else {
            all_ours.clone()
        };
        let effect_target = if entered_already { target(Effect::Become(spec(recorded))) } else { entered(recorded) };
        entered_already = true;
        let mut needs = at.ready.clone();
        needs.extend(steps.iter().copied().map(Need::Success));
        let expect = at.id.known().map(|image| Fact::Shared {
            region: region.clone(),
            image: image.clone(),
            accounts: expected.clone(),
        });
        let body = Body::ShareImage { image: at.id.clone(), accounts: accounts.clone(), cancel };
        let weight = i64::try_from(accounts.len()).unwrap_or(i64::MAX);
        let (at_start, at_end) = if cancel { (0, -weight) } else { (weight, 0) };
        let does = draft.call(region, body);
        draft.dues.single("ModifyImageSharePermission", 1);
        steps.push(draft.step(NewStep {
            needs,
            does,
            targets: vec![effect_target],
            expect: expect.into_iter().collect(),
            settle: at_once(),
            holds: vec![Hold { resource: Resource::Shares(full.clone()), at_start, at_end }],
        }));
        if cancel {
            expected = &expected - accounts;
        } else {
            expected.extend(accounts.iter().cloned());
        }
    }
    if steps.is_empty() {
        // Somebody was faster than the config: what is declared is ours from now on, and nothing else.
        let targets = vec![entered(wanted.clone())];
        draft.step(NewStep {
            needs: at.ready.clone(),
            does: Do::Record,
            targets,
            expect: Vec::new(),
            settle: at_once(),
            holds: Vec::new(),
        });
    }
    // An older version is no successor of anything.
    if *current {
        draft.shared.entry((share.image.clone(), region.clone())).or_default().extend(steps);
    }

    let drifted = !add.is_empty() && add.iter().all(|uin| ours.contains(uin)) && remove.is_empty();
    let action = if row.is_some() { Action::Update } else { Action::Create };
    let mut reasons = Vec::new();
    if row.is_none() && !current {
        reasons.push(Reason::Changed { attrs: vec!["share_kept".into()] });
    } else if row.is_none() {
        reasons.push(why_new(draft, addr, region));
    } else if drifted {
        reasons.push(Reason::Drifted { attrs: vec!["accounts".into()] });
    } else if ours != *wanted {
        reasons.push(Reason::Changed { attrs: vec!["accounts".into()] });
    }
    if share.undeclared == Undeclared::Cancel && !foreign.is_empty() {
        reasons.push(Reason::Undeclared);
    }
    let recorded_only = add.is_empty() && remove.is_empty();
    if recorded_only {
        reasons.push(Reason::Already);
    }
    let mut final_accounts: BTreeSet<Uin> = &there - &remove;
    final_accounts.extend(add.iter().cloned());
    let (before, after) =
        if recorded_only { (list(&ours), list(wanted)) } else { (list(&there), list(&final_accounts)) };
    let attrs = vec![AttrChange { name: "accounts".into(), before, after }];
    let detail = detail(reasons, attrs);
    draft.change(full, action, at.id.known().cloned().map(CloudId::Image), &addr.block.to_string(), &detail);
}

/// Why a share is made: where the image was shared before, another version or another copy took its place.
fn why_new(draft: &Draft<'_>, addr: &Addr, region: &Region) -> Reason {
    let rows = draft.objects_of(&addr.block);
    let before: Vec<&&Object> = rows.iter().filter(|row| row.region == *region).collect();
    if before.is_empty() {
        Reason::New
    } else if before.iter().any(|row| row.addr == *addr && image_of(draft, row).is_none_or(|copy| is_gone(draft, copy)))
    {
        Reason::Vanished
    } else {
        Reason::NewVersion { inputs: Vec::new() }
    }
}

fn cloud_id(id: &Arg<ImageId>) -> Arg<CloudId> {
    match id {
        Arg::Known(id) => Arg::Known(CloudId::Image(id.clone())),
        Arg::Output { step, target } => Arg::Output { step: *step, target: *target },
    }
}

pub(super) fn list(accounts: &BTreeSet<Uin>) -> Value {
    if accounts.is_empty() { Value::None } else { Value::List(accounts.iter().map(ToString::to_string).collect()) }
}

fn over_cap(
    draft: &mut Draft<'_>,
    planning: &Planning<'_>,
    there: &BTreeSet<Uin>,
    foreign: &BTreeSet<Uin>,
    after: usize,
    limit: usize,
) {
    let Planning { name, share, region, .. } = planning;
    let mut fault = Diagnostic::error(
        codes::SHARE_CAP,
        format!("image.{} would be shared with {after} accounts in {region}, and {limit} are allowed", share.image),
    )
    .at(Desired::path(Kind::Share, name).key("accounts"))
    .why(format!("{} now, {} declared", there.len(), share.accounts.len()));
    if share.undeclared == Undeclared::Keep && !foreign.is_empty() {
        fault = fault.why(format!(
            "{} of those that have it now are not declared, and `undeclared: keep` lets them stay",
            foreign.len()
        ));
    }
    draft.crowded.insert(Block::share(name));
    draft.faults.push(fault);
}

/// Shares that are recorded and not wanted any more, while their image stays.
pub(super) fn leftovers(draft: &mut Draft<'_>) {
    let blocks: Vec<Block> =
        draft.objects.keys().filter(|block| block.kind == Kind::Share).map(|block| (*block).clone()).collect();
    let users = Users::of(draft);
    for block in blocks {
        for object in draft.objects_of(&block).into_iter().filter(|row| draft.plans_row(row)).collect::<Vec<_>>() {
            let Some(image) = object.cloud_id.image() else { continue };
            let declared = draft.input.desired.shares.get(&block.name).is_some_and(|share| {
                let at = draft.images.get(&(share.image.clone(), object.region.clone()));
                let current = at.and_then(|at| at.id.known()) == Some(image);
                current || (shares_kept(draft, &share.image) && is_kept_copy_of(draft, object, &share.image))
            });
            if declared {
                continue;
            }
            match image_of(draft, object) {
                // Nobody loses it before there is a successor.
                Some(row) if !heir_planned(draft, &block, row) => continue,
                // Deleted outside: its shares went with it.
                Some(row) if is_gone(draft, row) => {
                    forget(draft, object, Reason::Vanished, Vec::new());
                    continue;
                }
                // An older version that stays is for us alone: whoever has it now has the current one before it is lost.
                Some(row) if is_kept(draft, row) || (is_older(draft, row) && left_alone(draft, &users, row)) => {
                    let needs = successors(draft, row);
                    let there = seen(draft, &object.region, image);
                    let accounts: BTreeSet<Uin> = ours(Some(object)).intersection(&there).cloned().collect();
                    cancel(draft, object, image, &accounts, &there, vec![object], Reason::OldVersion, needs);
                    continue;
                }
                // The shares of an image that goes are cancelled together with it.
                Some(row) if !stays(draft, row) && !left_alone(draft, &users, row) => continue,
                Some(row) if let Some(taker) = taker(draft, row) => {
                    // Until that is planned, too, the accounts are known by this block's name.
                    if !heir_planned(draft, &taker, row) {
                        continue;
                    }
                    let steps = draft.shared.get(&(row.addr.block.name.clone(), row.region.clone()));
                    let needs = steps.into_iter().flatten().copied().map(Need::Success).collect();
                    forget(draft, object, Reason::NotInConfig, needs);
                    continue;
                }
                Some(_) | None => {}
            }
            let reason = if draft.input.options.destroy { Reason::Destroy } else { Reason::NotInConfig };
            let there = seen(draft, &object.region, image);
            let accounts: BTreeSet<Uin> = ours(Some(object)).intersection(&there).cloned().collect();
            cancel(draft, object, image, &accounts, &there, vec![object], reason, Vec::new());
        }
    }
}

/// What has to be over before an older version is taken away from those whom it is shared with.
fn successors(draft: &Draft<'_>, copy: &Object) -> Vec<Need> {
    let name = &copy.addr.block.name;
    let made = draft.current.get(name).map(|current| current.made_by.clone()).unwrap_or_default();
    let shared = draft.shared.get(&(name.clone(), copy.region.clone())).into_iter().flatten().copied();
    made.into_iter().chain(shared).map(Need::Success).collect()
}

/// The copy, where it is one of ours, that a share is of.
pub(super) fn image_of<'a>(draft: &Draft<'a>, share: &Object) -> Option<&'a Object> {
    draft.rows_of(Kind::Image).find(|object| object.cloud_id == share.cloud_id && object.region == share.region)
}

/// Whether what is shared is a copy of an older version of an image that `keep` lets stay.
fn is_kept_copy_of(draft: &Draft<'_>, share: &Object, image: &Name) -> bool {
    image_of(draft, share).is_some_and(|copy| copy.addr.block.name == *image && is_chosen(draft, copy))
}

/// Whether a copy is still wanted.
fn stays(draft: &Draft<'_>, copy: &Object) -> bool {
    let at = draft.images.get(&(copy.addr.block.name.clone(), copy.region.clone()));
    at.and_then(|at| at.id.known()) == copy.cloud_id.image()
}

/// Whether the plan is about the share of a block that takes the place of one of this copy. One that goes has none.
pub(super) fn heir_planned(draft: &Draft<'_>, share: &Block, copy: &Object) -> bool {
    if draft.covers_everything() || !draft.input.desired.shares.contains_key(&share.name) {
        return true;
    }
    let image = &copy.addr.block.name;
    if draft.absent.contains(&(image.clone(), copy.region.clone())) {
        return false;
    }
    match draft.current.get(image) {
        Some(current) => draft.plans(&Addr::copy(share.clone(), current.version.clone(), copy.region.clone())),
        None => draft.covered.block(share) && !draft.left_out.contains(share),
    }
}

/// Whether a planned image has a newer version than this copy.
fn is_older(draft: &Draft<'_>, copy: &Object) -> bool {
    draft.current.contains_key(&copy.addr.block.name) && !stays(draft, copy)
}

/// Whether a copy stays because the plan is about a part only.
fn left_alone(draft: &Draft<'_>, users: &Users<'_>, copy: &Object) -> bool {
    !draft.plans_row(copy) || users.any(copy).is_some()
}

/// Which other block says from now on who may use an image, if one does: it sees to what goes.
fn taker(draft: &Draft<'_>, copy: &Object) -> Option<Block> {
    let mut shares = draft.input.desired.shares.iter();
    shares.find(|(_, share)| share.image == copy.addr.block.name).map(|(name, _)| Block::share(name))
}

/// Cancels every share of a copy that is about to be deleted: the cloud refuses to delete it otherwise. Accounts that
/// somebody else added are named one by one, and need a word from the command line. `None`: refused.
pub(super) fn cancel_all(
    draft: &mut Draft<'_>,
    copy: &Object,
    reason: &Reason,
    needs: &[Need],
) -> Option<Option<StepId>> {
    let Some(image) = copy.cloud_id.image() else { return Some(None) };
    let there = seen(draft, &copy.region, image);
    let rows: Vec<&Object> = draft
        .rows_of(Kind::Share)
        .filter(|object| object.cloud_id == copy.cloud_id && object.region == copy.region)
        .collect();
    let ours: BTreeSet<Uin> = rows.iter().flat_map(|row| ours(Some(row))).collect();
    let foreign: BTreeSet<Uin> = there.difference(&ours).cloned().collect();
    let block = copy.addr.block.name.clone();
    let consented =
        draft.input.desired.shares.values().any(|share| share.image == block && share.undeclared == Undeclared::Cancel);
    if !foreign.is_empty() && !consented && !draft.input.options.cancel_undeclared_shares {
        let names: Vec<&str> = foreign.iter().map(Uin::as_str).collect();
        draft.faults.push(
            Diagnostic::error(
                codes::UNDECLARED_SHARES,
                format!(
                    "{} must go, but accounts that are not in the config use it: {}",
                    copy.full_addr(),
                    names.join(", ")
                ),
            )
            .why("an image can only be deleted when it is shared with nobody")
            .help("to cancel these shares as well: --cancel-undeclared-shares"),
        );
        return None;
    }
    for uin in &foreign {
        let attrs =
            vec![AttrChange { name: "account".into(), before: Value::Text(uin.to_string()), after: Value::None }];
        let detail = detail(vec![Reason::Undeclared, Reason::ImageGoes], attrs);
        draft.change(
            copy.full_addr(),
            Action::Delete,
            Some(copy.cloud_id.clone()),
            &format!("share with {uin}"),
            &detail,
        );
    }
    if there.is_empty() && rows.is_empty() {
        return Some(None);
    }
    let reason = if *reason == Reason::Destroy { Reason::Destroy } else { Reason::ImageGoes };
    Some(cancel(draft, copy, image, &there, &there, rows, reason, needs.to_vec()))
}

#[expect(clippy::too_many_arguments, reason = "one call of the plan, with everything that it is about")]
fn cancel(
    draft: &mut Draft<'_>,
    copy: &Object,
    image: &ImageId,
    accounts: &BTreeSet<Uin>,
    there: &BTreeSet<Uin>,
    rows: Vec<&Object>,
    reason: Reason,
    needs: Vec<Need>,
) -> Option<StepId> {
    let mut targets: Vec<Target> = rows.iter().map(|row| known(row, Effect::Remove)).collect();
    let before = rows.iter().map(|row| ours(Some(row))).fold(BTreeSet::new(), |all, some| &all | &some);
    for row in &rows {
        let attrs = vec![AttrChange { name: "accounts".into(), before: list(&before), after: Value::None }];
        let detail = detail(vec![reason.clone()], attrs);
        let action = if accounts.is_empty() { Action::Forget } else { Action::Delete };
        draft.change(row.full_addr(), action, Some(row.cloud_id.clone()), &row.name, &detail);
    }
    if targets.is_empty() {
        targets.push(known(copy, Effect::Nothing));
    }
    let (does, expect) = if accounts.is_empty() {
        (Do::Record, Vec::new())
    } else {
        draft.dues.single("ModifyImageSharePermission", 1);
        let body = Body::ShareImage { image: Arg::Known(image.clone()), accounts: accounts.clone(), cancel: true };
        let fact = Fact::Shared { region: copy.region.clone(), image: image.clone(), accounts: there.clone() };
        (draft.call(&copy.region, body), vec![fact])
    };
    Some(draft.step(NewStep { needs, does, targets, expect, settle: at_once(), holds: Vec::new() }))
}
