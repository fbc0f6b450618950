//! Orphans, shown: what the cloud holds of ours and no state knows, and what is taken in of it.

use std::collections::BTreeSet;

use crate::diff;
use crate::model::addr::{Addr, Kind};
use crate::model::observed::ImageState;
use crate::model::recorded::RunId;
use crate::plan::orphans::{Adopted, Adoption, Lot, Mark, Orphan, Orphans, Thing};
use crate::store::Lease;

use super::document::{Document, document};
use super::fold;
use super::node::{Node, object};
use super::plan_text::whole;
use super::style::{Ink, Line, Page, Style};
use super::table::{Column, table};
use super::words;

/// What `format` says in the JSON of orphans.
pub const FORMAT: &str = "fleetwright-orphans/1";

const HANG: usize = 2;
/// The most rows of a table: there may be as many orphans as a fleet has instances.
const MAX_ROWS: usize = 50;

/// What is known beside the orphans themselves.
#[derive(Clone, Copy, Debug)]
pub struct Beside<'a> {
    /// Who holds the lock.
    pub holder: Option<&'a Lease>,
    /// How many operations an interrupted run left open.
    pub open_operations: usize,
}

/// How orphans are told apart.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Group {
    Fits,
    Young,
    Perhaps,
    Stuck,
    UnderWay,
    Leaving,
}

impl Group {
    const ALL: [(Self, &'static str); 6] = [
        (Self::Fits, "Ours by their tag, and each fits a free place:"),
        (Self::Young, "Ours by their tag, and made less than a minute ago; a run may be about to record them:"),
        (Self::Perhaps, "Perhaps ours: only the name is such as ours, and anybody may give it:"),
        (Self::Stuck, "Ours by their tag, and not to be taken in without a word:"),
        (Self::UnderWay, "Of an interrupted apply, which is to be settled first; the next apply does that:"),
        (Self::Leaving, "No longer of use; they go by themselves:"),
    ];

    fn of(orphan: &Orphan<'_>) -> Self {
        match (&orphan.lot, &orphan.mark) {
            (Lot::UnderWay, _) => Self::UnderWay,
            (Lot::Leaving, _) => Self::Leaving,
            (_, Mark::Name) => Self::Perhaps,
            (Lot::Free(_), Mark::Tag(_)) if orphan.young => Self::Young,
            (Lot::Free(_), Mark::Tag(_)) => Self::Fits,
            (
                Lot::Rivals(_) | Lot::Taken(_) | Lot::NoBlock(_) | Lot::Elsewhere(_) | Lot::Unclear | Lot::Failed,
                Mark::Tag(_),
            ) => Self::Stuck,
        }
    }
}

/// All orphans, for people; `look` is the command that was typed.
#[must_use]
pub fn text(orphans: &Orphans<'_>, beside: Beside<'_>, look: &str, style: Style) -> String {
    let mut text = String::new();
    for (group, title) in Group::ALL {
        let of_group: Vec<&Orphan<'_>> = orphans.found.iter().filter(|orphan| Group::of(orphan) == group).collect();
        if !of_group.is_empty() {
            let mut page = Page::new(style);
            page.wrap(0, HANG, &Line::new().add(Ink::Strong, title));
            text.push_str(&page.finish());
            text.push_str(&rows(&of_group, style));
            text.push('\n');
        }
    }
    let mut page = Page::new(style);
    beside_lines(&mut page, beside);
    closing(&mut page, orphans, look);
    text.push_str(&page.finish());
    text
}

fn rows(orphans: &[&Orphan<'_>], style: Style) -> String {
    const COLUMNS: [Column; 7] = [
        Column::whole("ID"),
        Column::whole("MOST LIKELY"),
        Column::wraps("NAME"),
        Column::whole("WHERE"),
        Column::wraps("MADE (UTC)"),
        Column::whole("STATE"),
        Column::wraps("BUT"),
    ];
    let row = |orphan: &&Orphan<'_>| {
        let likely = orphan.likely.as_ref();
        let place = match (orphan.thing.zone(), likely.is_some_and(|addr| addr.part.is_some())) {
            (Some(zone), _) => zone.to_string(),
            (None, true) => String::new(),
            (None, false) => orphan.region.to_string(),
        };
        vec![
            orphan.thing.id().to_string(),
            likely.map_or_else(|| "?".to_owned(), ToString::to_string),
            orphan.thing.name().to_owned(),
            place,
            words::minute(orphan.thing.created_ms()),
            state(&orphan.thing),
            but(&orphan.lot).unwrap_or_default(),
        ]
    };
    let shown: Vec<Vec<String>> = orphans.iter().take(MAX_ROWS).map(row).collect();
    let mut text = table(&COLUMNS, &shown, style);
    if let Some(more @ 1..) = orphans.len().checked_sub(MAX_ROWS) {
        text.push_str(&format!("… and {more} more; --json has them all\n"));
    }
    text
}

/// Why it is not simply taken in.
fn but(lot: &Lot) -> Option<String> {
    match lot {
        Lot::Free(_) | Lot::Leaving | Lot::UnderWay => None,
        Lot::Rivals(others) => {
            let ids: Vec<String> = others.iter().map(ToString::to_string).collect();
            Some(format!("{} could have the same place", ids.join(", ")))
        }
        Lot::Taken(other) => Some(format!("its place is that of {other}")),
        Lot::NoBlock(block) => Some(format!("neither config nor state have {block}")),
        Lot::Elsewhere(region) => Some(format!("its fleet is in {region}")),
        Lot::Unclear => Some("its name does not tell what it is".to_owned()),
        Lot::Failed => Some("it could not be made: delete it".to_owned()),
    }
}

fn state(thing: &Thing<'_>) -> String {
    match thing {
        Thing::Instance(one) => diff::show_state(&one.state),
        Thing::Image(one) => match &one.state {
            ImageState::Creating => "creating".to_owned(),
            ImageState::Normal => "normal".to_owned(),
            ImageState::CreateFailed | ImageState::ImportFailed => "failed".to_owned(),
            ImageState::Syncing => "syncing".to_owned(),
            ImageState::Importing => "importing".to_owned(),
            ImageState::Other(word) => word.clone(),
        },
    }
}

fn beside_lines(page: &mut Page, beside: Beside<'_>) {
    let Beside { holder, open_operations } = beside;
    if let Some(Lease { holder, .. }) = holder {
        page.plain(&format!(
            "{} on {} (process {}) holds the lock: what that run is making is listed here until it has told the state. \
             Look again when it is over.",
            holder.who, holder.host, holder.pid
        ));
        page.gap();
    } else if open_operations > 0 {
        page.plain(&format!(
            "An interrupted apply is to be settled first: {} open. The next apply settles them; nothing is taken in \
             before.",
            match open_operations {
                1 => "1 operation is".to_owned(),
                several => format!("{several} operations are"),
            }
        ));
        page.gap();
    }
}

fn closing(page: &mut Page, orphans: &Orphans<'_>, look: &str) {
    let Orphans { found, regions, calls, as_of_ms: _ } = orphans;
    let names: Vec<String> = regions.iter().map(ToString::to_string).collect();
    let looked = format!(" Looked through {} with {}.", names.join(", "), words::plural(*calls as usize, "call"));
    let tagged = found.iter().filter(|orphan| orphan.counts() && orphan.mark != Mark::Name).count();
    let named = found.iter().filter(|orphan| orphan.counts() && orphan.mark == Mark::Name).count();
    let said = match (tagged, named) {
        (0, 0) if found.is_empty() => "none: all that is ours is in the state.".to_owned(),
        (0, 0) => "none that anybody has to do something about.".to_owned(),
        (tagged, 0) => format!("{tagged} by {} tag.", whose(tagged)),
        (0, named) => format!("perhaps {named}, by the name only."),
        (tagged, named) => format!("{tagged} by {} tag, and perhaps {named} by the name only.", whose(tagged)),
    };
    page.wrap(0, HANG, &Line::new().add(Ink::Strong, "Orphans:").text(format!(" {said}{looked}")));
    let mut next = |what: &str, command: String| {
        page.wrap(HANG, 2 * HANG, &Line::new().text(what).text(" ").text(whole(&command)));
    };
    if found.iter().any(Orphan::is_taken_unnamed) {
        next("to take in all that fit:", format!("{look} --adopt"));
    }
    let nameable = |orphan: &&Orphan<'_>| {
        orphan.counts() && !orphan.is_taken_unnamed() && !matches!(orphan.lot, Lot::Failed | Lot::Elsewhere(_))
    };
    if let Some(orphan) = found.iter().find(nameable) {
        let id = orphan.thing.id();
        next("to take in one that you know:", format!("{look} --adopt={id}"));
        let address = match orphan.thing {
            Thing::Instance(_) => "fleet.NAME[N]".to_owned(),
            Thing::Image(_) => format!("image.NAME@VERSION/{}", orphan.region),
        };
        next("or with the address that it is to have:", format!("{look} --adopt={address}={id}"));
    }
    if tagged + named > 0 {
        page.wrap(
            HANG,
            2 * HANG,
            &Line::new().text(
                "to be rid of one: take it in, and the next apply destroys what the config does not want; or, where you \
                 manage the cloud, TerminateInstances for an instance, and DeleteImages with DeleteBindedSnap for an image",
            ),
        );
    }
}

fn whose(count: usize) -> &'static str {
    if count == 1 { "its" } else { "their" }
}

/// The same as JSON.
#[must_use]
pub fn json<'a>(orphans: &'a Orphans<'_>, beside: Beside<'_>) -> Document<'a> {
    let Orphans { found, regions, calls, as_of_ms } = orphans;
    let Beside { holder, open_operations } = beside;
    document! {
        "format" => FORMAT,
        "as_of" => words::rfc3339(*as_of_ms),
        "regions" => Node::list(regions.iter().map(|region| region.as_str())),
        "calls" => *calls,
        "locked_by" => holder.map(|Lease { holder, .. }| {
            object! { "who" => &holder.who, "host" => &holder.host, "process" => holder.pid }
        }),
        "open_operations" => open_operations,
    }
    .each("orphans", || found.iter().map(one))
}

fn one(orphan: &Orphan<'_>) -> Node {
    let Orphan { region, thing, mark, likely, lot, young } = orphan;
    let kind = match thing {
        Thing::Instance(_) => "instance",
        Thing::Image(_) => "image",
    };
    let (found_by, tag) = match mark {
        Mark::Tag(value) => ("tag", Some(value)),
        Mark::Name => ("name", None),
    };
    let (standing, others) = match lot {
        Lot::Free(_) => ("fits", Vec::new()),
        Lot::Rivals(others) => ("rivals", others.clone()),
        Lot::Taken(other) => ("taken", vec![other.clone()]),
        Lot::NoBlock(_) => ("no_block", Vec::new()),
        Lot::Elsewhere(_) => ("elsewhere", Vec::new()),
        Lot::Unclear => ("unclear", Vec::new()),
        Lot::Failed => ("failed", Vec::new()),
        Lot::Leaving => ("leaving", Vec::new()),
        Lot::UnderWay => ("under_way", Vec::new()),
    };
    object! {
        "kind" => kind,
        "id" => thing.id().as_str(),
        "name" => thing.name(),
        "region" => region.as_str(),
        "zone" => Node::maybe(thing.zone()),
        "created" => words::rfc3339(thing.created_ms()),
        "state" => state(thing),
        "found_by" => found_by,
        "tag" => tag,
        "likely" => Node::maybe(likely.as_ref()),
        "standing" => standing,
        "others" => Node::list(others.iter().map(|id| id.as_str())),
        "young" => *young,
        "counts" => orphan.counts(),
        "adopted_unnamed" => orphan.is_taken_unnamed(),
    }
}

/// What will be taken in, and what comes of it.
#[must_use]
pub fn adopting(adoption: &Adoption, style: Style) -> String {
    const COLUMNS: [Column; 4] =
        [Column::whole("ADDRESS"), Column::whole("ID"), Column::wraps("NAME"), Column::wraps("NOT AS IN THE CONFIG")];
    let Adoption { taken, beyond, undeclared, unseen, left: _ } = adoption;
    let mut page = Page::new(style);
    page.wrap(0, HANG, &Line::new().add(Ink::Strong, "Will be taken into the state, and only there:"));
    let mut text = page.finish();
    let row = |adopted: &Adopted| {
        let Adopted { object, instead_of: _, differs } = adopted;
        vec![object.full_addr().to_string(), object.cloud_id.to_string(), object.name.clone(), differs.join(", ")]
    };
    let rows: Vec<Vec<String>> = taken.iter().take(MAX_ROWS).map(row).collect();
    text.push_str(&table(&COLUMNS, &rows, style));
    if let Some(more @ 1..) = taken.len().checked_sub(MAX_ROWS) {
        text.push_str(&format!("… and {more} more\n"));
    }
    let mut page = Page::new(style);
    let mut sentences = Vec::new();
    // What is lost comes first.
    for (block, after, wanted) in beyond {
        let more = after.saturating_sub(*wanted as usize);
        sentences.push((
            Ink::Lose,
            format!(
                "{block} has {after} instances then, and the config wants {wanted}: the next plan destroys {more}."
            ),
        ));
    }
    for block in undeclared {
        sentences.push((
            Ink::Lose,
            format!("The config does not have {block}: the next plan destroys what is taken in of it."),
        ));
    }
    if taken.iter().any(|adopted| adopted.object.kind() == Kind::Image) {
        sentences.push((
            Ink::Change,
            "A version of an image that the config does not ask for goes with the next plan, or stays as `keep` says. \
             Whom an image is shared with is seen then, too: accounts that the config names are entered in the state."
                .to_owned(),
        ));
    }
    let gone: BTreeSet<Addr> = taken
        .iter()
        .flat_map(|adopted| &adopted.instead_of)
        .map(|(addr, generation)| addr.clone().generation(*generation))
        .collect();
    if !gone.is_empty() {
        sentences.push((
            Ink::Plain,
            format!("Gone from the cloud, and forgotten in their place: {}.", fold::addrs(&gone).join(", ")),
        ));
    }
    for block in unseen {
        sentences.push((
            Ink::Plain,
            format!("What {block} booted with is not looked at: its `user_data` is taken to be as in the config."),
        ));
    }
    for (ink, sentence) in sentences {
        page.gap();
        page.wrap(0, HANG, &Line::new().add(ink, sentence));
    }
    let rest = page.finish();
    if !rest.is_empty() {
        text.push('\n');
        text.push_str(&rest);
    }
    text
}

/// What was taken in.
#[must_use]
pub fn adopted(adoption: &Adoption, RunId(run): RunId, plan: &str, style: Style) -> String {
    let addrs: Vec<Addr> = adoption.taken.iter().map(|adopted| adopted.object.full_addr()).collect();
    let mut page = Page::new(style);
    page.wrap(0, HANG, &Line::new().text(format!("Took in {} (run {run}).", fold::joined(&addrs))));
    page.wrap(HANG, 2 * HANG, &Line::new().text("to see what the config makes of it: ").text(whole(plan)));
    page.finish()
}

/// The same as JSON; `None`: there was nothing to take in.
#[must_use]
pub fn adopted_json(adoption: &Adoption, run: Option<RunId>) -> String {
    let Adoption { taken, beyond, undeclared, unseen, left } = adoption;
    let taken = taken.iter().map(|Adopted { object: row, instead_of, differs }| {
        let gone = instead_of.iter().map(|(addr, generation)| addr.clone().generation(*generation).to_string());
        object! {
            "address" => row.full_addr().to_string(),
            "id" => row.cloud_id.as_str(),
            "differs" => Node::list(differs.iter().copied()),
            "instead_of" => Node::list(gone),
        }
    });
    let beyond = beyond.iter().map(|(block, after, wanted)| {
        object! { "block" => block.to_string(), "instances" => *after, "wanted" => *wanted }
    });
    object! {
        "format" => FORMAT,
        "run" => run.map(|RunId(run)| Node::Number(run)),
        "adopted" => Node::list(taken),
        "beyond" => Node::list(beyond),
        "undeclared" => Node::list(undeclared.iter().map(ToString::to_string)),
        "user_data_unseen" => Node::list(unseen.iter().map(ToString::to_string)),
        "left" => *left,
    }
    .pretty()
}

/// Said where there was nothing to take in.
#[must_use]
pub fn nothing(adoption: &Adoption, look: &str) -> String {
    match adoption.left {
        0 => "Nothing to take in: there are no orphans.\n".to_owned(),
        left => format!(
            "Nothing to take in without a name; {} stay{} as {} {}. See them with: {look}\n",
            words::plural(left, "orphan"),
            if left == 1 { "s" } else { "" },
            if left == 1 { "it" } else { "they" },
            if left == 1 { "is" } else { "are" },
        ),
    }
}
