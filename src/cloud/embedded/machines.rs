//! What the simulated machines do: nothing, but what script lines in their user data say. The lines are comments to a
//! real machine. Durations are meant as they stand, at every pace of the cloud.
//!
//! - `# sim: boot=20s`: it takes so long from RUNNING until the machine has booted, and user data is run.
//! - `# sim: poweroff after=40s`: so long after it has booted (without a boot line: after RUNNING) it switches itself
//!   off. It is STOPPED from that moment on.
//! - `# sim: healthy after=20s`: only so long after it has booted it is healthy.
//! - `# sim: unhealthy after=30s`: so long after it has booted it is no longer healthy.
//! - `# sim: http status=503`: it answers every request with this status, healthy or not.
//! - `# sim: http body=ready`: what its answer holds where it is healthy, in place of `ok`.
//! - `# sim: tag built=yes after=30s`: so long after it has booted it has put that tag on itself. Whoever reads the instance
//!   sees it; nothing is found by it.
//!
//! A machine that is healthy takes connections on every port, and answers every request with 200 and `ok`. One that is
//! not takes none; one that has not booted, or does not run, neither.
//!
//! The last four may begin with `baked`: `# sim: baked unhealthy after=30s`. Then they are of the disk: they hold for every
//! machine that runs from it, or from an image that was captured from it, however many copies and captures later. Where a
//! later disk has a line of the same kind, that one holds, and what a machine's own user data says without `baked` comes
//! before both. `# sim: baked well` takes all of them off the disk. What comes in as a file brings none.
//!
//! User data is run when a machine first boots, and after a reset; not when it is started again. Health counts from the
//! latest boot.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use super::ids::{self, Kind};
use super::instances::{Machine, Spec, State};
use super::refusal::Done;
use super::settings::Settings;
use crate::model::Millis;
use crate::model::update::Check;

/// How a machine is, and what it answers, where that is not as it is of others.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Constitution {
    /// How long after its boot it is healthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthy_ms: Option<Millis>,
    /// How long after its boot it is no longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unhealthy_ms: Option<Millis>,
    /// The status that it answers with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
    /// What its answers hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_body: Option<String>,
}

impl Constitution {
    /// Whether it is as that of others.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        let Self { healthy_ms, unhealthy_ms, http_status, http_body } = self;
        healthy_ms.is_none() && unhealthy_ms.is_none() && http_status.is_none() && http_body.is_none()
    }

    /// What this says, and where it says nothing, what another one does.
    fn or(&self, other: &Self) -> Self {
        let Self { healthy_ms, unhealthy_ms, http_status, http_body } = self;
        Self {
            healthy_ms: healthy_ms.or(other.healthy_ms),
            unhealthy_ms: unhealthy_ms.or(other.unhealthy_ms),
            http_status: http_status.or(other.http_status),
            http_body: http_body.clone().or_else(|| other.http_body.clone()),
        }
    }

    /// Whether a machine is healthy that booted so long ago.
    fn is_healthy(&self, since_ms: Millis) -> bool {
        self.healthy_ms.is_none_or(|after| since_ms >= after) && self.unhealthy_ms.is_none_or(|after| since_ms < after)
    }

    fn take(&mut self, word: &[&str], value: &str) {
        match word {
            ["healthy", "after"] => self.healthy_ms = duration(value).or(self.healthy_ms),
            ["unhealthy", "after"] => self.unhealthy_ms = duration(value).or(self.unhealthy_ms),
            ["http", "status"] => self.http_status = value.parse().ok().or(self.http_status),
            ["http", "body"] => self.http_body = Some(value.to_owned()),
            _ => {}
        }
    }
}

/// What a machine's user data has it do.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Script {
    pub(crate) boot_ms: Millis,
    pub(crate) poweroff_ms: Option<Millis>,
    pub(crate) own: Constitution,
    /// What it leaves on the disk.
    pub(crate) baked: Constitution,
    /// Whether it takes off the disk what was left there before.
    pub(crate) baked_well: bool,
    pub(crate) tag: Option<ScriptTag>,
}

/// A tag that a machine puts on itself.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct ScriptTag {
    pub(crate) key: String,
    pub(crate) value: String,
    /// How long after it has booted.
    pub(crate) after_ms: Millis,
}

impl ScriptTag {
    /// What stands behind `tag KEY=`: the value, and when.
    fn of(key: &str, rest: &str) -> Option<Self> {
        let (value, after) = rest.rsplit_once("after=")?;
        let after_ms = duration(after.trim())?;
        Some(Self { key: key.to_owned(), value: value.trim().to_owned(), after_ms })
    }
}

impl Script {
    /// Reads the lines out of user data in base64.
    pub(crate) fn of(user_data: Option<&str>) -> Self {
        let Some(bytes) = user_data.and_then(|text| STANDARD.decode(text).ok()) else { return Self::default() };
        let mut script = Self::default();
        for line in String::from_utf8_lossy(&bytes).lines() {
            let Some(rest) = line.trim().strip_prefix('#').map(str::trim) else { continue };
            let Some(order) = rest.strip_prefix("sim:").map(str::trim) else { continue };
            let (word, value) = order.split_once('=').unwrap_or((order, ""));
            let value = value.trim();
            match word.split_whitespace().collect::<Vec<_>>().as_slice() {
                ["boot"] => script.boot_ms = duration(value).unwrap_or(script.boot_ms),
                ["poweroff", "after"] => script.poweroff_ms = duration(value).or(script.poweroff_ms),
                ["tag", key] => script.tag = ScriptTag::of(key, value),
                ["baked", "well"] => (script.baked_well, script.baked) = (true, Constitution::default()),
                ["baked", rest @ ..] => script.baked.take(rest, value),
                rest => script.own.take(rest, value),
            }
        }
        script
    }

    /// When a machine that runs from `running` on switches itself off.
    pub(crate) fn off_at(&self, running: Millis) -> Option<Millis> {
        self.poweroff_ms.map(|after| running + self.boot_ms + after)
    }

    /// What is baked into a disk on which this was run.
    pub(crate) fn bakes(&self, before: &Constitution) -> Constitution {
        if self.baked_well { self.baked.clone() } else { self.baked.or(before) }
    }
}

/// How a machine is at a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Condition {
    /// Whether it has booted, and runs.
    pub(crate) booted: bool,
    /// Whether it is well beside.
    pub(crate) healthy: bool,
}

impl Spec {
    /// What holds of a machine that was made like this.
    fn constitution(&self) -> Constitution {
        self.script.own.or(&self.content.baked)
    }
}

impl Machine {
    /// How its machine is at a time.
    pub(crate) fn condition(&self, spec: &Spec, now: Millis, settings: &Settings) -> Condition {
        let runs = self.state(now, settings) == State::Running;
        let since = self.boot_ms.filter(|_| runs).map(|ms| now - ms - spec.script.boot_ms).filter(|since| *since >= 0);
        Condition { booted: since.is_some(), healthy: since.is_some_and(|since| spec.constitution().is_healthy(since)) }
    }
}

/// What the machine of an instance answers at a time, or a clause that says what it does instead.
pub(crate) fn probe(
    db: &Connection,
    now: Millis,
    settings: &Settings,
    (region, id): (&str, &str),
    check: &Check,
) -> Done<Result<(), String>> {
    let seed: i64 = db.prepare_cached("SELECT seed FROM cloud")?.query_row([], |row| row.get(0))?;
    let port = match check {
        Check::Tcp { port } | Check::Http { port, .. } => *port,
    };
    let machine = match ids::decode(Kind::Instance, seed.cast_unsigned(), id) {
        Some(n) => Machine::load(db, n)?,
        None => None,
    };
    let there = |machine: &Machine| machine.region == region && machine.gone_ms.is_none_or(|gone| gone > now);
    let Some(machine) = machine.filter(there) else { return Ok(Err(format!("nothing answers on port {port}"))) };
    let spec = Spec::load(db, machine.spec_at(now))?;
    if machine.state(now, settings) != State::Running {
        return Ok(Err(format!("nothing answers on port {port}")));
    }
    let Condition { booted, healthy } = machine.condition(&spec, now, settings);
    let constitution = spec.constitution();
    let answers = booted && (healthy || matches!((check, constitution.http_status), (Check::Http { .. }, Some(_))));
    if !answers {
        return Ok(Err(format!("port {port} refuses connections")));
    }
    let Check::Http { port: _, path: _, status, body } = check else { return Ok(Ok(())) };
    let answered = constitution.http_status.unwrap_or(200);
    if answered != *status {
        return Ok(Err(format!("http {answered} in place of {status}")));
    }
    let page = constitution.http_body.as_deref().unwrap_or("ok");
    Ok(match body.as_deref().filter(|wanted| !page.contains(*wanted)) {
        None => Ok(()),
        Some(wanted) => Err(format!("http {answered}, and {wanted:?} is not in the answer")),
    })
}

/// The longest duration that is followed: ten years.
pub(crate) const LONGEST_MS: Millis = 315_360_000_000;

/// `250ms`, `40s`, `2m`, `1h`.
fn duration(text: &str) -> Option<Millis> {
    let split = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(split);
    let unit = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    number.parse::<Millis>().ok()?.checked_mul(unit).filter(|ms| *ms <= LONGEST_MS)
}

/// The digest of user data that a machine's lineage keeps.
pub(crate) fn digest(user_data: &str) -> String {
    let bytes = STANDARD.decode(user_data).unwrap_or_else(|_| user_data.as_bytes().to_vec());
    blake3::hash(&bytes).to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_among_others() {
        let text =
            "#!/bin/sh\n# sim: boot=20s\n#sim:poweroff after=2m\n# sim: unhealthy after=250ms\n# sim: dance=1s\necho";
        let script = Script::of(Some(&STANDARD.encode(text)));
        let own = Constitution { unhealthy_ms: Some(250), ..Constitution::default() };
        assert_eq!(script, Script { boot_ms: 20_000, poweroff_ms: Some(120_000), own, ..Script::default() });
        let nameless = Script::of(Some(&STANDARD.encode("# sim: tag =x after=1s")));
        assert_eq!(nameless.tag, None);
        let tag = Script::of(Some(&STANDARD.encode("# sim: tag built=yes after=30s"))).tag;
        assert_eq!(tag, Some(ScriptTag { key: "built".to_owned(), value: "yes".to_owned(), after_ms: 30_000 }));
        assert_eq!(script.off_at(5), Some(140_005));
        assert_eq!(Script::of(None), Script::default());
        assert_eq!(Script::of(Some("not base64!")), Script::default());
        let odd = "# sim: healthy after=soon\n# sim: http status=fine\n# sim: baked\n# sim: boot";
        assert_eq!(Script::of(Some(&STANDARD.encode(odd))), Script::default());
    }

    #[test]
    fn what_is_baked_lies_on_the_disk_and_later_lines_count() {
        let script = |text: &str| Script::of(Some(&STANDARD.encode(text)));
        let base =
            script("# sim: baked unhealthy after=30s\n# sim: baked http body=a=b").bakes(&Constitution::default());
        let first =
            Constitution { unhealthy_ms: Some(30_000), http_body: Some("a=b".into()), ..Constitution::default() };
        assert_eq!(base, first);
        assert_eq!(script("echo").bakes(&base), base, "a capture of a capture has it still");
        let later = script("# sim: baked unhealthy after=1m\n# sim: unhealthy after=1s").bakes(&base);
        assert_eq!(later, Constitution { unhealthy_ms: Some(60_000), ..first });
        assert!(script("# sim: baked well").bakes(&base).is_plain());
    }
}
