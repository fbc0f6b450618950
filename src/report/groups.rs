//! Which changes of a plan are told together: slots of one fleet to which the same happens for the same reasons.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::addr::Block;
use crate::plan::{Action, Change, Detail};

/// Changes that are told as one; never empty.
#[derive(Clone, Debug)]
pub(super) struct Group<'a> {
    pub(super) first: &'a Change,
    pub(super) changes: Vec<&'a Change>,
}

impl<'a> Group<'a> {
    fn of(change: &'a Change) -> Self {
        Self { first: change, changes: vec![change] }
    }

    pub(super) fn action(&self) -> Action {
        self.first.action
    }

    pub(super) fn detail(&self) -> &'a Detail {
        &self.first.detail
    }
}

/// Groups in the order of their first addresses. One pass: a slot is compared with the one before by pointer, and by
/// value only where that fails.
pub(super) fn by_detail(changes: &[Change]) -> Vec<Group<'_>> {
    group(changes, |change| Some(&change.detail))
}

/// The same, whatever the reasons and attributes are: for the summary.
pub(super) fn by_action<'a>(changes: impl IntoIterator<Item = &'a Change>) -> Vec<Group<'a>> {
    group(changes, |_| None)
}

fn group<'a>(
    changes: impl IntoIterator<Item = &'a Change>,
    detail: impl Fn(&'a Change) -> Option<&'a Arc<Detail>>,
) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    let mut block: Option<&Block> = None;
    let mut seen: BTreeMap<(Action, *const Detail), usize> = BTreeMap::new();
    let mut equal: BTreeMap<(Action, Option<&'a Detail>), usize> = BTreeMap::new();
    for change in changes {
        if block != Some(&change.addr.block) {
            block = Some(&change.addr.block);
            seen.clear();
            equal.clear();
        }
        if change.addr.slot.is_none() {
            groups.push(Group::of(change));
            continue;
        }
        let detail = detail(change);
        let pointer = detail.map_or(std::ptr::null(), Arc::as_ptr);
        let next = groups.len();
        let at = *seen
            .entry((change.action, pointer))
            .or_insert_with(|| *equal.entry((change.action, detail.map(AsRef::as_ref))).or_insert(next));
        match groups.get_mut(at) {
            Some(group) => group.changes.push(change),
            None => groups.push(Group::of(change)),
        }
    }
    groups
}
