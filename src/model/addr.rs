//! Addresses: how a config, a plan and a person name one thing.
//!
//! `addr := {"module." name [key] "."} kind "." name [key] [slot] ["@" version] ["/" part] ["#" generation]`, with key
//! `["text"]`, slot `[n]`, part a region or `builder`. For example `fleet.web[3]`, `image.web@3f9a1c02/ap-shanghai`.
//! They order by their parts, slots as numbers.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::ids::{Name, Region, Version};

/// The kinds of block.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An image, looked up or managed.
    Image,
    /// The accounts that a managed image is shared with.
    Share,
    /// Instances of one spec from one image.
    Fleet,
}

impl Kind {
    /// All kinds, in the order in which they are listed.
    pub const ALL: [Self; 3] = [Self::Image, Self::Share, Self::Fleet];

    /// The word in an address.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Share => "share",
            Self::Fleet => "fleet",
        }
    }

    /// The section of the config that holds blocks of this kind.
    #[must_use]
    pub fn section(self) -> &'static str {
        match self {
            Self::Image => "images",
            Self::Share => "shares",
            Self::Fleet => "fleets",
        }
    }
}

/// One step into a module.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct ModuleStep {
    /// The module's name.
    pub name: Name,
    /// Which of several instances of the module.
    pub key: Option<Arc<str>>,
}

/// A block of the config: `fleet.web`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Block {
    /// The modules around it, outermost first.
    pub modules: Arc<[ModuleStep]>,
    /// What kind of block it is.
    pub kind: Kind,
    /// Its name in the config.
    pub name: Name,
    /// Which of several instances of the block.
    pub key: Option<Arc<str>>,
}

impl Block {
    /// A block of the root module.
    #[must_use]
    pub fn new(kind: Kind, name: Name) -> Self {
        Self { modules: Arc::new([]), kind, name, key: None }
    }

    /// The image block of this name.
    #[must_use]
    pub fn image(name: &Name) -> Self {
        Self::new(Kind::Image, name.clone())
    }

    /// The share block of this name.
    #[must_use]
    pub fn share(name: &Name) -> Self {
        Self::new(Kind::Share, name.clone())
    }

    /// The fleet block of this name.
    #[must_use]
    pub fn fleet(name: &Name) -> Self {
        Self::new(Kind::Fleet, name.clone())
    }
}

/// The part of a versioned thing.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Part {
    /// The machine that an image is built on.
    Builder,
    /// The copy in one region.
    Region(Region),
}

/// The address of one thing, or of all below a prefix.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Addr {
    /// The block.
    pub block: Block,
    /// Which slot of a fleet.
    pub slot: Option<u32>,
    /// Which version of an image.
    pub version: Option<Version>,
    /// Which part of the version.
    pub part: Option<Part>,
    /// Which of several that bear the same address in turn, from 1; silent: the only, or the first.
    pub generation: Option<u32>,
}

impl Addr {
    /// The block as a whole.
    #[must_use]
    pub fn of(block: Block) -> Self {
        Self { block, slot: None, version: None, part: None, generation: None }
    }

    /// One slot of a fleet.
    #[must_use]
    pub fn slot(block: Block, slot: u32) -> Self {
        Self { slot: Some(slot), ..Self::of(block) }
    }

    /// The copy of an image's version in a region, or a share of it.
    #[must_use]
    pub fn copy(block: Block, version: Version, region: Region) -> Self {
        Self { version: Some(version), part: Some(Part::Region(region)), ..Self::of(block) }
    }

    /// The machine that a version of an image is built on.
    #[must_use]
    pub fn builder(block: Block, version: Version) -> Self {
        Self { version: Some(version), part: Some(Part::Builder), ..Self::of(block) }
    }

    /// Whether it is that of a builder.
    #[must_use]
    pub fn is_builder(&self) -> bool {
        self.part == Some(Part::Builder)
    }

    /// The same address of a given generation; the first one stays silent.
    #[must_use]
    pub fn generation(mut self, generation: u32) -> Self {
        self.generation = (generation > 1).then_some(generation);
        self
    }

    /// Whether `self` names `other` or something around it: the same parts as far as `self` goes.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        fn agrees<T: PartialEq>(mine: Option<&T>, theirs: Option<&T>) -> bool {
            mine.is_none() || mine == theirs
        }
        self.block == other.block
            && agrees(self.slot.as_ref(), other.slot.as_ref())
            && agrees(self.version.as_ref(), other.version.as_ref())
            && agrees(self.part.as_ref(), other.part.as_ref())
            && agrees(self.generation.as_ref(), other.generation.as_ref())
    }

    /// Whether `self` names a thing, or something around it. The first generation may be named, and stays silent
    /// elsewhere.
    #[must_use]
    pub fn names(&self, thing: &Self) -> bool {
        fn agrees<T: PartialEq>(mine: Option<&T>, theirs: Option<&T>) -> bool {
            mine.is_none() || mine == theirs
        }
        let Self { block, slot, version, part, generation } = self;
        *block == thing.block
            && agrees(slot.as_ref(), thing.slot.as_ref())
            && agrees(version.as_ref(), thing.version.as_ref())
            && agrees(part.as_ref(), thing.part.as_ref())
            && generation.is_none_or(|generation| generation == thing.generation.unwrap_or(1))
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in self.modules.iter() {
            write!(f, "module.{}", step.name)?;
            write_key(f, step.key.as_deref())?;
            f.write_str(".")?;
        }
        write!(f, "{}.{}", self.kind.word(), self.name)?;
        write_key(f, self.key.as_deref())
    }
}

fn write_key(f: &mut fmt::Formatter<'_>, key: Option<&str>) -> fmt::Result {
    let Some(key) = key else { return Ok(()) };
    f.write_str("[\"")?;
    for c in key.chars() {
        if matches!(c, '"' | '\\') {
            f.write_str("\\")?;
        }
        write!(f, "{c}")?;
    }
    f.write_str("\"]")
}

impl fmt::Display for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.block)?;
        if let Some(slot) = self.slot {
            write!(f, "[{slot}]")?;
        }
        if let Some(version) = &self.version {
            write!(f, "@{version}")?;
        }
        match &self.part {
            Some(Part::Builder) => f.write_str("/builder")?,
            Some(Part::Region(region)) => write!(f, "/{region}")?,
            None => {}
        }
        match self.generation {
            Some(generation) => write!(f, "#{generation}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a text is no address: what was expected, and at which byte.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("expected {expected} at character {at}")]
pub struct AddrError {
    /// What should stand there.
    pub expected: &'static str,
    /// The byte offset, from 0.
    pub at: usize,
}

struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn eat(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn fail<T>(&self, expected: &'static str) -> Result<T, AddrError> {
        Err(AddrError { expected, at: self.at })
    }

    fn take_while(&mut self, accept: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !accept(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn name(&mut self) -> Result<Name, AddrError> {
        let start = self.at;
        let text = self.take_while(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
        if Name::is_valid(text) {
            return Ok(Name::new(text));
        }
        self.at = start;
        self.fail("a name")
    }

    fn number(&mut self) -> Result<u32, AddrError> {
        let start = self.at;
        let text = self.take_while(|c| c.is_ascii_digit());
        match text.parse() {
            Ok(number) => Ok(number),
            Err(_) => {
                self.at = start;
                self.fail("a number")
            }
        }
    }

    fn key(&mut self) -> Result<Option<Arc<str>>, AddrError> {
        if !self.eat("[\"") {
            return Ok(None);
        }
        let mut text = String::new();
        loop {
            let Some(c) = self.rest().chars().next() else { return self.fail("`\"]`") };
            self.at += c.len_utf8();
            match c {
                '"' if self.eat("]") => return Ok(Some(text.into())),
                '"' => return self.fail("`]`"),
                '\\' => {
                    let Some(c @ ('"' | '\\')) = self.rest().chars().next() else {
                        return self.fail("`\\\"` or `\\\\`");
                    };
                    self.at += c.len_utf8();
                    text.push(c);
                }
                c => text.push(c),
            }
        }
    }
}

impl FromStr for Addr {
    type Err = AddrError;

    fn from_str(text: &str) -> Result<Self, AddrError> {
        let mut cursor = Cursor { text, at: 0 };
        let mut modules = Vec::new();
        while cursor.eat("module.") {
            modules.push(ModuleStep { name: cursor.name()?, key: cursor.key()? });
            if !cursor.eat(".") {
                return cursor.fail("`.`");
            }
        }
        let Some(kind) = Kind::ALL
            .into_iter()
            .find(|kind| cursor.rest().strip_prefix(kind.word()).is_some_and(|rest| rest.starts_with('.')))
        else {
            return cursor.fail("`image.`, `share.` or `fleet.`");
        };
        cursor.at += kind.word().len() + 1;
        let block = Block { modules: modules.into(), kind, name: cursor.name()?, key: cursor.key()? };
        let mut addr = Self::of(block);
        if cursor.eat("[") {
            addr.slot = Some(cursor.number()?);
            if !cursor.eat("]") {
                return cursor.fail("`]`");
            }
        }
        if cursor.eat("@") {
            let text = cursor.take_while(|c| !matches!(c, '/' | '#'));
            if !Version::is_valid(text) {
                return cursor.fail("a version");
            }
            addr.version = Some(Version::new(text));
        }
        if cursor.eat("/") {
            addr.part = match cursor.take_while(|c| c.is_ascii_alphanumeric() || c == '-') {
                "" => return cursor.fail("a region, or `builder`"),
                "builder" => Some(Part::Builder),
                region => Some(Part::Region(Region::new(region))),
            };
        }
        if cursor.eat("#") {
            addr.generation = Some(cursor.number()?);
        }
        if cursor.rest().is_empty() { Ok(addr) } else { cursor.fail("the end of the address") }
    }
}

macro_rules! serde_as_text {
    ($type:ty, $from:expr) => {
        impl Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                let addr: Addr = text.parse().map_err(serde::de::Error::custom)?;
                $from(addr).ok_or_else(|| serde::de::Error::custom("expected a block's address"))
            }
        }
    };
}

serde_as_text!(Addr, Some);
serde_as_text!(Block, |addr: Addr| (addr == Addr::of(addr.block.clone())).then_some(addr.block));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_reads_back_as_it_was_written() {
        for text in [
            "fleet.web",
            "fleet.web[3]",
            "fleet.web[\"gz\"][3]",
            "fleet.web[3]#2",
            "image.web@3f9a1c/ap-shanghai",
            "image.web@2026-11-23/builder",
            "share.web-to-partners@3f9a1c/ap-shanghai",
            "module.shop[\"a\\\"b\\\\\"].module.inner.fleet.web[0]",
        ] {
            let addr: Addr = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(addr.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_address_says_where_and_what_was_expected() {
        for (text, at) in [
            ("", 0),
            ("fleets.web", 0),
            ("fleet.", 6),
            ("fleet.Web", 6),
            ("fleet.web[x]", 10),
            ("fleet.web[3", 11),
            ("fleet.web[3]x", 12),
            ("image.web@/x", 10),
            ("image.web@1/", 12),
            ("fleet.web[99999999999]", 10),
        ] {
            let error = text.parse::<Addr>().expect_err(text);
            assert_eq!(error.at, at, "{text}: {error}");
        }
    }

    #[test]
    fn slots_order_as_numbers_and_a_prefix_covers_what_is_below() {
        let parse = |text: &str| text.parse::<Addr>().expect("an address");
        assert!(parse("fleet.web[9]") < parse("fleet.web[10]"));
        assert!(parse("image.z") < parse("fleet.a"));
        assert!(parse("fleet.web").covers(&parse("fleet.web[3]#2")));
        assert!(!parse("fleet.web[1]").covers(&parse("fleet.web[10]")));
        assert!(!parse("fleet.we").covers(&parse("fleet.web")));
    }
}
