//! The configs of the simulation: a shop, as what can be changed about it.

use std::fmt::Write as _;

/// A config, as what can be changed about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shop {
    boot: usize,
    base: usize,
    description: usize,
    image_tag: usize,
    family: usize,
    version: usize,
    keep: usize,
    regions: usize,
    share: Option<usize>,
    share_name: usize,
    cancel: bool,
    builder: bool,
    builder_count: usize,
    builder_group: bool,
    web: bool,
    pub(crate) count: usize,
    kind: usize,
    tag: usize,
    reset: bool,
    pub(crate) most: usize,
    from: usize,
    zone_more: bool,
    stopped: bool,
    protected: bool,
    legacy: usize,
    legacy_regions: usize,
    locked: bool,
    partner: usize,
    prepaid: bool,
    limits: Tight,
}

/// What of the cloud is scarce. The cloud enforces the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tight {
    pub(crate) images_per_region: u32,
    pub(crate) accounts_per_image: u32,
    pub(crate) instances_per_zone: u32,
}

/// One change of a config: of what, and to what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Edit {
    pub(crate) what: usize,
    pub(crate) to: usize,
}

impl Edit {
    /// How many things can be changed.
    pub(crate) const KINDS: usize = 28;
}

impl Shop {
    /// The one that every story begins with.
    pub(crate) fn start(limits: Tight) -> Self {
        Self {
            boot: 0,
            base: 0,
            description: 1,
            image_tag: 0,
            family: 0,
            version: 0,
            keep: 0,
            regions: 1,
            share: Some(3),
            share_name: 0,
            cancel: false,
            builder: true,
            builder_count: 1,
            builder_group: false,
            web: true,
            count: 3,
            kind: 0,
            tag: 1,
            reset: false,
            most: 1,
            from: 0,
            zone_more: false,
            stopped: false,
            protected: false,
            legacy: 0,
            legacy_regions: 0,
            locked: false,
            partner: 0,
            prepaid: false,
            limits,
        }
    }

    /// The same with a change.
    pub(crate) fn edited(&self, edit: Edit) -> Self {
        let mut next = self.clone();
        let Edit { what, to } = edit;
        match what % Edit::KINDS {
            0 => next.boot = to % 3,
            1 => next.base = to % 2,
            2 => next.description = to % 3,
            3 => next.image_tag = to % 3,
            4 => next.version = to % 3,
            5 => next.regions = to % 4,
            6 => next.share = (!to.is_multiple_of(4)).then_some(1 + to % 15),
            7 => next.share_name = to % 2,
            8 => next.cancel = !next.cancel,
            9 => next.builder = !to.is_multiple_of(3),
            10 => next.builder_count = 1 + to % 2,
            11 => next.builder_group = !next.builder_group,
            12 => next.web = !to.is_multiple_of(4),
            13 | 14 => next.count = to % 7,
            15 => next.kind = to % 2,
            16 => next.tag = to % 4,
            17 => (next.reset, next.most) = (to.is_multiple_of(2), 1 + to % 3),
            18 => next.from = to % 3,
            19 => next.zone_more = !next.zone_more,
            20 => next.keep = to % 3,
            21 => next.family = to % 3,
            22 => next.stopped = to.is_multiple_of(3),
            23 => next.protected = !next.protected,
            24 => next.legacy = to % 3,
            25 => (next.legacy_regions, next.locked) = (to % 3, to.is_multiple_of(2)),
            26 => next.partner = to % 3,
            _ => next.prepaid = to.is_multiple_of(2),
        }
        next
    }

    /// The same with nothing protected.
    pub(crate) fn unprotected(&self) -> Self {
        Self { protected: false, ..self.clone() }
    }

    /// How many instances of the fleet are to serve.
    pub(crate) fn serving(&self) -> usize {
        if self.web && !self.stopped { self.count } else { 0 }
    }

    /// Its text.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |line: std::fmt::Arguments<'_>| writeln!(text, "{line}").expect("a string");
        let Tight { images_per_region, accounts_per_image, instances_per_zone } = self.limits;
        line(format_args!("project: shop"));
        line(format_args!(
            "cloud: {{ provider: embedded, region: ap-guangzhou, limits: {{ images_per_region: {images_per_region}, \
             accounts_per_image: {accounts_per_image}, instances_per_zone: {instances_per_zone} }} }}"
        ));
        line(format_args!("trusted_owners: [\"100000000002\"]"));
        line(format_args!("images:"));
        let base = ["22.04", "24.04"][self.base];
        line(format_args!("  ubuntu:\n    public: {{ name: \"Ubuntu Server {base} LTS 64bit\" }}"));
        line(format_args!("  web:\n    from_instance: {{ instance: \"fleet.builder[0]\", ready: stopped }}"));
        if self.version > 0 {
            line(format_args!("    version: \"{}\"", self.version));
        }
        if self.description > 0 {
            line(format_args!("    description: \"number {}\"", self.description));
        }
        if self.image_tag > 0 {
            line(format_args!("    tags: {{ app: \"{}\" }}", self.image_tag));
        }
        if self.family > 0 {
            line(format_args!("    family: shop-{}", self.family));
        }
        if self.keep > 0 {
            line(format_args!("    keep: {}\n    deprecate_kept: {}", self.keep, self.keep > 1));
        }
        let more = ["", ", ap-shanghai", ", ap-beijing", ", ap-shanghai, ap-beijing"][self.regions];
        line(format_args!("    regions: [ap-guangzhou{more}]"));
        if self.legacy > 0 {
            let more = ["", ", ap-shanghai", ", ap-beijing"][self.legacy_regions];
            line(format_args!(
                "  legacy:\n    import: {{ url: \
                 \"https://files-1250000000.cos.ap-guangzhou.myqcloud.com/legacy-{}.qcow2\", os: CentOS, os_version: \"7\", \
                 architecture: x86_64 }}\n    regions: [ap-guangzhou{more}]",
                self.legacy
            ));
            if self.locked {
                line(format_args!("  locked:\n    copy: {{ image: legacy, encrypt: true }}"));
            }
        }
        if self.partner > 0 {
            line(format_args!("  partner:\n    shared: {{ id: img-8toqc6s3, owner: \"100000000002\" }}"));
        }
        if self.partner > 1 {
            line(format_args!("  mine:\n    copy: {{ image: partner }}"));
        }
        if let Some(share) = self.share {
            let accounts: Vec<String> =
                (0..4).filter(|n| share >> n & 1 == 1).map(|n| format!("\"10000000000{}\"", n + 2)).collect();
            let name = ["partners", "resellers"][self.share_name];
            let undeclared = if self.cancel { "cancel" } else { "keep" };
            line(format_args!(
                "shares:\n  {name}: {{ image: web, accounts: [{}], undeclared: {undeclared} }}",
                accounts.join(", ")
            ));
        }
        line(format_args!("fleets:"));
        line(format_args!("  other: {{ image: ubuntu, count: 1, zones: [ap-guangzhou-6], type: S5.MEDIUM4 }}"));
        if self.builder {
            let group = if self.builder_group { ", network: { security_groups: [sg-0a1b2c3d] }" } else { "" };
            line(format_args!(
                "  builder: {{ image: ubuntu, count: {}, zones: [ap-guangzhou-3], type: S5.MEDIUM4{group}, user_data: \
                 {{ file: boot.sh }} }}",
                self.builder_count
            ));
        }
        if self.legacy > 0 {
            let image = if self.locked { "locked" } else { "legacy" };
            let paid = if self.prepaid { ", charge_type: PREPAID, prepaid: { months: 1 }" } else { "" };
            line(format_args!(
                "  old: {{ image: {image}, count: {}, zones: [ap-guangzhou-4], type: S5.MEDIUM4{paid} }}",
                self.legacy
            ));
        }
        if self.partner > 0 {
            let image = ["", "partner", "mine"][self.partner];
            line(format_args!(
                "  guest: {{ image: {image}, count: {}, zones: [ap-guangzhou-6], type: S5.MEDIUM4 }}",
                self.partner
            ));
        }
        if self.web {
            let kind = ["S5.MEDIUM4", "S5.LARGE8"][self.kind];
            let tags = ["", "app: web", "app: store", "app: web, tier: front"][self.tag];
            let strategy = if self.reset { "reset" } else { "replace" };
            let zones = if self.zone_more { ", ap-guangzhou-6" } else { "" };
            let image = ["web", "ubuntu", "web"][self.from];
            let power = if self.stopped { ", state: stopped" } else { "" };
            let protect = if self.protected { ", protect: true" } else { "" };
            line(format_args!(
                "  web: {{ image: {image}, count: {}, zones: [ap-guangzhou-3, ap-guangzhou-4{zones}], type: {kind}, tags: {{ {tags} \
                 }}{power}{protect}, login: {{ keep_image_login: true }}, update: {{ strategy: {strategy}, max_unavailable: \
                 {} }} }}",
                self.count, self.most
            ));
        }
        text
    }

    /// What the builder boots with: it switches itself off.
    pub(crate) fn boot(&self) -> String {
        format!("#!/bin/sh\necho the-secret-number-{} > /srv/number\n# sim: poweroff after=2s\n", self.boot)
    }
}
