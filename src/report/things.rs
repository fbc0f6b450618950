//! Things of the state, one at a time and in full; and what is about to be forgotten.

use crate::diff;
use crate::model::addr::{Addr, Block};
use crate::model::ids::{Name, Uin};
use crate::model::naming::{TAG_KEY, tag_value};
use crate::model::recorded::{Object, OpId, Recorded, RunId, VersionRecord};
use crate::model::spec::{ImageCopySpec, Inputs, ObjectSpec, ShareCopySpec};

use super::fold;
use super::node::{Node, object};
use super::state_text;
use super::style::{Ink, Line, Page, Style};
use super::words;

/// What `format` says in the JSON of things.
pub const FORMAT: &str = "fleetwright-things/1";

const INDENT: usize = 2;

/// A thing of the state, and what else is known of it.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// Its row.
    pub object: &'a Object,
    /// The run that made it, where the history has it.
    pub made_in: Option<RunId>,
    /// Of a copy of an image: what its version is made of.
    pub version: Option<&'a VersionRecord>,
}

/// Each thing with all that the state knows of it.
#[must_use]
pub fn text(things: &[Known<'_>], style: Style) -> String {
    let mut page = Page::new(style);
    for thing in things {
        page.gap();
        one(&mut page, thing);
    }
    page.finish()
}

fn one(page: &mut Page, thing: &Known<'_>) {
    let Known { object, made_in, version } = thing;
    let Object {
        addr: _,
        generation: _,
        region,
        cloud_id,
        name,
        zone,
        ordinal,
        status,
        spec,
        made_from,
        accepted_ms,
        made_by,
    } = object;
    let mut rows: Vec<(&str, String)> = vec![("id", cloud_id.to_string())];
    let mut add =
        |name, text: Option<String>| rows.extend(text.filter(|text| !text.is_empty()).map(|text| (name, text)));
    add("name", Some(name.clone()));
    add("region", Some(region.to_string()));
    add("zone", zone.as_ref().map(ToString::to_string));
    add("ordinal", ordinal.map(|ordinal| format!("{ordinal} in its zone")));
    add("status", Some(status.word().to_owned()));
    add("runs from", made_from.as_ref().map(ToString::to_string));
    add("accepted", Some(*accepted_ms).filter(|ms| *ms > 0).map(words::time));
    add(
        "made by",
        match (made_in, made_by) {
            (Some(RunId(run)), Some(OpId(op))) => Some(format!("run {run}, operation {op}")),
            _ => None,
        },
    );
    match spec.as_ref() {
        ObjectSpec::Slot(slot) => {
            for (name, shown) in diff::made_with(slot) {
                add(name, Some(shown_text(&shown)));
            }
        }
        ObjectSpec::Image(ImageCopySpec { description, tags, family, deprecated, protect }) => {
            add("description", description.clone());
            add("tags", Some(shown_text(&diff::show_tags(tags))));
            add("family", family.clone());
            add("deprecated", deprecated.map(|deprecated| if deprecated { "yes" } else { "no" }.to_owned()));
            add("protected", protect.then(|| "yes".to_owned()));
        }
        ObjectSpec::Share(ShareCopySpec { accounts }) => {
            add("accounts", Some(accounts.iter().map(Uin::as_str).collect::<Vec<_>>().join(", ")));
        }
    }
    if let Some(VersionRecord { block: _, version: _, generation: _, inputs, inputs_digest, made_ms }) = version {
        let Inputs { instance, base, user_data, system_disk: _, data_disks: _, import, encryption } = inputs;
        add("made", Some(words::time(*made_ms)));
        add("captured from", instance.as_ref().map(ToString::to_string));
        add("base", base.as_ref().map(ToString::to_string));
        add("imported from", import.as_ref().map(|import| import.url.clone()));
        add("encrypted", encryption.as_ref().map(|_| "yes".to_owned()));
        add("user data", user_data.as_ref().map(|digest| format!("digest {digest}")));
        add("inputs", Some(format!("digest {inputs_digest}")));
    }
    page.wrap(0, INDENT, &Line::new().add(Ink::Strong, object.full_addr().to_string()));
    let widest = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0) + 2;
    for (name, text) in rows {
        let line = Line::new().text(format!("{:<widest$}{text}", format!("{name}:")));
        page.wrap(INDENT, INDENT + widest, &line);
    }
}

fn shown_text(shown: &diff::Shown) -> String {
    match shown {
        diff::Shown::None => String::new(),
        diff::Shown::Text(text) => text.clone(),
        diff::Shown::List(items) => items.join(", "),
        diff::Shown::Secret { source, digest } => format!("{source} (digest {digest})"),
        diff::Shown::Image(image) => image.to_string(),
    }
}

/// The same as JSON.
#[must_use]
pub fn json(things: &[Known<'_>]) -> String {
    let node = |Known { object, made_in, version }: &Known<'_>| {
        state_text::object(object)
            .with("made_in_run", made_in.map(|RunId(run)| Node::Number(run)))
            .with("version", version.map(state_text::version))
    };
    object! { "format" => FORMAT, "things" => Node::list(things.iter().map(node)) }.pretty()
}

/// What is about to be forgotten: what becomes of it, and how it is found again.
#[must_use]
pub fn forgetting(state: &Recorded, env: &Name, style: Style) -> String {
    let mut page = Page::new(style);
    page.wrap(0, INDENT, &Line::new().add(Ink::Lose, "Will be forgotten, in the state only:"));
    let blocks = state.by_block();
    for objects in blocks.values() {
        let addrs: Vec<Addr> = objects.iter().map(|object| object.full_addr()).collect();
        let mut line = Line::new().add(Ink::Faint, ". ").text(fold::addrs(&addrs).join(", "));
        match objects.as_slice() {
            [] => {}
            [one] => line.push(Ink::Plain, format!("  {}", one.cloud_id)),
            [one, other] => line.push(Ink::Plain, format!("  {}, {}", one.cloud_id, other.cloud_id)),
            [first, .., last] => {
                line.push(Ink::Plain, format!("  {} … {} ({})", first.cloud_id, last.cloud_id, objects.len()));
            }
        }
        page.wrap(INDENT, 2 * INDENT + 2, &line);
    }
    page.gap();
    page.plain(
        "They go on existing in the cloud, and go on costing what they cost. fleetwright will neither change nor destroy \
         them any more. What the config still has is made anew by the next apply, beside them.",
    );
    if state.objects.iter().any(|object| matches!(object.spec.as_ref(), ObjectSpec::Image(_))) {
        page.gap();
        page.plain(
            "An image keeps its name in the cloud: until it is deleted or renamed there, none of the same version can be \
             made.",
        );
    }
    let tags: Vec<String> = blocks.keys().filter_map(|block| tag(state, env, block)).collect();
    if !tags.is_empty() {
        page.gap();
        page.plain("In the cloud's console they are found by their tags:");
        for tag in tags {
            page.wrap(INDENT, 2 * INDENT, &Line::new().text(tag));
        }
    }
    page.finish()
}

/// Shares have no tags of their own: they are found at their image.
fn tag(state: &Recorded, env: &Name, block: &Block) -> Option<String> {
    let project = &state.origin.as_ref()?.project;
    let has_tags = state.objects.iter().any(|object| {
        object.addr.block == *block && matches!(object.spec.as_ref(), ObjectSpec::Slot(_) | ObjectSpec::Image(_))
    });
    has_tags.then(|| format!("{TAG_KEY} = {}", tag_value(project, env, block)))
}

/// What was forgotten, as JSON.
#[must_use]
pub fn forgotten_json(state: &Recorded, RunId(run): RunId) -> String {
    let things = state.objects.iter().map(|object| {
        object! { "address" => object.full_addr().to_string(), "id" => object.cloud_id.as_str() }
    });
    object! { "format" => FORMAT, "run" => Node::Number(run), "forgotten" => Node::list(things) }.pretty()
}
