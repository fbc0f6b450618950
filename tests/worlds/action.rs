//! All that can be done to a world, one thing at a time.

use std::collections::BTreeSet;

use super::graph::{Graph, Kind};
use super::world::{Keys, World};

/// Something that is done to a world.
#[derive(Clone, Debug)]
pub(crate) struct Action {
    /// In words.
    pub(crate) words: String,
    /// The config that was applied before; none: there was nothing.
    pub(crate) before: Option<World>,
    /// The config that it is to be; none: nothing is to be left.
    pub(crate) after: Option<World>,
}

/// Every action on every graph of 1 to `most` blocks, smaller ones first.
pub(crate) fn all(most: usize) -> Vec<Action> {
    Graph::all(most).iter().flat_map(of).collect()
}

/// Every action on a graph, its blocks with as little as they can have and with all that hangs on them.
pub(crate) fn of(graph: &Graph) -> Vec<Action> {
    let bare = on(graph, "bare", &World::bare(graph));
    bare.into_iter().chain(on(graph, "dressed", &World::dressed(graph))).collect()
}

fn on(graph: &Graph, dress: &str, world: &World) -> Vec<Action> {
    let mut actions = Actions { prefix: format!("{} {dress}", graph.name(&[])), all: Vec::new() };
    actions.push("create".into(), None, Some(world.clone()));
    actions.push("destroy".into(), Some(world.clone()), None);
    for at in graph.different() {
        block(&mut actions, world, at);
    }
    actions.all
}

struct Actions {
    prefix: String,
    all: Vec<Action>,
}

impl Actions {
    fn push(&mut self, words: String, before: Option<World>, after: Option<World>) {
        // What looks the same in both configs is no change.
        let text = |world: &Option<World>| world.as_ref().map(World::files);
        if text(&before) != text(&after) {
            self.all.push(Action { words: format!("{}: {words}", self.prefix), before, after });
        }
    }
}

/// A change of a block's keys: what it is before, and after.
type Change = (&'static str, fn(&mut Keys), fn(&mut Keys));

/// What can be changed about an image of our own.
const IMAGE: [Change; 8] = [
    ("tagged otherwise", |keys| keys.tag = 1, |keys| keys.tag = 2),
    ("described", |_| {}, |keys| keys.description = true),
    ("a region more", |keys| keys.two_regions = false, |keys| keys.two_regions = true),
    ("a region less", |keys| keys.two_regions = true, |keys| keys.two_regions = false),
    ("shared", |keys| keys.accounts = 0, |keys| keys.accounts = 1),
    ("shared with another", |keys| keys.accounts = 3, |keys| keys.accounts = 6),
    ("no longer shared", |keys| keys.accounts = 1, |keys| keys.accounts = 0),
    ("another version beside it", |keys| keys.keep = true, |keys| (keys.keep, keys.made_of) = (true, 1)),
];

const OTHER: Change = ("made of another", |_| {}, |keys| keys.made_of = 1);

/// What can be changed about a fleet.
const FLEET: [Change; 14] = [
    ("one more", |_| {}, |keys| keys.count += 1),
    ("one less", |keys| keys.count += 1, |_| {}),
    ("none left", |_| {}, |keys| keys.count = 0),
    ("tagged", |keys| keys.tag = 0, |keys| keys.tag = 1),
    ("not tagged", |keys| keys.tag = 1, |keys| keys.tag = 0),
    ("of another type", |_| {}, |keys| keys.large = true),
    ("other user data, replaced", |keys| keys.boot = 1, |keys| keys.boot = 2),
    ("other user data, reset", |keys| (keys.boot, keys.reset) = (1, true), |keys| (keys.boot, keys.reset) = (2, true)),
    ("hosts renamed", |keys| keys.host = 1, |keys| keys.host = 2),
    ("other security groups", |keys| keys.group = 1, |keys| keys.group = 2),
    ("switched off", |_| {}, |keys| keys.stopped = true),
    ("switched on", |keys| keys.stopped = true, |keys| keys.stopped = false),
    ("protected", |_| {}, |keys| keys.protected = true),
    ("in other zones", |_| {}, |keys| keys.other_zone = true),
];

/// What can be done to a block.
fn block(actions: &mut Actions, world: &World, at: usize) {
    let graph = &world.graph;
    let (kind, on) = graph.0[at];
    let name = world.name(at);
    let changes: &[Change] = match kind {
        Kind::Public | Kind::Market => &[OTHER],
        Kind::Shared => &[],
        Kind::Import | Kind::Capture => {
            &[OTHER, IMAGE[0], IMAGE[1], IMAGE[2], IMAGE[3], IMAGE[4], IMAGE[5], IMAGE[6], IMAGE[7]]
        }
        // Nothing tells one plain copy from another: it is what it is a copy of.
        Kind::Copy if graph.encrypted(at) => &[OTHER, IMAGE[0], IMAGE[1], IMAGE[7]],
        Kind::Copy => &IMAGE[..7],
        Kind::Fleet => &FLEET,
    };
    for (words, before, after) in changes {
        // Nothing is captured from a fleet that is off while it runs, or that has no slots: there is no such world.
        if matches!(*words, "switched on" | "none left") && graph.users(at).next().is_some() {
            continue;
        }
        // What the change does not set is as it was before it.
        let old = world.with(at, before);
        let new = if *words == "one less" { world.clone() } else { old.with(at, after) };
        actions.push(format!("{name} {words}"), Some(old), Some(new));
    }
    actions.push(format!("{name} renamed"), Some(world.clone()), Some(world.with(at, |keys| keys.renamed = true)));
    let users: Vec<usize> = graph.users(at).collect();
    let without = world.with(at, |keys| keys.out = true);
    if users.is_empty() {
        actions.push(format!("{name} added"), Some(without.clone()), Some(world.clone()));
        actions.push(format!("{name} removed"), Some(world.clone()), Some(without));
    } else if kind == Kind::Fleet {
        // What was captured from a fleet stays without it.
        actions.push(format!("{name} removed, what was captured from it stays"), Some(world.clone()), Some(without));
    }
    if kind == Kind::Fleet {
        let mut seen = BTreeSet::new();
        let captured = |of: usize| descends(graph, of, at);
        let others = (0..graph.0.len()).filter(|other| {
            graph.0[*other].0 != Kind::Fleet
                && Some(*other) != on
                && !captured(*other)
                && !(graph.encrypted(*other) && graph.users(at).next().is_some())
        });
        for other in others.filter(|other| seen.insert(graph.name(&[at, *other]))) {
            for reset in [false, true] {
                let world = world.with(at, |keys| keys.reset = reset);
                let how = if reset { "reset" } else { "replaced" };
                let words = format!("{name} from {}, {how}", world.name(other));
                actions.push(words, Some(world.clone()), Some(world.on(at, other)));
            }
        }
    }
}

/// Whether a block needs another one, by whatever way.
fn descends(graph: &Graph, mut at: usize, from: usize) -> bool {
    while let Some(on) = graph.0[at].1 {
        if on == from {
            return true;
        }
        at = on;
    }
    false
}

impl Action {
    /// How many blocks its graph has.
    pub(crate) fn blocks(&self) -> usize {
        self.before.as_ref().or(self.after.as_ref()).map_or(0, |world| world.keys.len())
    }
}
