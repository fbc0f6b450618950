//! What all blocks are read with: what there is to refer to, the cloud that they are for, and what was collected.

use std::collections::{BTreeMap, BTreeSet};

use super::ConfigFiles;
use super::index::{ImageKind, Index, Where};
use super::language::{listed, nearest};
use super::node::Pair;
use super::read::{Faults, Value, shown};
use crate::diagnostic::{Diagnostic, Place, Span, codes};
use crate::graph::Blocks;
use crate::model::addr::{Block, Kind};
use crate::model::catalog;
use crate::model::desired::Tags;
use crate::model::digest::{Digest, SecretKey};
use crate::model::endpoint::Endpoint;
use crate::model::ids::{Name, Region, Uin, Zone};
use crate::model::naming::TAG_KEY;
use crate::model::path::Path;

/// The cloud's part of the config, as far as other blocks need it.
#[derive(Debug, Default)]
pub(super) struct Cloud {
    pub(super) region: Option<Region>,
    pub(super) account: Option<Uin>,
    /// Which hosts are asked, where that is not this program.
    pub(super) endpoint: Option<Endpoint>,
}

/// `trusted_owners`, as far as other blocks need it.
#[derive(Debug, Default)]
pub(super) struct Trusted {
    /// Where it stands, where it does.
    pub(super) at: Option<Span>,
    pub(super) owners: BTreeSet<Uin>,
    /// Some of it could not be read: what seems to be missing may be there.
    pub(super) partial: bool,
}

pub(super) struct Context<'a> {
    pub(super) faults: Faults,
    pub(super) index: Index,
    pub(super) cloud: Cloud,
    pub(super) trusted: Trusted,
    /// Project and environment, once they are read.
    pub(super) place: Option<(Name, Name)>,
    pub(super) files: &'a ConfigFiles<'a>,
    pub(super) key: &'a SecretKey,
    /// The texts of secrets that stand in the config, by the path of their key.
    pub(super) secret_texts: BTreeMap<String, Vec<u8>>,
    /// The digests of the secrets, by where they are read from.
    pub(super) secret_digests: BTreeSet<(String, Digest)>,
    /// Stretches of the files that no message may show.
    pub(super) unshown: Vec<Span>,
    graph: Blocks,
    edges: BTreeMap<(Block, Block), Span>,
}

impl<'a> Context<'a> {
    pub(super) fn new(faults: Faults, index: Index, files: &'a ConfigFiles<'a>, key: &'a SecretKey) -> Self {
        Self {
            faults,
            index,
            cloud: Cloud::default(),
            trusted: Trusted::default(),
            place: None,
            files,
            key,
            secret_texts: BTreeMap::new(),
            secret_digests: BTreeSet::new(),
            unshown: Vec::new(),
            graph: Blocks::default(),
            edges: BTreeMap::new(),
        }
    }

    pub(super) fn tell(&mut self, fault: Diagnostic) {
        self.faults.tell(fault);
    }

    /// The blocks of a section, from all files. A block whose name is faulty is read all the same.
    pub(super) fn blocks<'n>(&mut self, top: &'n [Pair], kind: Kind) -> Vec<(Name, Value<'n>)> {
        let section = kind.section();
        let mut blocks = Vec::new();
        for pair in top.iter().filter(|pair| pair.key == section && !pair.void) {
            let value = Value { node: &pair.value, key: pair.key_span, path: Path::of(&[section]) };
            for block in self.faults.map(&value).unwrap_or_default().iter().filter(|block| !block.void) {
                self.check_name(&block.key, block.key_span);
                let value = Value { node: &block.value, key: block.key_span, path: value.path.key(&block.key) };
                blocks.push((Name::new(block.key.as_str()), value));
            }
        }
        blocks
    }

    pub(super) fn check_name(&mut self, name: &str, span: Span) -> bool {
        let valid = Name::is_valid(name);
        if !valid {
            let better: String = name
                .to_lowercase()
                .chars()
                .map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' })
                .skip_while(|c| !c.is_ascii_lowercase())
                .take(Name::MAX_CHARS)
                .collect();
            let fault = Diagnostic::error(codes::INVALID_NAME, format!("`{}` cannot be a name", shown(name)))
                .at_span(span)
                .why(NAME_RULE);
            self.tell(match better.as_str() {
                "" => fault.help("choose another name"),
                better => fault.help(format!("for example `{better}`")),
            });
        }
        valid
    }

    /// The image block that a value names.
    pub(super) fn image_ref(&mut self, value: &Value<'_>, from: Block) -> Option<(Name, ImageKind)> {
        let text = self.faults.text(value)?;
        let Some(kind) = self.index.images.get(text).map(|facts| facts.kind) else {
            if !self.index.partial {
                let fault = value.fault(codes::UNKNOWN_REFERENCE, format!("there is no image `{}`", shown(text)));
                const MOST_LISTED: usize = 20;
                let images = || self.index.images.keys().map(String::as_str);
                let fault = match nearest(text, images()) {
                    Some(near) => fault.label(format!("did you mean `{near}`?")),
                    None => fault.label("no such block in `images`"),
                };
                let fault = match self.index.images.len() {
                    0 => fault.why("this config has no images"),
                    1..=MOST_LISTED => fault.why(format!("the images of this config are {}", listed(images()))),
                    many => fault.why(format!("none of the {many} images of this config has that name")),
                };
                self.tell(fault.help("name an image of this config here, or add the image to `images`"));
            }
            return None;
        };
        let name = Name::new(text);
        self.edge(from, Block::image(&name), value.node.span);
        Some((name, kind))
    }

    /// One block needs another.
    pub(super) fn edge(&mut self, from: Block, to: Block, span: Span) {
        self.graph.connect(from.clone(), to.clone());
        self.edges.entry((from, to)).or_insert(span);
    }

    /// Tells which blocks need each other in a circle.
    pub(super) fn tell_cycles(&mut self) {
        for cycle in self.graph.cycles() {
            let path: Vec<String> = cycle.iter().chain(cycle.first()).map(ToString::to_string).collect();
            let mut fault = Diagnostic::error(codes::CYCLE, "blocks need each other in a circle")
                .why(format!("the circle: {}", path.join(" -> ")))
                .help("take one of these references out, for example by building on another image");
            for (n, from) in cycle.iter().enumerate() {
                let to = cycle[(n + 1) % cycle.len()];
                let Some(span) = self.edges.get(&((*from).clone(), to.clone())) else { continue };
                let label = format!("{from} needs {to}");
                fault =
                    if n == 0 { fault.at_span(*span).label(label) } else { fault.related(Place::Span(*span), label) };
            }
            self.faults.tell(fault);
        }
    }

    /// The region of the cloud block, where it could be read.
    fn cloud_region(&self) -> Option<&str> {
        self.cloud.region.as_ref().map(Region::as_str)
    }

    /// Where an image is made, or found; see [`Index::home`].
    pub(super) fn home(&self, image: &str) -> Option<String> {
        self.index.home(image, self.cloud_region()?)
    }

    /// Where an image is.
    pub(super) fn regions_of(&self, image: &str) -> Where {
        self.cloud_region().map_or(Where::Unclear, |cloud| self.index.regions(image, cloud))
    }

    /// The items of a list of texts, read one by one, none of them twice. The answer holds those that are right.
    pub(super) fn set<'n, T: Ord + Clone>(
        &mut self,
        value: &Value<'n>,
        mut read: impl FnMut(&mut Self, &Value<'n>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let mut first: BTreeMap<T, Span> = BTreeMap::new();
        let mut items = Vec::new();
        for item in self.faults.list(value)? {
            let Some(read) = read(self, &item) else { continue };
            if let Some(earlier) = first.get(&read) {
                let text = shown(item.node.raw().unwrap_or_default());
                self.tell(
                    item.fault(codes::CONFLICT, format!("`{text}` stands twice in `{}`", value.name()))
                        .label("again")
                        .related(Place::Span(*earlier), "first here")
                        .help("remove one of the two"),
                );
                continue;
            }
            first.insert(read.clone(), item.node.span);
            items.push(read);
        }
        Some(items)
    }

    /// A region.
    pub(super) fn region(&mut self, value: &Value<'_>) -> Option<Region> {
        let text = self.faults.shaped(value, codes::INVALID_VALUE, "a region such as `ap-guangzhou`", |text| {
            text.contains('-') && is_word(text)
        })?;
        if catalog::find_region(text).is_none() {
            let all = catalog::REGIONS.iter().map(|entry| entry.region);
            self.tell(unlisted(value, codes::UNKNOWN_REGION, "region", text, all));
        }
        let region = Region::new(text);
        if self.cloud.endpoint.as_ref().is_some_and(|endpoint| !endpoint.serves(&region)) {
            let fault = value
                .fault(codes::CONFLICT, format!("`{text}` is no region of the finance cloud"))
                .why("`endpoint: finance` reaches its own regions and no others: they are apart from the rest")
                .help("name a region that ends in `-fsi`, such as `ap-shanghai-fsi`, or another `endpoint`");
            self.tell(fault);
            return None;
        }
        Some(region)
    }

    /// A zone of a region, where the region is known.
    pub(super) fn zone(&mut self, value: &Value<'_>, region: Option<&Region>) -> Option<Zone> {
        let text = self.faults.shaped(value, codes::INVALID_VALUE, "a zone such as `ap-guangzhou-3`", |text| {
            is_word(text) && text.rsplit_once('-').is_some_and(|(_, tail)| tail.chars().all(|c| c.is_ascii_digit()))
        })?;
        let zone = Zone::new(text);
        let region = region?;
        let entry = catalog::find_region(region.as_str());
        let zones = || entry.into_iter().flat_map(|entry| entry.zones).map(|zone| zone.zone);
        if zone.region().as_ref() != Some(region) {
            let fault = value
                .fault(codes::ZONE_OUTSIDE, format!("zone `{text}` is not in region `{region}`"))
                .label("another region")
                .why("all instances of a fleet are in one region");
            self.tell(match entry {
                Some(_) => fault.help(format!("its zones are {}; or set the fleet's `region`", listed(zones()))),
                None => fault.help("name a zone of that region, or set the fleet's `region`"),
            });
            return None;
        }
        if entry.is_some() && catalog::find_zone(text).is_none() {
            let all = format!("the zones known there are {}", listed(zones()));
            self.tell(unlisted(value, codes::UNKNOWN_ZONE, "zone", text, std::iter::empty()).help(all));
        }
        Some(zone)
    }

    /// A main account, as text.
    pub(super) fn account(&mut self, value: &Value<'_>) -> Option<Uin> {
        let text =
            self.faults.shaped(value, codes::INVALID_VALUE, "a main account: twelve digits, in quotes", is_account)?;
        Some(Uin::new(text))
    }

    /// The same, and no sub-account of the fixtures' kind; tells where it is one.
    pub(super) fn main_account(&mut self, value: &Value<'_>, why: &str) -> Option<Uin> {
        let account = self.account(value)?;
        if account.as_str().starts_with("200000") {
            self.tell(
                value
                    .fault(codes::INVALID_VALUE, format!("`{account}` is a sub-account"))
                    .why(why)
                    .help("name its main account"),
            );
            return None;
        }
        Some(account)
    }

    /// An id of the cloud: a prefix, and eight lower-case letters or digits.
    pub(super) fn id<'n>(&mut self, value: &Value<'n>, prefix: &str) -> Option<&'n str> {
        let rule = format!("an id: `{prefix}` and eight lower-case letters or digits");
        self.faults.shaped(value, codes::INVALID_VALUE, &rule, |text| {
            text.strip_prefix(prefix).is_some_and(|tail| {
                tail.len() == 8 && tail.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
            })
        })
    }

    /// Tags, as far as they are right.
    pub(super) fn tags(&mut self, value: Option<Value<'_>>) -> Option<Tags> {
        const MOST: usize = 49;
        let Some(value) = value else { return Some(Tags::new()) };
        let pairs = self.faults.map(&value)?;
        if pairs.len() > MOST {
            self.tell(
                value
                    .fault(codes::INVALID_VALUE, format!("{} tags are too many", pairs.len()))
                    .why("a resource has at most 50 tags, and one of them is ours")
                    .help(format!("keep at most {MOST}")),
            );
        }
        let mut tags = Tags::new();
        for pair in pairs.iter().filter(|pair| !pair.void) {
            self.check_tag_key(&pair.key, pair.key_span);
            let item = Value { node: &pair.value, key: pair.key_span, path: value.path.key(&pair.key) };
            let text = self.faults.shaped(&item, codes::INVALID_VALUE, TAG_RULE, is_tag_text);
            if let Some(text) = text {
                tags.insert(pair.key.clone(), text.to_owned());
            }
        }
        Some(tags)
    }

    /// Whether a tag of a key and a value can be put on something, and is not one of ours.
    pub(super) fn can_be_tag(key: &str, value: &str) -> bool {
        let reserved = RESERVED.iter().any(|prefix| key.starts_with(prefix));
        !key.is_empty() && is_tag_text(key) && is_tag_text(value) && key != TAG_KEY && !reserved
    }

    fn check_tag_key(&mut self, key: &str, span: Span) {
        let fault = |message: String| Diagnostic::error(codes::INVALID_VALUE, message).at_span(span);
        if key.is_empty() || !is_tag_text(key) {
            self.tell(fault(format!("`{}` cannot be a tag's key", shown(key))).help(format!("write {TAG_RULE}")));
        } else if key == TAG_KEY {
            self.tell(
                fault(format!("the tag `{key}` is fleetwright's own"))
                    .why("it marks what belongs to which block")
                    .help("choose another key"),
            );
        } else if let Some(prefix) = RESERVED.iter().find(|prefix| key.starts_with(**prefix)) {
            self.tell(
                fault(format!("a tag's key cannot start with `{prefix}`"))
                    .why("the cloud keeps these keys for itself: qcloud…, tencent…, project…")
                    .help("choose another key, for example with a prefix of your own"),
            );
        }
    }
}

/// What a name may be.
pub(super) const NAME_RULE: &str =
    "a name holds lower-case letters, digits, `_` and `-`, starts with a letter, and has at most 40 characters";
/// What keys of the cloud's own tags start with.
const RESERVED: [&str; 3] = ["qcloud", "tencent", "project"];
const TAG_RULE: &str = "at most 127 letters, digits, spaces and + - = . _ : / @";

fn is_tag_text(text: &str) -> bool {
    text.chars().count() <= 127
        && text.chars().all(|c| c.is_alphanumeric() || matches!(c, ' ' | '+' | '-' | '=' | '.' | '_' | ':' | '/' | '@'))
}

fn is_word(text: &str) -> bool {
    text.len() <= 60
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.ends_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && !text.starts_with('0') && text.chars().all(|c| c.is_ascii_digit())
}

/// The warning about something that may be new.
pub(super) fn unlisted<'w>(
    value: &Value<'_>,
    code: crate::diagnostic::Code,
    what: &str,
    text: &str,
    all: impl Iterator<Item = &'w str>,
) -> Diagnostic {
    let fault = value.warning(code, format!("{what} `{}` is not in the built-in list", shown(text)));
    let fault = match nearest(text, all) {
        Some(near) => fault.label(format!("did you mean `{near}`?")),
        None => fault,
    };
    fault
        .why(format!("the list is of {}; `plan` asks the cloud", catalog::DATED))
        .help("look at the spelling, or go on if it is new")
}
