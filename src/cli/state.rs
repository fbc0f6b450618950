//! `fleetwright state list`, `state show` and `state rm`.

use super::args::StateRmArgs;
use super::{Exit, Shell};
use crate::model::Millis;
use crate::model::recorded::Recorded;
use crate::ops::{self, Forgetting, Problem, Site, Waiter};
use crate::report::things::{self, Known};
use crate::report::{fold, state_text};
use crate::store::Lease;

pub(super) fn list(shell: &mut Shell<'_>, site: &Site, addr: Option<&str>) -> Result<Exit, Problem> {
    let recorded = match addr {
        Some(addr) => ops::recorded_at(site, &[addr.to_owned()])?,
        None => ops::recorded(site)?,
    };
    if shell.json {
        shell.print_json(&state_text::json(&recorded));
    } else {
        shell.print(&state_text::list(&recorded, shell.verbose));
    }
    Ok(Exit::Done)
}

pub(super) fn show(shell: &mut Shell<'_>, site: &Site, addr: &str) -> Result<Exit, Problem> {
    let found = ops::things(site, &[addr.to_owned()])?;
    let known: Vec<Known<'_>> = found
        .iter()
        .map(|ops::Thing { object, made_in, version }| Known { object, made_in: *made_in, version: version.as_ref() })
        .collect();
    let text = if shell.json { things::json(&known) } else { things::text(&known, shell.out) };
    shell.print(&text);
    Ok(Exit::Done)
}

pub(super) fn rm(shell: &mut Shell<'_>, site: &Site, args: &StateRmArgs) -> Result<Exit, Problem> {
    let command = format!("state rm {}", args.addresses.join(" "));
    let mut asking = Asking { shell, site, command, auto_approve: args.auto_approve, going: None };
    let forgotten = ops::forget(site, &args.addresses, &mut asking)?;
    let Asking { shell, going, .. } = asking;
    match (forgotten, going) {
        (Some(run), Some(state)) if shell.json => shell.print(&things::forgotten_json(&state, run)),
        (Some(run), Some(state)) => {
            let addrs: Vec<_> = state.objects.iter().map(|object| object.full_addr()).collect();
            shell.print(&format!("\nForgot {} (run {}).\n", fold::joined(&addrs), run.0));
        }
        _ => {
            shell.say("Not approved; nothing was forgotten.\n");
            return Ok(Exit::Failed);
        }
    }
    Ok(Exit::Done)
}

/// Shows what would be forgotten, and asks.
struct Asking<'s, 'w> {
    shell: &'s mut Shell<'w>,
    site: &'s Site,
    command: String,
    auto_approve: bool,
    going: Option<Recorded>,
}

impl Waiter for Asking<'_, '_> {
    fn waits(&mut self, now: Millis, lease: &Lease, until: Millis) {
        self.shell.waits(now, lease, until);
    }
}

impl Forgetting for Asking<'_, '_> {
    fn approve(&mut self, state: &Recorded) -> Result<bool, Problem> {
        let Self { shell, site, command, auto_approve, going } = self;
        if shell.json {
            shell.say(&things::forgetting(state, &site.env, shell.talk));
        } else {
            shell.print(&things::forgetting(state, &site.env, shell.out));
        }
        *going = Some(state.clone());
        Ok(*auto_approve || shell.approved(site, command, "\nTo forget them, type `yes`: ")?)
    }
}
