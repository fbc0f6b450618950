//! What `strategy: auto` is for a fleet.

use super::{Rolling, Work, power, refused};
use crate::diff::Takes;
use crate::model::desired::Strategy;
use crate::model::spec::Login;
use crate::model::update::AtOnce;
use crate::plan::draft::Draft;

/// Which strategy `auto` is for these slots, and why: what keeps more of them where that matters, else what is faster.
pub(super) fn choose(draft: &mut Draft<'_>, rolling: &Rolling<'_>, works: &[Work<'_>]) -> (Strategy, String) {
    let fleet = rolling.fleet;
    let rebuilt: Vec<&Work<'_>> =
        works.iter().filter(|work| work.diff.takes(Takes::Rebuild) || work.diff.reset_failed).collect();
    let slots = rebuilt.len();
    let AtOnce { surge, down } = fleet.update.at_once(fleet.count);
    let replace = |why: &str| (Strategy::Replace, why.to_owned());
    if down == 0 {
        return replace("an instance is out of service while it is reset, and none may be");
    }
    if fleet.login == Login::Unset {
        return replace("a reset would leave nobody a way to log in");
    }
    if rebuilt.iter().any(|work| refused::bars_reset(draft, rolling, work)) {
        return replace("the cloud does not reset these instances to that");
    }
    let keeps = |what: &str| (Strategy::Reset, format!("{what}, which new instances would not have"));
    if rebuilt.iter().any(|work| !work.seen.data_disks.is_empty()) {
        return keeps("the data disks stay");
    }
    if rebuilt.iter().any(|work| work.seen.charge_type == power::PREPAID) {
        return keeps("what was paid for in advance stays");
    }
    let pace = draft.input.pace;
    let rounds = |at_once: u32| slots.div_ceil(usize::try_from(at_once.max(1)).unwrap_or(usize::MAX));
    let round_ms = if surge > 0 { pace.launch_ms } else { pace.launch_ms + pace.terminate_ms };
    let (reset_rounds, replace_rounds) = (rounds(down), rounds(surge.saturating_add(down)));
    let ms = |rounds: usize, each: i64| i64::try_from(rounds).unwrap_or(i64::MAX).saturating_mul(each);
    let (reset_ms, replace_ms) = (ms(reset_rounds, pace.reset_ms), ms(replace_rounds, round_ms));
    let told = |calls: usize, ms: i64| format!("{calls} calls and about {} s", ms / 1000);
    let (reset, replaced) = (told(slots, reset_ms), told(2 * replace_rounds, replace_ms));
    if reset_ms < replace_ms {
        (Strategy::Reset, format!("{reset}, where new instances take {replaced}; what is on the system disks is lost"))
    } else {
        let lost = "ids and addresses change, and what is on the disks is lost";
        (Strategy::Replace, format!("{replaced}, where resets take {reset}; {lost}"))
    }
}
