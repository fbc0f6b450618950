//! The lineage of images, shown as a tree: what is found, what is made of it, where its versions are, and who uses them.

use std::collections::BTreeMap;

use crate::model::Millis;
use crate::model::addr::Addr;
use crate::model::ids::{Name, Uin};
use crate::plan::tree::{Branch, Edition, Lack, Place, State, Tree};

use super::node::{Node, object};
use super::style::{Ink, Line, Page, STICKY, Style};
use super::words;

/// What `format` says in the JSON of images.
pub const FORMAT: &str = "fleetwright-images/1";

const INDENT: usize = 2;
/// Of more versions than this the older ones are counted, where nobody uses them and all are told of alike.
const MOST_VERSIONS: usize = 6;
/// Of more accounts than this the rest is counted.
const MOST_ACCOUNTS: usize = 4;
const MINUTE_MS: Millis = 60_000;
const HOUR_MS: Millis = 60 * MINUTE_MS;
const DAY_MS: Millis = 24 * HOUR_MS;

/// What the tree is shown with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ImagesOpts {
    /// What time it is: versions have an age.
    pub now_ms: Millis,
    /// Whether all versions and accounts are shown, however many.
    pub all: bool,
    /// Whether somebody looked at the cloud.
    pub looked: bool,
}

/// How many instances each fleet has: while one takes the place of another, a slot has two.
pub type Fleets = BTreeMap<Name, u32>;

/// The tree as text.
#[must_use]
pub fn text(tree: &Tree, fleets: &Fleets, style: Style, opts: &ImagesOpts) -> String {
    let mut page = Page::new(style);
    if tree.roots.is_empty() {
        page.plain("There are no images, neither in the config nor in the state.");
        return page.finish();
    }
    let shown = Shown { fleets, opts };
    for root in &tree.roots {
        page.gap();
        shown.branch(&mut page, root, 0);
    }
    page.gap();
    let line = summary(tree, opts);
    page.wrap(0, 0, &line);
    page.finish()
}

/// Counts, and what they leave open.
fn summary(tree: &Tree, opts: &ImagesOpts) -> Line {
    let mut counts = Counts::default();
    for root in &tree.roots {
        counts.add(root);
    }
    let Counts { images, versions, copies, size_gib, going } = counts;
    let mut line = Line::new().text(format!(
        "{}, {}, {}",
        words::plural(images, "image"),
        words::plural(versions, "version"),
        if copies == 1 { "1 copy".to_owned() } else { format!("{copies} copies") },
    ));
    if size_gib > 0 {
        line.push(Ink::Plain, format!(" of {size_gib} GiB together"));
    }
    line.push(Ink::Plain, ".");
    if going > 0 {
        let copies = if going == 1 { "1 copy".to_owned() } else { format!("{going} copies") };
        line.push(Ink::Lose, format!(" The next plan deletes {copies}."));
    }
    if !opts.looked {
        line.push(Ink::Plain, " Nobody looked at the cloud: all is as the state remembers it.");
    }
    line
}

#[derive(Default)]
struct Counts {
    images: usize,
    versions: usize,
    copies: usize,
    size_gib: u64,
    going: usize,
}

impl Counts {
    fn add(&mut self, branch: &Branch) {
        let Branch { block: _, about: _, declared: _, keep: _, found: _, versions, next: _, children } = branch;
        self.images += 1;
        self.versions += versions.len();
        for edition in versions {
            for copy in edition.copies.iter().filter(|copy| copy.id.is_some()) {
                self.copies += 1;
                self.size_gib += u64::from(copy.size_gib.unwrap_or(0));
                self.going += usize::from(copy.going || edition.states.contains(&State::Going));
            }
        }
        for child in children {
            self.add(child);
        }
    }
}

struct Shown<'a> {
    fleets: &'a Fleets,
    opts: &'a ImagesOpts,
}

impl Shown<'_> {
    fn branch(&self, page: &mut Page, branch: &Branch, depth: usize) {
        let Branch { block, about, declared, keep, found, versions, next, children } = branch;
        let indent = depth * INDENT;
        let mut head = Line::new().add(Ink::Strong, block.to_string()).text("  ");
        head.push(if *declared { Ink::Faint } else { Ink::Change }, about);
        if let Some(keep) = keep.filter(|keep| *keep > 0) {
            head.push(Ink::Faint, format!(", keeps {}", words::plural(keep as usize, "older version")));
        }
        page.wrap(indent, indent + INDENT * 2, &head);
        for place in found {
            self.place(page, place, indent + INDENT, false);
        }
        if found.is_empty() && versions.is_empty() && next.is_none() {
            page.wrap(indent + INDENT, indent + INDENT * 2, &Line::new().add(Ink::Faint, "not looked up yet"));
        }
        if let Some(next) = next {
            let line = Line::new().add(Ink::Add, format!("@{next}")).text("  the next plan makes it");
            page.wrap(indent + INDENT, indent + INDENT * 3, &line);
        }
        let (told, folded) = self.told(versions);
        for edition in told {
            self.edition(page, edition, indent + INDENT);
        }
        if let (Some(newest), Some(oldest)) = (folded.first(), folded.last()) {
            let states: Vec<&str> = newest.states.iter().map(|state| word(*state)).collect();
            let range = format!("from @{} back to @{}", newest.version, oldest.version);
            let line = Line::new()
                .add(Ink::Faint, format!("{} more, {range}", words::plural(folded.len(), "version")))
                .text(format!(": {}", states.join(", ")))
                .add(Ink::Faint, "; -v shows them");
            page.wrap(indent + INDENT, indent + INDENT * 3, &line);
        }
        for child in children {
            self.branch(page, child, depth + 1);
        }
    }

    /// The versions that are told of one by one, and those that are counted: the last ones, where they are alike.
    fn told<'e>(&self, versions: &'e [Edition]) -> (&'e [Edition], &'e [Edition]) {
        if self.opts.all || versions.len() <= MOST_VERSIONS {
            return (versions, &[]);
        }
        let unused = |edition: &Edition| {
            edition.copies.iter().all(|copy| copy.fleets.is_empty() && copy.accounts.is_empty() && copy.lacks.is_none())
        };
        let states = versions.last().map(|last| &last.states);
        let alike = versions.iter().rev().take_while(|edition| unused(edition) && Some(&edition.states) == states);
        let folded = alike.count().min(versions.len() - MOST_VERSIONS + 1);
        if folded < 2 { (versions, &[]) } else { versions.split_at(versions.len() - folded) }
    }

    fn edition(&self, page: &mut Page, edition: &Edition, indent: usize) {
        let Edition { version, generation, states, from, made_ms, copies } = edition;
        let name = if *generation == 1 { format!("@{version}") } else { format!("@{version}#{generation}") };
        let mut line = Line::new().add(Ink::Strong, name).text("  ");
        for (n, state) in states.iter().enumerate() {
            if n > 0 {
                line.push(Ink::Plain, ", ");
            }
            line.push(ink(*state), word(*state));
        }
        if let Some(made_ms) = made_ms {
            let age = age(self.opts.now_ms - made_ms);
            line.push(Ink::Faint, format!("; made {age} ago, {}", words::time(*made_ms)));
        }
        if let Some(from) = from {
            line.push(Ink::Faint, format!("; from {from}"));
        }
        page.wrap(indent, indent + INDENT * 2, &line);
        for copy in copies {
            self.place(page, copy, indent + INDENT, true);
        }
    }

    fn place(&self, page: &mut Page, place: &Place, indent: usize, ours: bool) {
        let Place { region, id, lacks, size_gib, going, fleets, accounts } = place;
        let mut line = Line::new().text(region.as_str()).text("  ");
        match id {
            Some(id) => line.push(if ours { Ink::Plain } else { Ink::Look }, id.as_str()),
            None => line.push(Ink::Change, "no longer in the state"),
        }
        if let Some(size_gib) = size_gib {
            line.push(Ink::Faint, format!("  {size_gib}{STICKY}GiB"));
        }
        if let (Some(lack), Some(_)) = (lacks, id) {
            line.push(Ink::Change, format!("  {}", lack_word(*lack)));
        }
        if *going {
            line.push(Ink::Lose, "  the next plan deletes it");
        }
        page.wrap(indent, indent + INDENT * 2, &line);
        for (name, count) in fleets {
            let of = self.fleets.get(name).copied().unwrap_or(*count);
            let line =
                Line::new().text(format!("fleet.{name}")).add(Ink::Faint, format!(": {count} of {of} instances"));
            page.wrap(indent + INDENT, indent + INDENT * 2, &line);
        }
        if !accounts.is_empty() {
            let line = Line::new().text("shared with ").text(self.accounts(accounts.iter()));
            page.wrap(indent + INDENT, indent + INDENT * 2, &line);
        }
    }

    fn accounts<'u>(&self, accounts: impl ExactSizeIterator<Item = &'u Uin>) -> String {
        let count = accounts.len();
        let names: Vec<&str> = accounts.map(Uin::as_str).collect();
        if self.opts.all || count <= MOST_ACCOUNTS {
            return names.join(", ");
        }
        let first: Vec<&str> = names.iter().copied().take(MOST_ACCOUNTS - 1).collect();
        format!("{} accounts: {}, and {} more", count, first.join(", "), count - first.len())
    }
}

/// How old: in the largest unit that is full, for nobody reads seconds of days.
fn age(ms: Millis) -> String {
    match ms.max(0) {
        ms if ms >= 2 * DAY_MS => format!("{} days", ms / DAY_MS),
        ms if ms >= 2 * HOUR_MS => format!("{} h", ms / HOUR_MS),
        ms if ms >= 2 * MINUTE_MS => format!("{} min", ms / MINUTE_MS),
        ms => format!("{} s", ms / 1000),
    }
}

fn word(state: State) -> &'static str {
    match state {
        State::Current => "current",
        State::Kept => "kept",
        State::InUse => "in use",
        State::Protected => "protected",
        State::Going => "the next plan deletes it",
        State::Building => "being made",
        State::Gone => "deleted outside",
        State::Quarantined => "quarantined: a rollout failed with it",
        State::Revoked => "revoked: nothing is launched from it",
    }
}

fn ink(state: State) -> Ink {
    match state {
        State::Current => Ink::Add,
        State::Kept | State::Protected => Ink::Plain,
        State::InUse => Ink::Change,
        State::Building => Ink::Look,
        State::Going | State::Gone | State::Quarantined | State::Revoked => Ink::Lose,
    }
}

fn lack_word(lack: Lack) -> &'static str {
    match lack {
        Lack::UnderWay => "on its way",
        Lack::Failed => "its creation failed",
        Lack::Leaving => "on its way out",
        Lack::Gone => "deleted outside",
    }
}

/// The tree as JSON: one list, each image with the one that it is made of.
#[must_use]
pub fn json(tree: &Tree, fleets: &Fleets, opts: &ImagesOpts) -> String {
    let mut images = Vec::new();
    for root in &tree.roots {
        flat(&mut images, root, None, fleets, opts);
    }
    object! {
        "format" => FORMAT,
        "now" => words::rfc3339(opts.now_ms),
        "looked" => opts.looked,
        "images" => Node::List(images),
    }
    .pretty()
}

fn flat(images: &mut Vec<Node>, branch: &Branch, of: Option<&Branch>, fleets: &Fleets, opts: &ImagesOpts) {
    let Branch { block, about, declared, keep, found, versions, next, children } = branch;
    images.push(object! {
        "address" => block.to_string(),
        "about" => about,
        "declared" => *declared,
        "made_of" => of.map(|of| of.block.to_string()),
        "keep" => *keep,
        "next" => next.as_ref().map(ToString::to_string),
        "found" => Node::list(found.iter().map(|found| place(found, fleets))),
        "versions" => Node::list(versions.iter().map(|edition| version(branch, edition, fleets, opts))),
    });
    for child in children {
        flat(images, child, Some(branch), fleets, opts);
    }
}

fn version(branch: &Branch, edition: &Edition, fleets: &Fleets, opts: &ImagesOpts) -> Node {
    let Edition { version, generation, states, from, made_ms, copies } = edition;
    let addr = Addr { version: Some(version.clone()), ..Addr::of(branch.block.clone()) };
    object! {
        "address" => addr.generation(*generation).to_string(),
        "version" => version.as_str(),
        "generation" => *generation,
        "states" => Node::list(states.iter().map(|state| state.word())),
        "from" => from.as_ref().map(ToString::to_string),
        "made" => made_ms.map(words::rfc3339),
        "age_s" => made_ms.map(|made_ms| (opts.now_ms - made_ms).max(0) / 1000),
        "copies" => Node::list(copies.iter().map(|copy| place(copy, fleets))),
    }
}

fn place(place: &Place, fleets: &Fleets) -> Node {
    let Place { region, id, lacks, size_gib, going, fleets: used, accounts } = place;
    let instances = used.iter().map(|(name, count)| {
        object! {
            "fleet" => format!("fleet.{name}"),
            "instances" => *count,
            "of" => fleets.get(name).copied().unwrap_or(*count),
        }
    });
    object! {
        "region" => region.as_str(),
        "id" => id.as_ref().map(|id| id.as_str()),
        "lacks" => lacks.map(Lack::word),
        "size_gib" => *size_gib,
        "going" => *going,
        "fleets" => Node::list(instances),
        "accounts" => Node::list(accounts.iter().map(Uin::as_str)),
    }
}
