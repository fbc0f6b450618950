//! A config with a graph: its blocks, and what can be changed about them.

use std::fmt::Write as _;

use super::graph::{Graph, Kind};

/// What can be changed about a block. What a block has no use for is passed over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Keys {
    /// What it is made of: a name, an id, a file, a key, a version. 0 is what it begins with.
    pub(crate) made_of: usize,
    pub(crate) tag: usize,
    pub(crate) description: bool,
    /// Whether it is in another region, too.
    pub(crate) two_regions: bool,
    /// The accounts that it is shared with, as bits.
    pub(crate) accounts: usize,
    pub(crate) keep: bool,
    /// How many slots it has.
    pub(crate) count: usize,
    pub(crate) two_zones: bool,
    pub(crate) other_zone: bool,
    pub(crate) large: bool,
    /// What its machines boot with.
    pub(crate) boot: usize,
    pub(crate) reset: bool,
    pub(crate) host: usize,
    pub(crate) group: usize,
    pub(crate) stopped: bool,
    pub(crate) protected: bool,
    /// Whether it has another name.
    pub(crate) renamed: bool,
    /// Whether it is left out.
    pub(crate) out: bool,
}

impl Keys {
    const BARE: Self = Self {
        made_of: 0,
        tag: 0,
        description: false,
        two_regions: false,
        accounts: 0,
        keep: false,
        count: 1,
        two_zones: false,
        other_zone: false,
        large: false,
        boot: 0,
        reset: false,
        host: 0,
        group: 0,
        stopped: false,
        protected: false,
        renamed: false,
        out: false,
    };
    /// Two slots in two zones, two regions, shared with two accounts.
    const DRESSED: Self = Self { tag: 1, two_regions: true, accounts: 3, count: 2, two_zones: true, ..Self::BARE };
}

/// A config.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct World {
    pub(crate) graph: Graph,
    pub(crate) keys: Vec<Keys>,
}

const PUBLIC: [&str; 5] =
    ["Ubuntu Server 22.04", "Ubuntu Server 24.04", "Debian 12", "CentOS 7.9", "Ubuntu Server 20.04"];
const MARKET: [&str; 2] = ["img-kx1vn3zd", "img-r7lamp2f"];

impl World {
    /// Each block with as little as it can have.
    pub(crate) fn bare(graph: &Graph) -> Self {
        Self { graph: graph.clone(), keys: vec![Keys::BARE; graph.0.len()] }
    }

    /// Each block with whatever hangs on it.
    pub(crate) fn dressed(graph: &Graph) -> Self {
        Self { graph: graph.clone(), keys: vec![Keys::DRESSED; graph.0.len()] }
    }

    /// The same with a change to a block.
    pub(crate) fn with(&self, at: usize, change: impl FnOnce(&mut Keys)) -> Self {
        let mut world = self.clone();
        change(&mut world.keys[at]);
        world
    }

    /// The same with a block that needs another one.
    pub(crate) fn on(&self, at: usize, other: usize) -> Self {
        let mut world = self.clone();
        world.graph.0[at].1 = Some(other);
        world
    }

    /// What a block is called.
    pub(crate) fn name(&self, at: usize) -> String {
        let letter = if self.graph.0[at].0 == Kind::Fleet { 'f' } else { 'i' };
        format!("{letter}{at}{}", if self.keys[at].renamed { "x" } else { "" })
    }

    /// The files of its config.
    pub(crate) fn files(&self) -> Vec<(String, String)> {
        let mut text =
            "project: w\ncloud: { provider: embedded, region: ap-guangzhou }\ntrusted_owners: [\"100000000002\"]\n"
                .to_owned();
        let blocks = || (0..self.graph.0.len()).filter(|at| !self.keys[*at].out);
        let is_fleet = |at: &usize| self.graph.0[*at].0 == Kind::Fleet;
        let sections = [
            ("images", blocks().filter(|at| !is_fleet(at)).map(|at| self.image(at)).collect::<Vec<_>>()),
            ("shares", blocks().filter_map(|at| self.share(at)).collect()),
            ("fleets", blocks().filter(is_fleet).map(|at| self.fleet(at)).collect()),
        ];
        for (section, lines) in sections.into_iter().filter(|(_, lines)| !lines.is_empty()) {
            writeln!(text, "{section}:\n  {}", lines.join("\n  ")).expect("a string");
        }
        let mut files = vec![("w.yaml".to_owned(), text)];
        for at in blocks().filter(|at| is_fleet(at) && self.keys[*at].boot > 0) {
            files.push((format!("boot-{at}.sh"), format!("#!/bin/sh\necho {} >> /srv/boots\n", self.keys[at].boot)));
        }
        files
    }

    fn image(&self, at: usize) -> String {
        let (kind, on) = self.graph.0[at];
        let keys = &self.keys[at];
        let needed = on.map_or_else(String::new, |on| self.name(on));
        let of = keys.made_of;
        let mut line = format!("{}: {{ ", self.name(at));
        let source = match kind {
            Kind::Public => format!("public: {{ name: \"{} {}64bit\" }}", PUBLIC[(at + of) % 5], long_term(at + of)),
            Kind::Shared => "shared: { id: img-8toqc6s3, owner: \"100000000002\" }".to_owned(),
            Kind::Market => format!("marketplace: {{ id: {}, accept_fee: true }}", MARKET[(at + of) % 2]),
            Kind::Import => format!(
                "import: {{ url: \"https://files-1250000000.cos.ap-guangzhou.myqcloud.com/{at}-{of}.qcow2\", os: CentOS, os_version: \
                 \"7\", architecture: x86_64 }}"
            ),
            Kind::Capture => format!("from_instance: {{ instance: \"{needed}[0]\" }}").replace("\"f", "\"fleet.f"),
            Kind::Copy if self.graph.encrypted(at) => {
                let key = if of > 0 { format!(", kms_key: kms-1a2b3c4{of}") } else { String::new() };
                format!("copy: {{ image: {needed}, encrypt: true{key} }}")
            }
            Kind::Copy => format!("copy: {{ image: {needed} }}"),
            Kind::Fleet => unreachable!("a fleet is no image"),
        };
        line.push_str(&source);
        if self.graph.ours(at) {
            if kind == Kind::Capture && of > 0 {
                line.push_str(&format!(", version: \"{of}\""));
            }
            if keys.tag > 0 {
                line.push_str(&format!(", tags: {{ app: \"{}\" }}", keys.tag));
            }
            if keys.description {
                line.push_str(", description: \"a small world\"");
            }
            if keys.keep {
                line.push_str(", keep: 1, deprecate_kept: true");
            }
            if keys.two_regions && !self.graph.encrypted(at) {
                line.push_str(", regions: [ap-guangzhou, ap-shanghai]");
            }
        }
        line + " }"
    }

    fn share(&self, at: usize) -> Option<String> {
        let accounts = self.keys[at].accounts;
        if accounts == 0 || !self.graph.ours(at) || self.graph.encrypted(at) {
            return None;
        }
        let list: Vec<String> =
            (0..3).filter(|n| accounts >> n & 1 == 1).map(|n| format!("\"10000000000{}\"", n + 2)).collect();
        Some(format!("s{at}: {{ image: {}, accounts: [{}] }}", self.name(at), list.join(", ")))
    }

    fn fleet(&self, at: usize) -> String {
        let keys = &self.keys[at];
        let image = self.name(self.graph.0[at].1.expect("a fleet runs from an image"));
        let zones = match (keys.two_zones, keys.other_zone) {
            (true, false) => "ap-guangzhou-3, ap-guangzhou-4",
            (true, true) => "ap-guangzhou-4, ap-guangzhou-6",
            (false, false) => "ap-guangzhou-3",
            (false, true) => "ap-guangzhou-4",
        };
        let kind = if keys.large { "S5.LARGE8" } else { "S5.MEDIUM4" };
        let strategy = if keys.reset { "reset" } else { "replace" };
        let mut line = format!(
            "{}: {{ image: {image}, count: {}, zones: [{zones}], type: {kind}, login: {{ key_ids: [skey-8a7c6b5d] }}, update: {{ \
             strategy: {strategy} }}",
            self.name(at),
            keys.count
        );
        if keys.tag > 0 {
            line.push_str(&format!(", tags: {{ app: \"{}\" }}", keys.tag));
        }
        if keys.boot > 0 {
            line.push_str(&format!(", user_data: {{ file: boot-{at}.sh }}"));
        }
        if keys.host > 0 {
            line.push_str(&format!(", hostname: \"w{}-{{zone}}-{{ordinal}}\"", keys.host));
        }
        if keys.group > 0 {
            line.push_str(&format!(", network: {{ security_groups: [sg-0a1b2c3{}] }}", keys.group));
        }
        if keys.stopped {
            line.push_str(", state: stopped");
        }
        if keys.protected {
            line.push_str(", protect: true");
        }
        line + " }"
    }
}

/// What the names of some images have before their last word.
fn long_term(n: usize) -> &'static str {
    if PUBLIC[n % 5].starts_with("Ubuntu") { "LTS " } else { "" }
}
