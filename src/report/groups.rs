//! Which changes of a plan are told together: slots of one fleet to which the same happens for the same reasons.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::addr::Block;
use crate::plan::{Action, AttrChange, Change, Detail, Value};

use super::style::STICKY;
use super::words;

/// Changes that are told as one; never empty.
#[derive(Clone, Debug)]
pub(super) struct Group<'a> {
    pub(super) first: &'a Change,
    pub(super) changes: Vec<&'a Change>,
    /// The details of the changes, which differ in places only, each with how many have it.
    details: Vec<(&'a Detail, usize)>,
}

/// Attributes that say where a slot is: slots of one fleet are told together even where these differ.
const PLACES: [&str; 2] = ["zone", "network"];

impl<'a> Group<'a> {
    fn of(change: &'a Change) -> Self {
        Self { first: change, changes: vec![change], details: vec![(&change.detail, 1)] }
    }

    fn add(&mut self, change: &'a Change) {
        self.changes.push(change);
        if let Some((_, count)) = self.details.last_mut() {
            *count += 1;
        }
    }

    pub(super) fn action(&self) -> Action {
        self.first.action
    }

    /// The attributes; those that differ list their values, each with how many have it.
    pub(super) fn attrs(&self) -> Vec<AttrChange> {
        let side = |at: usize, of: fn(&AttrChange) -> &Value| {
            let mut counts: BTreeMap<&Value, usize> = BTreeMap::new();
            for (detail, count) in &self.details {
                *counts.entry(detail.attrs.get(at).map_or(&Value::None, of)).or_default() += count;
            }
            match counts.first_key_value() {
                Some((value, _)) if counts.len() == 1 => (*value).clone(),
                Some((first, _)) if counts.len() > MOST_VALUES => {
                    let last = counts.last_key_value().map_or(*first, |(last, _)| *last);
                    let several = format!("({}{STICKY}values)", counts.len());
                    Value::Text(format!("{} … {} {several}", words::value(first), words::value(last)))
                }
                _ => Value::List(
                    counts.iter().map(|(value, count)| format!("{}{STICKY}({count})", words::value(value))).collect(),
                ),
            }
        };
        let attrs = self.first.detail.attrs.iter().enumerate();
        attrs
            .map(|(at, attr)| AttrChange {
                name: attr.name.clone(),
                before: side(at, |attr| &attr.before),
                after: side(at, |attr| &attr.after),
            })
            .collect()
    }
}

/// Groups in the order of their first addresses. A slot is compared with the one before by pointer, and by value only
/// where that fails; so this takes one pass.
pub(super) fn by_detail(changes: &[Change]) -> Vec<Group<'_>> {
    let groups = alike(changes, without_places);
    if groups.len() <= MANY { groups } else { alike(changes, |detail| without_names(without_places(detail))) }
}

/// Above this many groups, what is only called something else each is told together.
const MANY: usize = 20;
/// Attributes that are each slot's own.
const NAMES: [&str; 2] = ["name", "hostname"];
/// The most values of one attribute that are told; of more, the first and the last.
const MOST_VALUES: usize = 8;

fn without_names(mut detail: Detail) -> Detail {
    for attr in detail.attrs.iter_mut().filter(|attr| NAMES.contains(&attr.name.as_str())) {
        (attr.before, attr.after) = (Value::None, Value::None);
    }
    detail
}

fn alike(changes: &[Change], key: impl Fn(&Detail) -> Detail) -> Vec<Group<'_>> {
    let mut merged: Vec<Group<'_>> = Vec::new();
    let mut seen: BTreeMap<(&Block, Action, Detail), usize> = BTreeMap::new();
    for group in group(changes, |change| Some(&change.detail)) {
        let Change { addr, action, id: _, name: _, detail } = group.first;
        if addr.slot.is_none() {
            merged.push(group);
            continue;
        }
        let next = merged.len();
        let at = *seen.entry((&addr.block, *action, key(detail))).or_insert(next);
        match merged.get_mut(at) {
            Some(into) => {
                into.changes.extend(group.changes);
                into.details.extend(group.details);
            }
            None => merged.push(group),
        }
    }
    for group in merged.iter_mut().filter(|group| group.details.len() > 1) {
        group.changes.sort_by(|a, b| a.addr.cmp(&b.addr));
    }
    merged
}

fn without_places(detail: &Detail) -> Detail {
    let mut detail = detail.clone();
    for attr in detail.attrs.iter_mut().filter(|attr| PLACES.contains(&attr.name.as_str())) {
        // made or gone: only then does no value lead to another
        match (&attr.before, &attr.after) {
            (Value::None, _) => attr.after = Value::None,
            (_, Value::None) => attr.before = Value::None,
            _ => {}
        }
    }
    detail
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
            Some(group) => group.add(change),
            None => groups.push(Group::of(change)),
        }
    }
    groups
}
