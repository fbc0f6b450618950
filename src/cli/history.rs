//! `fleetwright history` and `fleetwright history prune`.

use super::args::{HistoryArgs, PruneArgs};
use super::{Exit, Shell};
use crate::model::Millis;
use crate::ops::{self, Problem, Prune, Site};
use crate::report::history;
use crate::store::Pruned;

pub(super) fn run(shell: &mut Shell<'_>, site: &Site, args: &HistoryArgs) -> Result<Exit, Problem> {
    let most = args.limit as usize;
    let mut told = ops::history(site, most)?;
    let older = told.len().saturating_sub(most);
    told.truncate(most);
    let text = if shell.json {
        history::json(&told, older)
    } else {
        history::text(&told, older, &shell.again("show", site), shell.out)
    };
    shell.print(&text);
    Ok(Exit::Done)
}

pub(super) fn prune(shell: &mut Shell<'_>, site: &Site, args: &PruneArgs) -> Result<Exit, Problem> {
    let wish = match (args.keep, args.older_than) {
        (_, Some(ms)) => Prune::OlderThan(ms),
        (Some(keep), None) => Prune::Keep(keep),
        (None, None) => Prune::Keep(u32::MAX),
    };
    let told = ops::history(site, 0)?;
    let Some(before) = ops::stays_from(&told, wish, site.clock.now_ms()) else {
        let nothing = Pruned { runs: 0, operations: 0, plans: 0, stays: None };
        let text = if shell.json {
            history::pruned_json(&nothing)
        } else {
            "Nothing was deleted: there are no runs that old.\n".to_owned()
        };
        shell.print(&text);
        return Ok(Exit::Done);
    };
    let going: Vec<i64> = told.iter().map(|told| told.row.id.0).filter(|id| *id < before.0).collect();
    let named = match going.as_slice() {
        [] => return Ok(Exit::Done),
        [one] => format!("Run {one}"),
        [newest, .., oldest] => format!("Runs {oldest} to {newest}"),
    };
    if !args.auto_approve {
        let question = format!(
            "{named} would be deleted from the history, with plans and operations; what exists stays as it is.\n\
             To delete them for ever, type `yes`: "
        );
        let command = format!("history prune {}", typed(args));
        if !shell.approved(site, &command, &question)? {
            shell.say("Not approved; nothing was deleted.\n");
            return Ok(Exit::Failed);
        }
    }
    let pruned = ops::prune(site, before, shell)?;
    let text = if shell.json { history::pruned_json(&pruned) } else { history::pruned(&pruned, shell.out) };
    shell.print(&text);
    Ok(Exit::Done)
}

fn typed(args: &PruneArgs) -> String {
    match (args.keep, args.older_than) {
        (_, Some(ms)) => format!("--older-than {}s", ms / 1000),
        (Some(keep), None) => format!("--keep {keep}"),
        (None, None) => String::new(),
    }
}

/// How old something is: `30d`, `12h`, `90m`, `2w`.
pub(super) fn age(text: &str) -> Result<Millis, String> {
    span(text, "30d")
}

/// How long something may take: `30s`, `10m`.
pub(super) fn time(text: &str) -> Result<Millis, String> {
    span(text, "10m")
}

fn span(text: &str, example: &str) -> Result<Millis, String> {
    const SECOND: Millis = 1000;
    let rule = || format!("a number and a unit (s, m, h, d, w), such as `{example}`");
    let unit = text.chars().next_back().ok_or_else(rule)?;
    let ms = match unit {
        's' => SECOND,
        'm' => 60 * SECOND,
        'h' => 3600 * SECOND,
        'd' => 24 * 3600 * SECOND,
        'w' => 7 * 24 * 3600 * SECOND,
        _ => return Err(rule()),
    };
    let digits = &text[..text.len() - unit.len_utf8()];
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(rule());
    }
    digits.parse::<Millis>().ok().and_then(|number| number.checked_mul(ms)).ok_or_else(rule)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_has_a_unit() {
        for (text, ms) in [("0s", 0), ("90m", 5_400_000), ("12h", 43_200_000), ("30d", 2_592_000_000)] {
            assert_eq!(age(text), Ok(ms));
        }
        assert_eq!(age("2w"), age("14d"));
        for text in ["", "d", "30", "-1d", "1.5h", "3 d", "30d ", "9223372036854775807w", "1日"] {
            age(text).expect_err(text);
        }
    }
}
