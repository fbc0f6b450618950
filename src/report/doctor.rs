//! What was found out about the way to the cloud, and about what a plan would meet there.

use super::node::{Node, object};
use super::style::{Ink, Line, Page, Style, display_width};
use super::words;

/// What `format` says in the JSON of an examination.
pub const FORMAT: &str = "fleetwright-doctor/1";

/// How something looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mark {
    /// As it should.
    Good,
    /// It may bite one day.
    Doubtful,
    /// It stands in the way.
    Bad,
    /// Nobody looked.
    Untried,
}

impl Mark {
    fn word(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Doubtful => "warning",
            Self::Bad => "wrong",
            Self::Untried => "not tried",
        }
    }

    fn ink(self) -> Ink {
        match self {
            Self::Good => Ink::Add,
            Self::Doubtful => Ink::Change,
            Self::Bad => Ink::Lose,
            Self::Untried => Ink::Faint,
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// How it looks.
    pub mark: Mark,
    /// What it is about.
    pub topic: &'a str,
    /// What was found.
    pub says: &'a str,
    /// What helps.
    pub help: Option<&'a str>,
}

/// The findings, one below the other.
#[must_use]
pub fn text(told: &[Told<'_>], style: Style) -> String {
    let marks = told.iter().map(|told| told.mark.word().len()).max().unwrap_or(0);
    let topics = told.iter().map(|told| display_width(told.topic)).max().unwrap_or(0);
    let hang = marks + topics + 4;
    let mut page = Page::new(style);
    for Told { mark, topic, says, help } in told {
        let pad = |text: &str, to: usize| " ".repeat(to.saturating_sub(display_width(text)) + 2);
        let line = Line::new()
            .add(mark.ink(), mark.word())
            .text(pad(mark.word(), marks))
            .text(topic)
            .text(pad(topic, topics))
            .text(says);
        page.wrap(0, hang, &line);
        if let Some(help) = help {
            page.wrap(hang, hang + "help: ".len(), &Line::new().add(Ink::Strong, "help:").text(format!(" {help}")));
        }
    }
    let bad = told.iter().filter(|told| told.mark == Mark::Bad).count();
    let doubtful = told.iter().filter(|told| told.mark == Mark::Doubtful).count();
    page.gap();
    let stand = if bad == 1 { "stands" } else { "stand" };
    let bad_things = format!("{} {stand} in the way", words::plural(bad, "thing"));
    let warnings = words::plural(doubtful, "warning");
    page.plain(&match (bad, doubtful) {
        (0, 0) => "All is well.".to_owned(),
        (0, _) => format!("It can be worked with; {warnings}."),
        (_, 0) => format!("{bad_things}."),
        _ => format!("{bad_things}; {warnings}."),
    });
    page.finish()
}

/// The same as JSON.
#[must_use]
pub fn json(told: &[Told<'_>]) -> String {
    let well = told.iter().all(|told| told.mark != Mark::Bad);
    object! { "format" => FORMAT, "well" => well, "findings" => findings(told) }.pretty()
}

/// A list of findings.
pub(super) fn findings(told: &[Told<'_>]) -> Node {
    let findings = told.iter().map(|Told { mark, topic, says, help }| {
        object! {
            "verdict" => mark.word(),
            "topic" => *topic,
            "says" => *says,
            "help" => help.map_or(Node::Null, Node::from),
        }
    });
    Node::list(findings)
}
