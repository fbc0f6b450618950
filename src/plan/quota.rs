//! Limited things at every moment: the most that a plan holds of each, and how steps are put in order so that it fits.
//!
//! Every step has a start and an end. At its start it takes what it makes, at its confirmed end it gives back what it
//! destroys; a failed image still holds its place, and a failed deletion gives nothing back. The steps of a plan may
//! overlap in any way that their needs allow, so the worst moment is a set of events that is closed under "must have
//! happened before", with the greatest sum of weights: a maximum-weight closure, which a minimum cut finds.

use std::collections::{BTreeMap, BTreeSet};

use petgraph::algo::maximum_flow::dinics;
use petgraph::graph::DiGraph;

use super::draft::Draft;
use super::order::{comes_after, waits};
use super::types::{Need, Peak, Resource, Step};
use crate::cloud::call::StepId;
use crate::diagnostic::{Code, Diagnostic, codes};
use crate::model::addr::{Addr, Kind};
use crate::model::desired::Desired;

/// Above this many steps the worst moment is bounded instead of found: the sum of all that is taken.
const EXACT_STEPS: usize = 20_000;

/// How much of a thing there is now, and how much there may be.
struct Room {
    used: u32,
    limit: u32,
}

/// Puts the steps in an order in which nothing limited is exceeded, or says what cannot be.
pub(super) fn fit(draft: &mut Draft<'_>) -> Vec<Peak> {
    let resources: BTreeSet<Resource> =
        draft.steps.iter().flat_map(|step| &step.holds).map(|hold| hold.resource.clone()).collect();
    let mut peaks = Vec::new();
    for resource in resources {
        let Some(room) = room(draft, &resource) else { continue };
        let mut most = most(&draft.steps, &resource);
        if over(&room, most) {
            reorder(draft, &resource, &room);
            most = self::most(&draft.steps, &resource);
        }
        let after: i64 = holds(&draft.steps, &resource).map(|(_, start, end)| start + end).sum();
        let peak = Peak {
            before: room.used,
            peak: clamp(i64::from(room.used) + most),
            after: clamp(i64::from(room.used) + after),
            limit: room.limit,
            resource,
        };
        if over(&room, most) {
            refuse(draft, &peak);
        }
        peaks.push(peak);
    }
    peaks
}

fn over(room: &Room, most: i64) -> bool {
    // What is over its limit already may stay so, or shrink: nothing of ours makes it worse.
    most > 0 && i64::from(room.used) + most > i64::from(room.limit)
}

fn clamp(n: i64) -> u32 {
    u32::try_from(n.max(0)).unwrap_or(u32::MAX)
}

fn room(draft: &Draft<'_>, resource: &Resource) -> Option<Room> {
    let input = draft.input;
    match resource {
        Resource::Images(region) => {
            let seen = input.observed.by_region.get(region);
            let listed = seen.and_then(|seen| seen.custom_images.as_ref()).map_or(0, std::collections::BTreeMap::len);
            let listed = u32::try_from(listed).unwrap_or(u32::MAX);
            Some(match seen.and_then(|seen| seen.image_quota) {
                Some(quota) => Room { used: quota.used.max(listed), limit: quota.total },
                None => Room { used: listed, limit: input.limits.images_per_region },
            })
        }
        Resource::Instances(region, zone) => {
            let seen = input.observed.by_region.get(region)?;
            let quota = seen.instance_quota.as_ref().and_then(|zones| zones.get(zone));
            Some(match quota {
                Some(quota) => Room { used: quota.used, limit: quota.total },
                None => {
                    let ours = seen.instances.values().filter_map(|seen| seen.present());
                    let used = ours.filter(|instance| instance.zone == *zone).count();
                    Room { used: u32::try_from(used).unwrap_or(u32::MAX), limit: input.limits.instances_per_zone }
                }
            })
        }
        Resource::Shares(addr) => {
            let Addr { block, part, .. } = addr;
            let share = input.desired.shares.get(&block.name)?;
            let Some(crate::model::addr::Part::Region(region)) = part else { return None };
            let at = draft.images.get(&(share.image.clone(), region.clone()))?;
            let seen = input.observed.by_region.get(region);
            let there = at.id.known().and_then(|id| seen.and_then(|seen| seen.shares.get(id)));
            Some(Room {
                used: u32::try_from(there.map_or(0, BTreeSet::len)).unwrap_or(u32::MAX),
                limit: input.limits.accounts_per_image,
            })
        }
    }
}

fn holds<'s>(steps: &'s [Step], resource: &'s Resource) -> impl Iterator<Item = (StepId, i64, i64)> + 's {
    steps.iter().flat_map(move |step| {
        let mine = step.holds.iter().filter(move |hold| hold.resource == *resource);
        mine.map(|hold| (step.id, hold.at_start, hold.at_end))
    })
}

/// The most that the steps hold of a resource at any moment, beyond what is held before the first.
pub(super) fn most(steps: &[Step], resource: &Resource) -> i64 {
    let taken: i64 = holds(steps, resource).map(|(_, start, _)| start.max(0)).sum();
    if taken == 0 || steps.len() > EXACT_STEPS || holds(steps, resource).all(|(_, _, end)| end >= 0) {
        return taken;
    }
    // Two nodes a step, its start and its end; an edge leads to what must have happened before.
    let mut graph: DiGraph<(), u64> = DiGraph::with_capacity(2 * steps.len() + 2, 4 * steps.len());
    let (source, sink) = (graph.add_node(()), graph.add_node(()));
    let nodes: BTreeMap<StepId, _> =
        steps.iter().map(|step| (step.id, (graph.add_node(()), graph.add_node(())))).collect();
    let never = u64::try_from(taken).unwrap_or(u64::MAX / 2) + 1;
    for step in steps {
        let Some(&(start, end)) = nodes.get(&step.id) else { continue };
        graph.add_edge(end, start, never);
        for other in step.waits_for() {
            if let Some(&(_, other_end)) = nodes.get(&other) {
                graph.add_edge(start, other_end, never);
            }
        }
    }
    for (step, at_start, at_end) in holds(steps, resource) {
        let Some(&(start, end)) = nodes.get(&step) else { continue };
        if let Ok(weight @ 1..) = u64::try_from(at_start) {
            graph.add_edge(source, start, weight);
        }
        if at_end < 0 {
            graph.add_edge(end, sink, at_end.unsigned_abs());
        }
    }
    let (cut, _) = dinics(&graph, source, sink);
    taken - i64::try_from(cut).unwrap_or(i64::MAX)
}

/// Adds needs so that what gives back goes before what takes.
fn reorder(draft: &mut Draft<'_>, resource: &Resource, room: &Room) {
    match resource {
        Resource::Images(_) => reorder_images(draft, resource, room),
        Resource::Instances(..) => {
            let takes: Vec<StepId> =
                holds(&draft.steps, resource).filter(|(_, s, _)| *s > 0).map(|(id, ..)| id).collect();
            let gives: Vec<StepId> =
                holds(&draft.steps, resource).filter(|(.., e)| *e < 0).map(|(id, ..)| id).collect();
            for take in takes {
                for give in &gives {
                    wait_for(draft, take, *give);
                }
            }
        }
        // Shares are put in order where they are planned: one image has two calls at most.
        Resource::Shares(_) => {}
    }
}

/// Lets `step` wait for the success of `other`, unless that would be a circle.
fn wait_for(draft: &mut Draft<'_>, step: StepId, other: StepId) -> bool {
    if comes_after(&waits(&draft.steps), other, step) {
        return false;
    }
    if let Some(step) = draft.steps.get_mut(step.0 as usize) {
        step.needs.push(Need::Success(other));
        step.needs.sort_unstable();
        step.needs.dedup();
    }
    true
}

/// One image after the other: the creation that finds no place waits for a deletion. Where no deletion comes in time,
/// an old version that nobody needs goes before the new one is there.
fn reorder_images(draft: &mut Draft<'_>, resource: &Resource, room: &Room) {
    let creations: Vec<StepId> = holds(&draft.steps, resource).filter(|(_, s, _)| *s > 0).map(|(id, ..)| id).collect();
    let mut deletions: Vec<StepId> =
        holds(&draft.steps, resource).filter(|(.., e)| *e < 0).map(|(id, ..)| id).collect();
    let free = room.limit.saturating_sub(room.used) as usize;
    for (n, creation) in creations.iter().enumerate().skip(free) {
        // A deletion that waits for this creation, or for a later one, cannot make room for it.
        let waits = waits(&draft.steps);
        let later = creations.get(n..).unwrap_or_default();
        let in_time = |deletion: &StepId| !later.iter().any(|creation| comes_after(&waits, *deletion, *creation));
        let chosen = deletions.iter().position(in_time).or_else(|| hasten(draft, &deletions, later));
        let Some(chosen) = chosen else { return };
        let deletion = deletions.remove(chosen);
        wait_for(draft, *creation, deletion);
    }
}

/// Lets a deletion go first that waits for a new version out of courtesy only. Answers which one.
fn hasten(draft: &mut Draft<'_>, deletions: &[StepId], later: &[StepId]) -> Option<usize> {
    for (n, deletion) in deletions.iter().enumerate() {
        let Some(needs) = draft.hasty.get(deletion).cloned() else { continue };
        let Some(step) = draft.steps.get_mut(deletion.0 as usize) else { continue };
        let patient = std::mem::replace(&mut step.needs, needs);
        let waits = waits(&draft.steps);
        if later.iter().any(|creation| comes_after(&waits, *deletion, *creation)) {
            if let Some(step) = draft.steps.get_mut(deletion.0 as usize) {
                step.needs = patient;
            }
            continue;
        }
        let goes = draft.steps.get(deletion.0 as usize).and_then(|step| step.targets.first());
        if let Some(target) = goes {
            let note = format!("{} goes before its successor is there: the quota leaves no room for both", target.addr);
            draft.notes.push(Diagnostic::note(codes::IMAGE_QUOTA, note));
        }
        return Some(n);
    }
    None
}

fn refuse(draft: &mut Draft<'_>, peak: &Peak) {
    let Peak { resource, before, peak: most, after, limit } = peak;
    let code: Code = match resource {
        Resource::Images(_) => codes::IMAGE_QUOTA,
        Resource::Instances(..) => codes::INSTANCE_QUOTA,
        Resource::Shares(_) => codes::SHARE_CAP,
    };
    let mut fault = Diagnostic::error(code, format!("{most} {resource} at the worst moment, and {limit} are allowed"))
        .why(format!("{before} are there now, {after} would be there in the end"));
    let first =
        draft.steps.iter().find(|step| step.holds.iter().any(|hold| hold.resource == *resource && hold.at_start > 0));
    if let Some(target) = first.and_then(|step| step.targets.first()) {
        let block = &target.addr.block;
        let path = Desired::path(block.kind, &block.name);
        fault = match block.kind {
            Kind::Fleet => fault.at(path.key("count")),
            Kind::Image | Kind::Share => fault.at(path),
        };
    }
    if after <= limit {
        fault = fault.why("what goes cannot go before what comes: somebody uses it");
    }
    draft.faults.push(fault);
}
