//! `fleetwright drift --orphans`, and `--adopt`.

use super::args::DriftArgs;
use super::{Exit, Shell};
use crate::model::Millis;
use crate::ops::{self, Adopting, Problem, Site, TakingIn, Waiter};
use crate::plan::orphans::Adoption;
use crate::report::orphans::{self, Beside};
use crate::store::Lease;

const LOOK: &str = "drift --orphans";

pub(super) fn run(shell: &mut Shell<'_>, site: &Site, args: &DriftArgs) -> Result<Exit, Problem> {
    let DriftArgs { orphans: _, adopt, auto_approve, lock: _, reach: _ } = args;
    if adopt.is_empty() { look(shell, site) } else { take_in(shell, site, adopt, *auto_approve) }
}

fn look(shell: &mut Shell<'_>, site: &Site) -> Result<Exit, Problem> {
    let looked = ops::look_for_orphans(site)?;
    let found = looked.orphans()?;
    let beside = Beside { holder: looked.holder.as_ref(), open_operations: looked.open_operations() };
    if shell.json {
        shell.print_json(&orphans::json(&found, beside));
    } else {
        let text = orphans::text(&found, beside, &shell.again(LOOK, site), shell.out);
        shell.print(&text);
    }
    Ok(if found.counted().next().is_some() { Exit::Changes } else { Exit::Done })
}

fn take_in(shell: &mut Shell<'_>, site: &Site, words: &[String], auto_approve: bool) -> Result<Exit, Problem> {
    let claims = ops::claims(words)?;
    let command = words.iter().fold(LOOK.to_owned(), |command, word| match word.as_str() {
        "" => command + " --adopt",
        word => command + " --adopt=" + &ops::word(word),
    });
    let mut asking = Asking { shell, site, command, auto_approve };
    let adopting = ops::adopt(site, &claims, &mut asking)?;
    let Asking { shell, .. } = asking;
    let left = match &adopting {
        Adopting::Declined => {
            shell.say("Not approved; nothing was taken in.\n");
            return Ok(Exit::Failed);
        }
        Adopting::Nothing(adoption) => {
            if shell.json {
                shell.print(&orphans::adopted_json(adoption, None));
            } else {
                let look = shell.again(LOOK, site);
                shell.print(&orphans::nothing(adoption, &look));
            }
            adoption.left
        }
        Adopting::Adopted(run, adoption) => {
            if shell.json {
                shell.print(&orphans::adopted_json(adoption, Some(*run)));
            } else {
                let plan = shell.again("plan", site);
                let text = orphans::adopted(adoption, *run, &plan, shell.out);
                shell.print(&format!("\n{text}"));
            }
            adoption.left
        }
    };
    Ok(if left > 0 { Exit::Changes } else { Exit::Done })
}

/// Shows what would be taken in, and asks.
struct Asking<'s, 'w> {
    shell: &'s mut Shell<'w>,
    site: &'s Site,
    command: String,
    auto_approve: bool,
}

impl Waiter for Asking<'_, '_> {
    fn waits(&mut self, now: Millis, lease: &Lease, until: Millis) {
        self.shell.waits(now, lease, until);
    }
}

impl TakingIn for Asking<'_, '_> {
    fn approve(&mut self, adoption: &Adoption) -> Result<bool, Problem> {
        let Self { shell, site, command, auto_approve } = self;
        if shell.json {
            shell.say(&orphans::adopting(adoption, shell.talk));
        } else {
            shell.print(&orphans::adopting(adoption, shell.out));
        }
        Ok(*auto_approve || shell.approved(site, command, "\nTo take them in, type `yes`: ")?)
    }
}
