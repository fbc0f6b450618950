//! What there is to refer to, taken from the tree before any block is read: faulty blocks count as well, so that a
//! reference to one is not a second fault.

use std::collections::{BTreeMap, BTreeSet};

use super::language::SOURCES;
use super::node::{Data, Node, Pair, ScalarKind};
use crate::diagnostic::Span;
use crate::model::addr::{Addr, Kind};
use crate::model::ids::Zone;

/// What an image is, as far as references care.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ImageKind {
    Public,
    Shared,
    /// What another environment made.
    Promoted,
    Marketplace,
    /// Captured from an instance.
    Captured,
    Imported,
    /// A copy of another image of the config.
    Copied,
    /// Made on a machine of its own.
    Built,
    /// Faulty: no reference to it is a second fault.
    Unclear,
}

impl ImageKind {
    /// Whether it is a custom image of ours.
    pub(super) fn is_ours(self) -> bool {
        match self {
            Self::Captured | Self::Imported | Self::Copied | Self::Built => true,
            Self::Public | Self::Shared | Self::Promoted | Self::Marketplace | Self::Unclear => false,
        }
    }
}

/// Where an image is, as far as the config tells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Where {
    Everywhere,
    In(BTreeSet<String>),
    /// Faulty, or known to the planner only.
    Unclear,
}

/// What is to be known of an image by those that refer to it.
#[derive(Clone, Debug)]
pub(super) struct ImageFacts {
    pub(super) kind: ImageKind,
    /// Where `regions` stands, where it does.
    pub(super) regions_at: Option<Span>,
    /// What it names; none where it is silent or cannot be read.
    regions: Option<BTreeSet<String>>,
    /// Where it says that it is encrypted, where it does.
    pub(super) encrypted: Option<Span>,
    /// Where it says that it runs under a licence of one's own, where it does.
    pub(super) byol: Option<Span>,
    /// The image that it is a copy of.
    copy_of: Option<String>,
    /// The fleet that it is captured from; none for a machine made by hand.
    builder: Option<String>,
    /// It is captured from a machine made by hand.
    by_hand: bool,
    /// The region of the zone that it is built in; none where it is silent.
    build_region: Option<String>,
}

/// What is to be known of a fleet by those that refer to it.
#[derive(Clone, Debug)]
pub(super) struct FleetFacts {
    /// How many slots it has, where that can be read.
    pub(super) count: Option<u32>,
    /// `region`; none where it is silent.
    region: Option<String>,
}

/// What there is to refer to, faulty or not.
#[derive(Debug, Default)]
pub(super) struct Index {
    pub(super) images: BTreeMap<String, ImageFacts>,
    pub(super) fleets: BTreeMap<String, FleetFacts>,
    /// Some text could not be read: what seems to be missing may be in it.
    pub(super) partial: bool,
}

impl Index {
    pub(super) fn of(top: &[Pair], partial: bool) -> Self {
        let mut index = Self { partial, ..Self::default() };
        for pair in top {
            for block in pair.value.pairs() {
                match pair.key.as_str() {
                    "images" => index.images.extend([(block.key.clone(), image(&block.value))]),
                    "fleets" => index.fleets.extend([(block.key.clone(), fleet(&block.value))]),
                    _ => {}
                }
            }
        }
        index
    }

    /// The region that an image is made, or found, in, from where it is copied to others. None where that is unclear,
    /// and for public images, which are everywhere. `cloud` is the region of the cloud block.
    pub(super) fn home(&self, image: &str, cloud: &str) -> Option<String> {
        let mut facts = self.images.get(image)?;
        // A circle of copies has no home; it is told elsewhere.
        for _ in 0..=self.images.len() {
            match facts.kind {
                // What is promoted may be anywhere; a copy of it is made in the region of the cloud block.
                ImageKind::Shared | ImageKind::Promoted | ImageKind::Marketplace | ImageKind::Imported => {
                    return Some(cloud.to_owned());
                }
                ImageKind::Captured if facts.by_hand => return Some(cloud.to_owned()),
                ImageKind::Captured => {
                    let fleet = self.fleets.get(facts.builder.as_ref()?)?;
                    return Some(fleet.region.clone().unwrap_or_else(|| cloud.to_owned()));
                }
                ImageKind::Built => return Some(facts.build_region.clone().unwrap_or_else(|| cloud.to_owned())),
                ImageKind::Copied => facts = self.images.get(facts.copy_of.as_ref()?)?,
                ImageKind::Public | ImageKind::Unclear => return None,
            }
        }
        None
    }

    /// Whether an image is a copy of a copy … of itself.
    pub(super) fn copied_in_a_circle(&self, image: &str) -> bool {
        let copy_of = |image: &str| self.images.get(image)?.copy_of.as_deref();
        let mut at = image;
        for _ in 0..self.images.len() {
            match copy_of(at) {
                Some(source) if source == image => return true,
                Some(source) => at = source,
                None => return false,
            }
        }
        false
    }

    /// Where an image is. `cloud` is the region of the cloud block.
    pub(super) fn regions(&self, image: &str, cloud: &str) -> Where {
        let Some(facts) = self.images.get(image) else { return Where::Unclear };
        let home = || self.home(image, cloud).map_or(Where::Unclear, |home| Where::In(BTreeSet::from([home])));
        match facts.kind {
            ImageKind::Public => Where::Everywhere,
            ImageKind::Unclear | ImageKind::Promoted => Where::Unclear,
            ImageKind::Shared | ImageKind::Marketplace => home(),
            ImageKind::Captured | ImageKind::Imported | ImageKind::Copied | ImageKind::Built => {
                match (&facts.regions, facts.regions_at) {
                    (Some(regions), _) => Where::In(regions.clone()),
                    (None, Some(_)) => Where::Unclear,
                    (None, None) => home(),
                }
            }
        }
    }
}

fn image(block: &Node) -> ImageFacts {
    let sources: Vec<&str> = SOURCES.into_iter().filter(|key| block.get(key).is_some()).collect();
    let kind = match sources.as_slice() {
        ["public"] => ImageKind::Public,
        ["shared"] if block.get("shared").is_some_and(|shared| shared.get("from").is_some()) => ImageKind::Promoted,
        ["shared"] => ImageKind::Shared,
        ["marketplace"] => ImageKind::Marketplace,
        ["from_instance"] => ImageKind::Captured,
        ["import"] => ImageKind::Imported,
        ["copy"] => ImageKind::Copied,
        ["build"] => ImageKind::Built,
        _ => ImageKind::Unclear,
    };
    let inside = |outer: &str, key: &str| block.get(outer).and_then(|node| node.get(key));
    let encrypted = inside("copy", "encrypt")
        .filter(|node| matches!(&node.data, Data::Scalar(scalar) if scalar.kind == ScalarKind::Bool(true)));
    let byol = inside("import", "license").filter(|node| node.raw() == Some("BYOL"));
    let instance = inside("from_instance", "instance").and_then(Node::raw);
    let regions = block.get("regions");
    ImageFacts {
        kind,
        regions_at: regions.map(|node| node.span),
        regions: regions.and_then(texts),
        encrypted: encrypted.map(|node| node.span),
        byol: byol.map(|node| node.span),
        copy_of: inside("copy", "image").and_then(Node::raw).map(str::to_owned),
        builder: instance
            .and_then(|text| text.parse::<Addr>().ok())
            .filter(|addr| addr.block.kind == Kind::Fleet)
            .map(|addr| addr.block.name.as_str().to_owned()),
        by_hand: instance.is_some_and(|text| text.starts_with("ins-")),
        build_region: inside("build", "zone")
            .and_then(Node::raw)
            .and_then(|zone| Zone::new(zone).region())
            .map(|region| region.as_str().to_owned()),
    }
}

/// The texts of a list that holds nothing else, and holds something.
fn texts(node: &Node) -> Option<BTreeSet<String>> {
    match &node.data {
        Data::List(items) if !items.is_empty() => items.iter().map(|item| item.raw().map(str::to_owned)).collect(),
        Data::Void | Data::Scalar(_) | Data::List(_) | Data::Map(_) => None,
    }
}

fn fleet(block: &Node) -> FleetFacts {
    FleetFacts {
        count: block.get("count").and_then(Node::raw).and_then(|count| count.parse().ok()),
        region: block.get("region").and_then(Node::raw).map(str::to_owned),
    }
}
