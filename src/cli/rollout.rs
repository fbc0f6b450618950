//! `fleetwright rollout`.

use super::args::{RolloutArgs, RolloutCommand};
use super::{Exit, Shell, apply};
use crate::ops::{self, Problem, RolloutTold, Say, Saying, Site};
use crate::report::rollout::{self, Heard, Said, Told};

pub(super) fn run(shell: &mut Shell<'_>, site: &Site, command: &RolloutCommand) -> Result<Exit, Problem> {
    match command {
        RolloutCommand::Status { fleet } => status(shell, site, fleet.as_deref()),
        RolloutCommand::Pause { fleet } => say(shell, site, &Saying::to(fleet, Say::Pause)?),
        RolloutCommand::Abort { fleet, lock: _ } => say(shell, site, &Saying::to(fleet, Say::Abort)?),
        RolloutCommand::Resume(args) => go_on(shell, site, args, Say::Resume),
        RolloutCommand::Promote(args) => go_on(shell, site, args, Say::Promote),
        RolloutCommand::Rollback(args) => go_on(shell, site, args, Say::Rollback),
    }
}

fn told(rollout: &RolloutTold) -> Told<'_> {
    let RolloutTold { row, zones, wish, lease, way_back } = rollout;
    Told { row, zones, wish: wish.as_ref(), lease: lease.as_ref(), way_back: *way_back }
}

fn status(shell: &mut Shell<'_>, site: &Site, fleet: Option<&str>) -> Result<Exit, Problem> {
    let rollouts = ops::rollouts(site, fleet)?;
    let told: Vec<Told<'_>> = rollouts.iter().map(told).collect();
    let text = if shell.json {
        rollout::json(&told, None)
    } else {
        rollout::text(&told, &|verb| site.command(verb), site.clock.now_ms(), shell.out)
    };
    shell.print(&text);
    Ok(Exit::Done)
}

/// Says it, and does nothing else.
fn say(shell: &mut Shell<'_>, site: &Site, saying: &Saying) -> Result<Exit, Problem> {
    let heard = ops::say(site, saying, shell)?;
    let (came, run, row, lease) = match &heard {
        ops::Heard::Changed { run, row } => (Heard::Changed, Some(run.0), row, None),
        ops::Heard::Already(row) => (Heard::Already, None, row, None),
        ops::Heard::Wished { row, lease } => (Heard::Wished, None, row, Some(lease.as_ref())),
    };
    let said = Said { word: saying.say.word(), heard: came, run };
    let text = if shell.json {
        let rollouts = ops::rollouts(site, Some(saying.block.name.as_str()))?;
        let told: Vec<Told<'_>> = rollouts.iter().map(told).collect();
        rollout::json(&told, Some(&said))
    } else {
        rollout::said(&said, row, lease, &|verb| site.command(verb), shell.out)
    };
    shell.print(&text);
    Ok(Exit::Done)
}

/// Says it, and applies what follows from it.
fn go_on(shell: &mut Shell<'_>, site: &Site, args: &RolloutArgs, what: Say) -> Result<Exit, Problem> {
    let RolloutArgs { fleet, no_apply, apply: args } = args;
    let saying = Saying::to(fleet, what)?;
    if *no_apply { say(shell, site, &saying) } else { apply::rollout(shell, site, args, saying) }
}
