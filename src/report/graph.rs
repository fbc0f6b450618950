//! Which block needs which, shown: for Graphviz, for Mermaid, and as JSON.

use std::collections::BTreeMap;

use crate::graph::Blocks;
use crate::model::addr::{Block, Kind};
use crate::model::desired::{Desired, Image, InstanceSource, Source};

use super::node::{Node, object};
use super::style::clean;

/// What `format` says in the JSON of a graph.
pub const FORMAT: &str = "fleetwright-graph/1";

/// What a block is, and so how it is drawn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Shape {
    LookUp,
    Managed,
    Share,
    Fleet,
    /// It is needed, and not in the config.
    Absent,
}

/// What a block is, with a line about it.
fn about(desired: &Desired, block: &Block) -> (Shape, String) {
    let name = &block.name;
    let found = match block.kind {
        Kind::Image => desired.images.get(name).map(|image| match image {
            Image::Public { name } => (Shape::LookUp, name.clone()),
            Image::Shared { id, owner } => (Shape::LookUp, format!("{id}, shared by {owner}")),
            Image::Marketplace { id } => (Shape::LookUp, format!("{id}, of the marketplace")),
            Image::Promoted { from, dir: _ } => (Shape::LookUp, format!("promoted from {from}")),
            Image::Managed(image) => (
                Shape::Managed,
                match &image.source {
                    Source::Capture(capture) => match &capture.source {
                        InstanceSource::Slot { .. } => "captured".to_owned(),
                        InstanceSource::Id(id) => format!("captured from {id}"),
                    },
                    Source::Import(import) => format!("imported, {} {}", import.os, import.os_version),
                    Source::Copy(copy) if copy.encryption.is_some() => "an encrypted copy".to_owned(),
                    Source::Copy(_) => "a copy".to_owned(),
                    Source::Build(build) => format!("built on {}", build.instance_type),
                },
            ),
        }),
        Kind::Share => desired.shares.get(name).map(|share| {
            let count = share.accounts.len();
            (Shape::Share, format!("{count} account{}", if count == 1 { "" } else { "s" }))
        }),
        Kind::Fleet => {
            desired.fleets.get(name).map(|fleet| (Shape::Fleet, format!("{} × {}", fleet.count, fleet.instance_type)))
        }
    };
    found.unwrap_or_else(|| (Shape::Absent, "not in the config".to_owned()))
}

/// The graph in the language of Graphviz.
#[must_use]
pub fn dot(desired: &Desired, blocks: &Blocks) -> String {
    let escaped = |text: &str| clean(text).replace('\\', "\\\\").replace('"', "\\\"");
    let quoted = |text: &str| format!("\"{}\"", escaped(text));
    let mut out = format!(
        "digraph {} {{\n  rankdir = LR;\n  node [fontname = \"sans-serif\"];\n  edge [arrowhead = vee];\n\n",
        quoted(desired.project.as_str())
    );
    for block in blocks.blocks() {
        let (shape, line) = about(desired, block);
        let shape = match shape {
            Shape::LookUp => "ellipse, style = dashed",
            Shape::Managed => "ellipse",
            Shape::Share => "hexagon",
            Shape::Fleet => "box3d",
            Shape::Absent => "plaintext",
        };
        let block = block.to_string();
        // A line break within a label is `\n`, which must not be escaped with the rest.
        let label = format!("\"{}\\n{}\"", escaped(&block), escaped(&line));
        out.push_str(&format!("  {} [shape = {shape}, label = {label}];\n", quoted(&block)));
    }
    out.push('\n');
    for (from, to) in edges(blocks) {
        out.push_str(&format!("  {} -> {};\n", quoted(&from.to_string()), quoted(&to.to_string())));
    }
    out.push_str("}\n");
    out
}

/// The graph in the language of Mermaid. Its ids are numbers, for names may be words of that language.
#[must_use]
pub fn mermaid(desired: &Desired, blocks: &Blocks) -> String {
    let ids: BTreeMap<&Block, String> =
        blocks.blocks().zip(0..).map(|(block, n): (_, u32)| (block, format!("n{n}"))).collect();
    let mut out = String::from("flowchart LR\n");
    for (block, id) in &ids {
        let (shape, line) = about(desired, block);
        let (open, close) = match shape {
            Shape::LookUp => ("([", "])"),
            Shape::Managed => ("(", ")"),
            Shape::Share => ("{{", "}}"),
            Shape::Fleet => ("[[", "]]"),
            Shape::Absent => ("[", "]"),
        };
        let label = format!("{}<br/>{}", entities(&block.to_string()), entities(&line));
        out.push_str(&format!("  {id}{open}\"{label}\"{close}\n"));
    }
    for (from, to) in edges(blocks) {
        if let (Some(from), Some(to)) = (ids.get(from), ids.get(to)) {
            out.push_str(&format!("  {from} --> {to}\n"));
        }
    }
    out
}

/// What has a meaning within a label of Mermaid, by its number.
fn entities(text: &str) -> String {
    clean(text).chars().fold(String::new(), |mut out, c| {
        if matches!(c, '"' | '#' | '&' | '<' | '>' | '`' | ';' | '\\' | '[' | ']' | '{' | '}' | '(' | ')') {
            out.push_str(&format!("#{};", u32::from(c)));
        } else {
            out.push(c);
        }
        out
    })
}

/// The graph as JSON.
#[must_use]
pub fn json(desired: &Desired, blocks: &Blocks) -> String {
    let nodes = blocks.blocks().map(|block| {
        let (shape, line) = about(desired, block);
        object! {
            "address" => block.to_string(),
            "kind" => block.kind.word(),
            "about" => line,
            "declared" => shape != Shape::Absent,
        }
    });
    let edges = edges(blocks).map(|(from, to)| object! { "block" => from.to_string(), "needs" => to.to_string() });
    object! { "format" => FORMAT, "blocks" => Node::list(nodes), "needs" => Node::list(edges) }.pretty()
}

/// From what needs something to what it needs.
fn edges(blocks: &Blocks) -> impl Iterator<Item = (&Block, &Block)> {
    blocks.blocks().flat_map(move |from| blocks.needs(from).map(move |to| (from, to)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_mermaid_hold_nothing_that_ends_them() {
        assert_eq!(entities("a \"b\" #1; <i>"), "a #34;b#34; #35;1#59; #60;i#62;");
        assert!(!entities("x]--> y\n").contains([']', '>', '\n']));
    }
}
