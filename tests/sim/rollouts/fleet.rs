//! The config of a fleet that is rolled out.

use fleetwright::model::update::Check;

/// How a version of the image turns out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Turns {
    /// Well.
    Well,
    /// Well, after a while.
    Slowly,
    /// It answers, and not what it should.
    Bad,
    /// It never answers.
    Dead,
    /// Well, and some time later no more.
    Ill,
}

/// How a fleet is updated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Way {
    pub(crate) strategy: &'static str,
    pub(crate) surge: Amount,
    pub(crate) away: Amount,
    pub(crate) batch: Option<Amount>,
    pub(crate) canary: Option<Amount>,
    pub(crate) pause: &'static str,
    pub(crate) order: &'static str,
    pub(crate) min_ready_s: usize,
    pub(crate) bake_s: usize,
    pub(crate) failures: usize,
    pub(crate) back: bool,
}

/// So many, or so many of a hundred.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Amount {
    Count(usize),
    Percent(usize),
}

impl Amount {
    fn text(self) -> String {
        match self {
            Self::Count(n) => n.to_string(),
            Self::Percent(n) => format!("{n}%"),
        }
    }

    fn up(self, of: usize) -> usize {
        match self {
            Self::Count(n) => n,
            Self::Percent(n) => (n * of).div_ceil(100),
        }
    }

    fn down(self, of: usize) -> usize {
        match self {
            Self::Count(n) => n,
            Self::Percent(n) => n * of / 100,
        }
    }
}

impl Way {
    /// How many there may be above so many.
    pub(super) fn surge(&self, count: usize) -> usize {
        if self.strategy == "reset" { 0 } else { self.surge.up(count) }
    }

    /// How many of so many may be out of service.
    pub(super) fn away(&self, count: usize) -> usize {
        let away = self.away.down(count);
        // Where neither comes to anything, nothing could ever change.
        if away == 0 && self.surge(count) == 0 { 1 } else { away }
    }

    fn text(&self) -> String {
        let mut text = format!(
            "strategy: {}, max_surge: {}, max_unavailable: {}, pause: {}, order: {}, min_ready: {}s, bake: {}s, max_failures: \
             {}, on_failure: {}",
            self.strategy,
            self.surge.text(),
            self.away.text(),
            self.pause,
            self.order,
            self.min_ready_s,
            self.bake_s,
            self.failures,
            if self.back { "rollback" } else { "stop" },
        );
        for (key, amount) in [("batch", self.batch), ("canary", self.canary)] {
            text.push_str(&amount.map(|amount| format!(", {key}: {}", amount.text())).unwrap_or_default());
        }
        text
    }
}

/// A config.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Fleet {
    /// The number of the version, and how it turns out.
    pub(super) version: (usize, Turns),
    pub(super) count: usize,
    pub(super) large: bool,
    pub(super) tagged: bool,
    pub(super) keep: usize,
    pub(super) way: Way,
}

impl Fleet {
    pub(super) fn text(&self) -> String {
        format!(
            r#"project: shop
cloud: {{ provider: embedded, region: ap-guangzhou }}
images:
  ubuntu: {{ public: {{ name: "Ubuntu Server 22.04 LTS 64bit" }} }}
  web:
    build: {{ base: ubuntu, type: S5.MEDIUM4, user_data: {{ file: boot.sh }}, ready: stopped }}
    keep: {}
fleets:
  web:
    image: web
    count: {}
    zones: [ap-guangzhou-3, ap-guangzhou-4]
    type: {}
    tags: {{ tier: {} }}
    login: {{ key_ids: [skey-8a7c6b5d] }}
    health: {{ http: {{ port: 80 }}, interval: 1s, threshold: 2, deadline: 1m }}
    update: {{ {} }}
"#,
            self.keep,
            self.count,
            if self.large { "S5.LARGE8" } else { "S5.MEDIUM4" },
            if self.tagged { "front" } else { "back" },
            self.way.text(),
        )
    }

    /// What the builder runs.
    pub(super) fn boot(&self) -> String {
        let (version, turns) = self.version;
        let how = match turns {
            Turns::Well => "",
            Turns::Slowly => "# sim: baked healthy after=20s\n",
            Turns::Bad => "# sim: baked http status=500\n",
            Turns::Dead => "# sim: baked healthy after=10h\n",
            Turns::Ill => "# sim: baked unhealthy after=25s\n",
        };
        format!("#!/bin/sh\necho the-secret-number-{version} > /srv/number\n# sim: poweroff after=2s\n{how}")
    }

    /// What an instance is asked.
    pub(super) fn check() -> Check {
        Check::Http { port: 80, path: "/".into(), status: 200, body: None }
    }
}
