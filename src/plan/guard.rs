//! What is protected is neither destroyed nor replaced, reset or moved: who would do it is refused, and told what to do.

use std::collections::{BTreeMap, BTreeSet};

use super::draft::Draft;
use crate::diagnostic::{Diagnostic, codes};
use crate::model::addr::{Addr, Block};
use crate::model::desired::Desired;
use crate::model::observed::Instance;
use crate::model::recorded::Object;
use crate::model::spec::ObjectSpec;

/// What would become of a protected instance.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Act {
    Destroyed,
    Replaced,
    Reset,
    Moved,
}

impl Act {
    fn word(self) -> &'static str {
        match self {
            Self::Destroyed => "destroyed",
            Self::Replaced => "replaced",
            Self::Reset => "reset",
            Self::Moved => "moved to another zone",
        }
    }
}

/// Who protects it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum By {
    /// `protect: true` in the config.
    Config,
    /// `protect: true` in the state, and the block is gone from the config.
    State,
    /// Somebody who switched DisableApiTermination on.
    Other,
}

/// What the guard says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// It may be done.
    Free,
    /// It may be done, once the cloud no longer protects it.
    Unprotect,
    /// It is refused; the fault is noted.
    Refused,
}

/// Refusals, gathered so that each is told once for all slots that it concerns.
pub(super) type Refusals = BTreeMap<(Block, Act, By), BTreeSet<(Addr, String)>>;

/// Asks whether something may be done to an instance. A block that says `protect: false` says so for the whole plan: the
/// protection that the state remembers is switched off first. `declared` is `None` where there is no block any more.
pub(super) fn ask(
    draft: &mut Draft<'_>,
    row: &Object,
    seen: Option<&Instance>,
    declared: Option<bool>,
    act: Act,
) -> Verdict {
    let recorded = matches!(row.spec.as_ref(), ObjectSpec::Slot(spec) if spec.protect);
    let refused_by_cloud = seen.is_some_and(|seen| seen.protected);
    let by = match (declared, recorded) {
        (Some(true), _) => By::Config,
        (None, true) => By::State,
        (Some(false), true) => return if refused_by_cloud { Verdict::Unprotect } else { Verdict::Free },
        // The cloud's protection is against termination only.
        (Some(false) | None, false) if refused_by_cloud && act != Act::Reset => By::Other,
        (Some(false) | None, false) => return Verdict::Free,
    };
    let key = (row.addr.block.clone(), act, by);
    draft.refusals.entry(key).or_default().insert((row.full_addr(), row.cloud_id.as_str().to_owned()));
    Verdict::Refused
}

/// Turns what was refused into faults.
pub(super) fn tell(draft: &mut Draft<'_>) {
    for ((block, act, by), things) in std::mem::take(&mut draft.refusals) {
        let addrs = folded(&block, &things);
        let id = match things.first() {
            Some((_, id)) if things.len() == 1 => format!(" ({id})"),
            Some(_) | None => String::new(),
        };
        let whose = if by == By::Other { "the cloud protects it against termination" } else { "it is protected" };
        let fault = Diagnostic::error(codes::PROTECTED, format!("{addrs}{id} would be {}, but {whose}", act.word()));
        let path = Desired::path(block.kind, &block.name);
        draft.faults.push(match by {
            By::Config => fault
                .at(path.key("protect"))
                .why("the config says `protect: true`")
                .help("set `protect: false`, apply, and then make the change"),
            By::State if draft.input.options.destroy => fault
                .why(format!("{block} was applied with `protect: true`"))
                .help(format!("set `protect: false` in {path}, apply, and then destroy it")),
            By::State => fault
                .why(format!("{block} was applied with `protect: true`, and its block is no longer in the config"))
                .help("put the block back with `protect: false`, apply, and then remove it"),
            By::Other => fault
                .why("somebody switched DisableApiTermination on")
                .help("switch it off in the console, or keep what the config had"),
        });
    }
}

/// `fleet.web[0..4,7]`: slots of the first generation folded, others as they are.
fn folded(block: &Block, things: &BTreeSet<(Addr, String)>) -> String {
    let plain = |addr: &Addr| addr.slot.filter(|slot| *addr == Addr::slot(block.clone(), *slot).generation(1));
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for slot in things.iter().filter_map(|(addr, _)| plain(addr)) {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == slot => *last = slot,
            _ => ranges.push((slot, slot)),
        }
    }
    let range = |(first, last): &(u32, u32)| match last - first {
        0 => first.to_string(),
        1 => format!("{first},{last}"),
        _ => format!("{first}..{last}"),
    };
    let mut texts = Vec::new();
    if !ranges.is_empty() {
        texts.push(format!("{block}[{}]", ranges.iter().map(range).collect::<Vec<_>>().join(",")));
    }
    texts.extend(things.iter().filter(|(addr, _)| plain(addr).is_none()).map(|(addr, _)| addr.to_string()));
    texts.join(", ")
}
