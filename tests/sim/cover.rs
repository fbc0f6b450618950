//! What was tried: how often, at which action, and what went wrong there.

use std::collections::BTreeMap;

use super::story::Tally;
use crate::crash::wire::{Fate, Trap};

/// What stories held.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cover {
    pub(crate) stories: usize,
    pub(crate) rounds: usize,
    pub(crate) deeds: usize,
    /// Configs that the planner refused, and the world stayed as it was, by what it said.
    pub(crate) refused: BTreeMap<String, usize>,
    /// Runs that found no room in the file of the state.
    pub(crate) full: usize,
    /// Runs by what was done first.
    pub(crate) runs: BTreeMap<&'static str, usize>,
    /// Failures that the cloud was asked for.
    pub(crate) failures: BTreeMap<&'static str, usize>,
    /// Deaths, by where.
    pub(crate) deaths: BTreeMap<&'static str, usize>,
    /// What became of calls, by action and way.
    pub(crate) calls: BTreeMap<(&'static str, &'static str), usize>,
}

/// The columns of the table.
pub(crate) const WAYS: [&str; 8] =
    ["not sent", "answer lost", "delayed", "refused", "silent", "cloud dies", "stale", "unlisted"];

impl Cover {
    /// Enters a run.
    pub(crate) fn ran(&mut self, verb: &'static str, sprung: &[Trap], met: Vec<(&'static str, &'static str)>) {
        *self.runs.entry(verb).or_default() += 1;
        for trap in sprung {
            let place = match trap {
                Trap::Call(_, Fate::NotSent) | Trap::Change(_, Fate::NotSent) => "before a call",
                Trap::Call(_, Fate::AnswerLost) | Trap::Change(_, Fate::AnswerLost) => "after a call",
                Trap::Call(_, Fate::Late(_)) | Trap::Change(_, Fate::Late(_)) => "while a call is under way",
                Trap::Call(_, Fate::CloudDies(_)) | Trap::Change(_, Fate::CloudDies(_)) => "of the cloud",
                Trap::Write(_, false) => "before a write",
                Trap::Write(_, true) => "after a write",
                Trap::Torn(..) => "in the middle of a write",
                Trap::Interrupt(..) => "interrupt",
                Trap::Full(..) => "a write without room",
                Trap::Stolen(_) => "lock taken over",
                Trap::Call(..) | Trap::Change(..) => continue,
            };
            *self.deaths.entry(place).or_default() += 1;
        }
        for cell in met {
            *self.calls.entry(cell).or_default() += 1;
        }
    }
}

impl Tally for Cover {
    fn add(&mut self, other: Self) {
        let Self { stories, rounds, deeds, refused, full, runs, failures, deaths, calls } = other;
        self.stories += stories;
        self.rounds += rounds;
        self.deeds += deeds;
        self.full += full;
        merge(&mut self.refused, refused);
        merge(&mut self.runs, runs);
        merge(&mut self.failures, failures);
        merge(&mut self.deaths, deaths);
        merge(&mut self.calls, calls);
    }

    fn text(&self) -> String {
        let Self { stories, rounds, deeds, refused, full, runs, failures, deaths, calls } = self;
        let mut text = format!(
            "{stories} seeds, {rounds} rounds, {} runs in trouble, {} deaths, interrupts and losses, {deeds} deeds of other hands, \
             {} configs refused, {full} full disks\n",
            runs.values().sum::<usize>(),
            deaths.values().sum::<usize>(),
            refused.values().sum::<usize>(),
        );
        let counts: Vec<String> = refused.iter().map(|(word, n)| format!("{word} {n}")).collect();
        text.push_str(&format!("refused: {}\n", counts.join(", ")));
        for (title, counts) in [("runs", runs), ("deaths", deaths), ("later failures", failures)] {
            let counts: Vec<String> = counts.iter().map(|(word, n)| format!("{word} {n}")).collect();
            text.push_str(&format!("{title}: {}\n", counts.join(", ")));
        }
        text.push_str(&format!("{:<28}", "action"));
        for way in WAYS {
            text.push_str(&format!("{way:>12}"));
        }
        text.push('\n');
        let mut actions: Vec<&str> = calls.keys().map(|(action, _)| *action).collect();
        actions.dedup();
        for action in actions {
            text.push_str(&format!("{action:<28}"));
            for way in WAYS {
                text.push_str(&format!("{:>12}", calls.get(&(action, way)).copied().unwrap_or(0)));
            }
            text.push('\n');
        }
        text
    }
}

fn merge<K: Ord>(into: &mut BTreeMap<K, usize>, from: BTreeMap<K, usize>) {
    for (key, count) in from {
        *into.entry(key).or_default() += count;
    }
}
