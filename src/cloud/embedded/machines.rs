//! What the simulated machines do: nothing, but what script lines in their user data say. The lines are comments to a
//! real machine. Durations are meant as they stand, at every pace of the cloud.
//!
//! - `# sim: boot=20s`: it takes so long from RUNNING until the machine has booted, and user data is run.
//! - `# sim: poweroff after=40s`: so long after it has booted (without a boot line: after RUNNING) it switches itself
//!   off. It is STOPPED from that moment on.
//! - `# sim: unhealthy after=30s`: so long after it has booted it is no longer healthy.
//! - `# sim: tag built=yes after=30s`: so long after it has booted it has put that tag on itself. Whoever reads the instance
//!   sees it; nothing is found by it.
//!
//! User data is run when a machine first boots, and after a reset; not when it is started again.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::model::Millis;

/// What a machine's user data has it do.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Script {
    pub(crate) boot_ms: Millis,
    pub(crate) poweroff_ms: Option<Millis>,
    pub(crate) unhealthy_ms: Option<Millis>,
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

impl Script {
    /// Reads the lines out of user data in base64.
    pub(crate) fn of(user_data: Option<&str>) -> Self {
        let Some(bytes) = user_data.and_then(|text| STANDARD.decode(text).ok()) else { return Self::default() };
        let mut script = Self::default();
        for line in String::from_utf8_lossy(&bytes).lines() {
            let Some(rest) = line.trim().strip_prefix('#').map(str::trim) else { continue };
            let Some(order) = rest.strip_prefix("sim:").map(str::trim) else { continue };
            let (word, value) = order.rsplit_once('=').unwrap_or((order, ""));
            let Some(ms) = duration(value.trim()) else { continue };
            match word.split_whitespace().collect::<Vec<_>>().as_slice() {
                ["boot"] => script.boot_ms = ms,
                ["poweroff", "after"] => script.poweroff_ms = Some(ms),
                ["unhealthy", "after"] => script.unhealthy_ms = Some(ms),
                ["tag", tag, "after"] => {
                    let tag = tag.split_once('=').filter(|(key, _)| !key.is_empty());
                    script.tag = tag.map(|(key, value)| ScriptTag {
                        key: key.to_owned(),
                        value: value.to_owned(),
                        after_ms: ms,
                    });
                }
                _ => {}
            }
        }
        script
    }

    /// When a machine that runs from `running` on switches itself off.
    pub(crate) fn off_at(&self, running: Millis) -> Option<Millis> {
        self.poweroff_ms.map(|after| running + self.boot_ms + after)
    }
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
        let wanted = Script { boot_ms: 20_000, poweroff_ms: Some(120_000), unhealthy_ms: Some(250), tag: None };
        assert_eq!(script, wanted);
        let nameless = Script::of(Some(&STANDARD.encode("# sim: tag =x after=1s")));
        assert_eq!(nameless.tag, None);
        let tag = Script::of(Some(&STANDARD.encode("# sim: tag built=yes after=30s"))).tag;
        assert_eq!(tag, Some(ScriptTag { key: "built".to_owned(), value: "yes".to_owned(), after_ms: 30_000 }));
        assert_eq!(script.off_at(5), Some(140_005));
        assert_eq!(Script::of(None), Script::default());
        assert_eq!(Script::of(Some("not base64!")), Script::default());
    }
}
