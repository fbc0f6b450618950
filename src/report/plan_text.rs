//! A plan for people: what is lost first, then each change with its reasons, then what it costs.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostic::codes;
use crate::model::addr::{Addr, Block, Kind};
use crate::model::attrs::FleetAttr;
use crate::plan::estimate::Estimate;
use crate::plan::{Action, AttrChange, Change, Do, Peak, Pinned, Plan, Promoted, Reason, Scope, Value};

use super::cost;
use super::diff_text;
use super::fold;
use super::groups::{Group, by_action, by_detail};
use super::outside::drift;
use super::rollout_plan;
use super::style::{Ink, Line, Page, STICKY, Style, display_width};
use super::words;

/// What a plan is shown with.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PlanOpts {
    /// Texts that change, such as user data, before and after: shown as a difference below their block. They may hold
    /// secrets, so they are for a terminal, and never for a file.
    pub texts: BTreeMap<Block, (String, String)>,
    /// What it costs, where that was asked.
    pub estimate: Option<Estimate>,
    /// Whether the parts of its price are told even where there is one only.
    pub verbose: bool,
}

const DETAIL_INDENT: usize = 6;
const DIFF_INDENT: usize = 8;
pub(super) const LIST_INDENT: usize = 2;
pub(super) const HANG: usize = 4;
/// A sign and the space behind it.
const SIGN_COLUMN: usize = 4;
/// The most ranges of slots that the summary names: more than elsewhere, for nobody should have to guess.
const MAX_RANGES_LOST: usize = 32;
/// The widest column of names before their values, and of addresses in the summary.
const MAX_NAME_COLUMN: usize = 24;
const MAX_ADDR_COLUMN: usize = 36;

/// The plan as text.
#[must_use]
pub fn plan(plan: &Plan, style: Style, opts: &PlanOpts) -> String {
    let mut page = Page::new(style);
    let pinned: Vec<&Pinned> = plan.lookups.iter().filter(|pinned| pinned.new).collect();
    let nothing = plan.is_empty() && plan.changes.is_empty();
    if !nothing {
        header(&mut page, plan);
        summary(&mut page, plan);
        legend(&mut page, plan, !pinned.is_empty());
    }
    changes(&mut page, plan, &pinned, opts);
    rollout_plan::rollouts(&mut page, plan);
    drift(&mut page, &plan.drift, true);
    limits(&mut page, &plan.peaks);
    page.gap();
    for assumption in &plan.assumptions {
        page.wrap(0, HANG, &Line::new().add(Ink::Strong, "assumed:").text(" ").text(assumption));
    }
    page.gap();
    if nothing {
        page.plain(if plan.scope != Scope::All {
            "No changes to what this plan is about. The rest was not looked at."
        } else if plan.refresh_only {
            up_to_date(plan)
        } else if plan.notes.iter().any(|note| note.code == codes::ROLLOUT_HELD) {
            "No changes, but those that a rollout holds back."
        } else if plan.from_memory {
            "No changes. The state matches the config; the cloud was not looked at (--refresh=false)."
        } else if plan.drift.is_empty() {
            "No changes. The cloud matches the config."
        } else {
            "No changes. The cloud matches the config, apart from the above."
        });
    } else {
        closing(&mut page, plan);
        if let Some(estimate) = &opts.estimate {
            cost::cost(&mut page, estimate, opts.verbose);
        }
        cost::time(&mut page, plan);
    }
    page.finish()
}

/// What a plan says that has nothing to enter.
fn up_to_date(plan: &Plan) -> &'static str {
    if plan.drift.is_empty() {
        "Nothing was changed outside. The state is up to date."
    } else {
        "Nothing to learn. The state is up to date, apart from the above."
    }
}

/// A text that stays on one row.
pub(super) fn whole(text: &str) -> String {
    text.replace(' ', &STICKY.to_string())
}

fn header(page: &mut Page, plan: &Plan) {
    let origin = &plan.origin;
    page.plain(&format!(
        "Project {}, environment {}, cloud {}, account {}",
        origin.project, plan.env, origin.endpoint, origin.account
    ));
    if plan.refresh_only {
        page.plain("Made to refresh the state (--refresh-only): nothing is changed in the cloud.");
    }
    if plan.from_memory {
        page.plain("Made without looking (--refresh=false): what is ours is taken to be as the state remembers it.");
    }
    if let Scope::Rollout(named) = &plan.scope {
        let named: Vec<String> = named.iter().map(ToString::to_string).collect();
        page.plain(&format!("Made for the rollout of {} alone.", named.join(" and ")));
    } else if let Some((option, named)) = plan.scope.named() {
        let named: Vec<String> = named.iter().map(|addr| format!("{option} {addr}")).collect();
        page.wrap(0, HANG, &Line::new().text(format!("Made for a part only ({}).", named.join(" "))));
    }
}

fn summary(page: &mut Page, plan: &Plan) {
    let of = |wanted: fn(Action) -> bool| {
        by_action(plan.changes.iter().filter(move |change| wanted(change.action) && !is_lone_share(change)))
    };
    let destroyed = of(|action| matches!(action, Action::Delete | Action::Replace | Action::Swap));
    let reset = of(|action| action == Action::Reset);
    lost(page, "Will be destroyed:", &destroyed);
    lost(page, "Will be reset (the system disk is formatted, the id stays):", &reset);
    let dropped: Vec<(&Addr, Vec<&str>)> = plan.changes.iter().filter_map(accounts_dropped).collect();
    if !dropped.is_empty() {
        page.gap();
        page.wrap(0, HANG, &Line::new().add(Ink::Lose, "Will lose access:"));
        for (addr, accounts) in dropped {
            let line = Line::new().text(format!("{addr}  {}", accounts.join(", ")));
            page.wrap(DETAIL_INDENT, DETAIL_INDENT + HANG, &line);
        }
    }
}

fn lost(page: &mut Page, title: &str, groups: &[Group<'_>]) {
    if groups.is_empty() {
        return;
    }
    page.gap();
    page.wrap(0, HANG, &Line::new().add(Ink::Lose, title));
    let addrs: Vec<String> = groups.iter().map(|group| addresses(group, MAX_RANGES_LOST)).collect();
    let ids: Vec<String> = groups
        .iter()
        .map(|group| match ids(group) {
            Some((ids, count @ 3..)) => format!("{ids} ({count})"),
            Some((ids, _)) => ids,
            None => String::new(),
        })
        .collect();
    // One long list of slots does not push all ids away from their addresses.
    let widest = |texts: &[String]| texts.iter().map(|text| display_width(text)).max().unwrap_or(0);
    let room = page.style().columns().saturating_sub(LIST_INDENT + SIGN_COLUMN + 2 + widest(&ids));
    let column = widest(&addrs).min(room.max(MAX_ADDR_COLUMN));
    for ((group, addr), ids) in groups.iter().zip(&addrs).zip(ids) {
        let mut line = sign(group.action()).text(" ").text(addr);
        if !ids.is_empty() {
            line.push(Ink::Plain, " ".repeat(column.saturating_sub(display_width(addr)) + 2));
            line.push(Ink::Plain, ids);
        }
        if matches!(group.action(), Action::Replace | Action::Swap) {
            line.push(Ink::Plain, format!("  {}", whole("(created anew)")));
        }
        page.wrap(LIST_INDENT, LIST_INDENT + HANG, &line);
    }
}

/// Whether it is a share without a block: an account that somebody else gave access to an image that goes.
fn is_lone_share(change: &Change) -> bool {
    change.addr.block.kind == Kind::Image
        && change.action == Action::Delete
        && change.detail.reasons.contains(&Reason::Undeclared)
}

/// Accounts that lose their access, where that is not plain from a whole share's destruction.
fn accounts_dropped(change: &Change) -> Option<(&Addr, Vec<&str>)> {
    let attrs = &change.detail.attrs;
    let dropped: Vec<&str> = if is_lone_share(change) {
        attrs
            .iter()
            .filter_map(|attr| if let Value::Text(text) = &attr.before { Some(text.as_str()) } else { None })
            .collect()
    } else if change.addr.block.kind == Kind::Share && change.action == Action::Update {
        attrs.iter().flat_map(|attr| items(&attr.before, &attr.after)).map(String::as_str).collect()
    } else {
        return None;
    };
    (!dropped.is_empty()).then_some((&change.addr, dropped))
}

/// What of a list is not in another.
fn items<'a>(of: &'a Value, and_not: &Value) -> Vec<&'a String> {
    let Value::List(list) = of else { return Vec::new() };
    let other: BTreeSet<&String> = match and_not {
        Value::List(other) => other.iter().collect(),
        Value::None | Value::Text(_) | Value::Secret { .. } | Value::Unknown { .. } => BTreeSet::new(),
    };
    list.iter().filter(|item| !other.contains(item)).collect()
}

fn legend(page: &mut Page, plan: &Plan, look_ups: bool) {
    let used: BTreeSet<Action> = plan.changes.iter().map(|change| change.action).collect();
    let mut line = Line::new().add(Ink::Faint, "Signs:");
    let mut entry = |sign: &str, ink: Ink, text: &str| {
        line.push(Ink::Plain, "  ");
        line.push(ink, sign);
        line.push(Ink::Faint, whole(&format!(" {text}")));
    };
    for action in [
        Action::Create,
        Action::Update,
        Action::Reset,
        Action::Replace,
        Action::Swap,
        Action::Delete,
        Action::Learn,
        Action::Forget,
        Action::Await,
    ] {
        if used.contains(&action) {
            entry(action.sign(), words::ink(action), words::legend(action));
        }
    }
    if look_ups {
        entry("<=", Ink::Look, "look up and pin");
    }
    if used.is_empty() && !look_ups {
        return;
    }
    page.gap();
    page.wrap(0, "Signs:  ".len(), &line);
}

/// Changes and new look-ups, in the order of the addresses; a block's texts come behind its changes.
fn changes(page: &mut Page, plan: &Plan, pinned: &[&Pinned], opts: &PlanOpts) {
    let groups = by_detail(&plan.changes);
    let mut pinned = pinned.iter().peekable();
    let mut texts: BTreeMap<&Block, &(String, String)> = opts.texts.iter().collect();
    for (n, group) in groups.iter().enumerate() {
        let block = &group.first.addr.block;
        while let Some(found) = pinned.next_if(|found| &found.block <= block) {
            look_up(page, found);
        }
        entry(page, group);
        if groups.get(n + 1).is_none_or(|next| &next.first.addr.block != block)
            && let Some((old, new)) = texts.remove(block)
        {
            text_diff(page, block, old, new);
        }
    }
    for found in pinned {
        look_up(page, found);
    }
    for (block, (old, new)) in texts {
        text_diff(page, block, old, new);
    }
}

fn sign(action: Action) -> Line {
    Line::new().add(words::ink(action), format!("{:>3}", action.sign()))
}

fn look_up(page: &mut Page, found: &Pinned) {
    page.gap();
    let head = Line::new().add(Ink::Look, " <=").text(" ").add(Ink::Strong, found.block.to_string());
    page.wrap(0, HANG, &head);
    let Pinned { block: _, region, name, id, created_ms, new: _, was, promoted } = found;
    let text = match (was, promoted) {
        (None, None) => "will be pinned: the newest image of this name",
        (Some(_), None) => "the pin will move on to the newest image of this name",
        (None, Some(_)) => "will be promoted: what is current there, and pinned",
        (Some(_), Some(_)) => "will be promoted: the pin will move on to what is current there",
    };
    page.wrap(DETAIL_INDENT, DETAIL_INDENT + 2, &Line::new().text(text));
    let changed = |name: &str, before: String, after: String| AttrChange {
        name: name.to_owned(),
        before: Value::Text(before),
        after: Value::Text(after),
    };
    let mut attrs = vec![changed("id", was.as_ref().unwrap_or(id).to_string(), id.to_string())];
    match promoted {
        None => attrs.push(same("name", name.clone())),
        Some(Promoted { from, edition, owner, was }) => {
            attrs.push(same("from", from.to_string()));
            attrs.push(changed("version", was.as_ref().unwrap_or(edition).to_string(), edition.to_string()));
            attrs.push(same("owner", owner.to_string()));
        }
    }
    attrs.push(same("region", region.to_string()));
    attrs.push(same("created", words::time(*created_ms)));
    attributes(page, Action::Create, &attrs);
}

fn entry(page: &mut Page, group: &Group<'_>) {
    let Change { addr, action, id: _, name: _, detail } = group.first;
    page.gap();
    let mut head = sign(*action).text(" ").add(Ink::Strong, addresses(group, fold::MAX_RANGES));
    if group.changes.len() > 1 {
        head.push(Ink::Plain, format!("  ({})", words::counted(addr, group.changes.len())));
    }
    page.wrap(0, HANG, &head);
    let reasons: Vec<String> = detail.reasons.iter().map(words::reason).collect();
    let lone_share = is_lone_share(group.first);
    let in_place = *action == Action::Update && !detail.reasons.contains(&Reason::Already);
    let changes = |attr: FleetAttr| in_place && detail.attrs.iter().any(|each| each.name == attr.word());
    let of_fleet = addr.block.kind == Kind::Fleet;
    let will = if lone_share {
        "the share will be cancelled"
    } else if of_fleet && changes(FleetAttr::Type) {
        "will be changed in place, switched off meanwhile"
    } else if of_fleet && changes(FleetAttr::Hostname) {
        "will be changed in place, and restarted where it runs"
    } else {
        words::will(*action)
    };
    let mut why = Line::new().add(if action.destructive() { Ink::Lose } else { Ink::Plain }, will);
    if !reasons.is_empty() {
        why.push(Ink::Plain, format!(": {}", reasons.join("; ")));
    }
    page.wrap(DETAIL_INDENT, DETAIL_INDENT + 2, &why);

    let of_count = |text: String, count: usize| match group.changes.len() {
        all if all == count => text,
        _ => format!("{text} (of {count})"),
    };
    let id = ids(group).map(|(ids, count)| match action {
        Action::Replace | Action::Swap => format!("{} → (new)", of_count(ids, count)),
        Action::Delete
        | Action::Reset
        | Action::Forget
        | Action::Learn
        | Action::Update
        | Action::Create
        | Action::Await => of_count(ids, count),
    });
    let name = names(group).map(|(names, count)| of_count(names, count));
    // shares have no name of their own
    let changes_it = detail.attrs.iter().any(|attr| attr.name == "name");
    let name = name.filter(|name| addr.block.kind != Kind::Share && !lone_share && !changes_it && !name.is_empty());
    let known = [("id", id), ("name", name)];
    let attrs: Vec<AttrChange> =
        known.into_iter().filter_map(|(name, text)| Some(same(name, text?))).chain(group.attrs()).collect();
    attributes(page, *action, &attrs);
}

/// Something that is told, and does not change.
fn same(name: &str, text: String) -> AttrChange {
    AttrChange { name: name.to_owned(), before: Value::Text(text.clone()), after: Value::Text(text) }
}

fn addresses(group: &Group<'_>, ranges: usize) -> String {
    if group.changes.len() == 1 {
        return group.first.addr.to_string();
    }
    fold::addrs_within(group.changes.iter().map(|change| &change.addr), ranges).join(", ")
}

fn ids(group: &Group<'_>) -> Option<(String, usize)> {
    ends(group.changes.iter().filter_map(|change| change.id.as_ref()).map(|id| id.as_str()))
}

fn names(group: &Group<'_>) -> Option<(String, usize)> {
    let names: Vec<&str> =
        group.changes.iter().map(|change| change.name.as_str()).filter(|name| !name.is_empty()).collect();
    let folded = fold::names(&names);
    if names.len() > 1 && folded.len() <= fold::MAX_RANGES {
        return Some((folded.join(", "), names.len()));
    }
    ends(names.into_iter())
}

/// The first and the last of some texts, and how many there are.
fn ends<'a>(texts: impl Iterator<Item = &'a str>) -> Option<(String, usize)> {
    let texts: Vec<&str> = texts.collect();
    let text = match texts.as_slice() {
        [] => return None,
        [one] => (*one).to_owned(),
        [first, last] => format!("{first}, {last}"),
        [first, .., last] => format!("{first} … {last}"),
    };
    Some((text, texts.len()))
}

fn attributes(page: &mut Page, action: Action, attrs: &[AttrChange]) {
    let column = attrs.iter().map(|attr| display_width(&attr.name)).max().unwrap_or(0).min(MAX_NAME_COLUMN);
    for attr in attrs {
        attribute(page, action, attr, column);
    }
}

fn attribute(page: &mut Page, action: Action, attr: &AttrChange, column: usize) {
    let AttrChange { name, before, after } = attr;
    let pad = " ".repeat(column.saturating_sub(display_width(name)) + 1);
    let hang = DETAIL_INDENT + column + 2;
    let label = Line::new().text(format!("{name}:{pad}"));
    let line = match (before, after) {
        (before, after) if before == after => label.text(words::value(after)),
        (Value::Text(old), Value::Text(new)) if old.trim_end().contains('\n') || new.trim_end().contains('\n') => {
            page.wrap(DETAIL_INDENT, hang, &label.add(Ink::Change, "(changes as follows)"));
            diff_text::unified(page, DIFF_INDENT, old, new);
            return;
        }
        (Value::None, after) if action == Action::Create => label.text(words::value(after)),
        (before, Value::None) if action == Action::Delete => label.text(words::value(before)),
        (before, after) => {
            let room = page.style().columns().saturating_sub(DETAIL_INDENT);
            transition(label, before, after, ["loses", "gets"], room)
        }
    };
    page.wrap(DETAIL_INDENT, hang, &line);
}

/// `old → new`; of two lists that do not fit, what one has and the other has not.
pub(super) fn transition(label: Line, before: &Value, after: &Value, [loses, gets]: [&str; 2], room: usize) -> Line {
    let whole = label.clone().add(Ink::Faint, words::value(before)).text(" → ").add(Ink::Change, words::value(after));
    let (gone, come) = (items(before, after), items(after, before));
    let lists = matches!((before, after), (Value::List(_), Value::List(_)));
    if !lists || gone.len() + come.len() == 0 || whole.width() <= room {
        return whole;
    }
    let part = |word: &str, items: &[&String]| -> Option<String> {
        let items: Vec<&str> = items.iter().map(|item| item.as_str()).collect();
        (!items.is_empty()).then(|| format!("{word} {}", items.join(", ")))
    };
    let parts: Vec<String> = [part(loses, &gone), part(gets, &come)].into_iter().flatten().collect();
    label.add(Ink::Change, parts.join("; "))
}

fn text_diff(page: &mut Page, block: &Block, old: &str, new: &str) {
    if old == new {
        return;
    }
    page.gap();
    page.wrap(HANG, DETAIL_INDENT, &Line::new().text("user data of ").add(Ink::Strong, block.to_string()).text(":"));
    diff_text::unified(page, DETAIL_INDENT, old, new);
}

fn limits(page: &mut Page, peaks: &[Peak]) {
    let near: Vec<&Peak> = peaks.iter().filter(|peak| is_near(peak)).collect();
    if near.is_empty() {
        return;
    }
    page.gap();
    page.wrap(0, HANG, &Line::new().add(Ink::Strong, "Near a limit:"));
    for Peak { resource, before, peak, after, limit } in near {
        let line = Line::new()
            .text(format!("{resource}: {before} now, "))
            .add(if peak >= limit { Ink::Change } else { Ink::Plain }, format!("{peak} at the worst moment"))
            .text(format!(", limit {limit}, {after} afterwards"));
        page.wrap(LIST_INDENT, LIST_INDENT + HANG, &line);
    }
}

/// From four fifths on.
fn is_near(peak: &Peak) -> bool {
    u64::from(peak.peak) * 5 >= u64::from(peak.limit) * 4
}

/// The closing lines alone, of a plan that was shown before.
#[must_use]
pub fn closing_line(plan: &Plan, style: Style) -> String {
    let mut page = Page::new(style);
    if plan.is_empty() && plan.changes.is_empty() {
        page.plain("No changes: the plan has nothing to do.");
    } else {
        closing(&mut page, plan);
        cost::time(&mut page, plan);
    }
    page.finish()
}

fn closing(page: &mut Page, plan: &Plan) {
    let number = |action: Action| plan.changes.iter().filter(|change| change.action == action).count();
    if plan.refresh_only {
        let (learn, forget) = (number(Action::Learn), number(Action::Forget));
        let line = Line::new().add(Ink::Strong, "Refresh:").text(format!(" {learn} to learn, {forget} to forget."));
        page.wrap(0, HANG, &line);
        page.wrap(0, HANG, &Line::new().add(Ink::Strong, "Calls:").text(" none; only the state changes."));
        return;
    }
    let counts = plan.counts();
    let line = Line::new().add(Ink::Strong, "Plan:").text(format!(
        " {} to add, {} to change, {} to reset, {} to destroy.",
        counts.add, counts.change, counts.reset, counts.destroy
    ));
    page.wrap(0, HANG, &line);
    let besides: Vec<String> = [(number(Action::Forget), "to forget"), (number(Action::Await), "to wait for")]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    if !besides.is_empty() {
        page.plain(&format!("Besides: {}.", besides.join(", ")));
    }
    let calls = plan.calls();
    let total: u32 = calls.values().sum();
    let list: Vec<String> = calls.iter().map(|(action, count)| format!("{action}{STICKY}{count}")).collect();
    page.wrap(
        0,
        HANG,
        &match total {
            0 if plan.steps.iter().all(|step| matches!(step.does, Do::Record)) => {
                Line::new().add(Ink::Strong, "Calls:").text(" none; only the state changes.")
            }
            0 => Line::new().add(Ink::Strong, "Calls:").text(" none that change anything, only reads while waiting."),
            total => {
                let floor = plan.floor.as_ref().map(|floor| format!(" (floor{STICKY}{})", floor.total()));
                let floor = floor.unwrap_or_default();
                Line::new()
                    .add(Ink::Strong, "Calls:")
                    .text(format!(" {total}{floor}: {}; and reads while waiting.", list.join(", ")))
            }
        },
    );
}
