//! `fleetwright force-unlock`.

use super::args::UnlockArgs;
use super::{Exit, Shell};
use crate::diagnostic::{Diagnostic, SourceMap, codes};
use crate::ops::{self, Problem, Site};
use crate::report::lock;
use crate::store::{Fence, Holder, Lease};

pub(super) fn run(shell: &mut Shell<'_>, site: &Site, args: &UnlockArgs) -> Result<Exit, Problem> {
    let Some(lease) = ops::lease(site)? else { return Ok(nobody(shell, site)) };
    if let Some(named) = &args.holder
        && !names(named, &lease)
    {
        return Err(problem(other_holder(named, &lease)));
    }
    let now_ms = site.clock.now_ms();
    if shell.json {
        shell.say(&lock::text(&lease, now_ms, shell.talk));
    } else {
        shell.print(&lock::text(&lease, now_ms, shell.out));
    }
    if !args.auto_approve {
        let question = "\nIf that run is still going, it stops at its next write, and what it has sent is in doubt until\n\
                        the next apply settles it. To break the lock, type `yes`: ";
        let command = match &args.holder {
            Some(named) => format!("force-unlock {named}"),
            None => "force-unlock".to_owned(),
        };
        if !shell.approved(site, &command, question)? {
            shell.say("Not approved; the lock stays.\n");
            return Ok(Exit::Failed);
        }
    }
    if !ops::break_lock(site, lease.fence)? {
        // It was given back, or taken over, while a person was thinking.
        return match ops::lease(site)? {
            None => Ok(nobody(shell, site)),
            Some(now) => Err(problem(
                Diagnostic::error(
                    codes::LOCKED,
                    format!("{} holds the lock by now, and was not asked about", who(&now)),
                )
                .why("the lock changed hands; nothing was done")
                .help("run the same command again to see who holds it"),
            )),
        };
    }
    if shell.json {
        shell.print(&lock::json(Some(&lease), true));
    } else {
        let file = site.show(&site.state_file());
        shell.print(&format!(
            "The lock of {file} is broken. {} settles what that run left open, and plans anew.\n",
            format_args!("`{}`", shell.again("apply", site)),
        ));
    }
    Ok(Exit::Done)
}

fn nobody(shell: &mut Shell<'_>, site: &Site) -> Exit {
    let text = if shell.json {
        lock::json(None, false)
    } else {
        format!("Nobody holds the lock of {}; there is nothing to do.\n", site.show(&site.state_file()))
    };
    shell.print(&text);
    Exit::Done
}

/// Whether a text names the holder: `ada`, `ada@workbench`, the host, the process or the fence.
fn names(text: &str, lease: &Lease) -> bool {
    let Lease { holder: Holder { who, host, pid, started: _ }, since_ms: _, until_ms: _, fence: Fence(fence) } = lease;
    [who.clone(), host.clone(), format!("{who}@{host}"), pid.to_string(), fence.to_string()].contains(&text.to_owned())
}

fn who(lease: &Lease) -> String {
    let Holder { who, host, pid, started: _ } = &lease.holder;
    format!("{who} on {host} (process {pid}, fence {})", lease.fence.0)
}

fn other_holder(named: &str, lease: &Lease) -> Diagnostic {
    Diagnostic::error(codes::LOCKED, format!("the lock is not held by `{named}`: {} holds it", who(lease)))
        .why("nothing was done: you named another holder")
        .help(format!("if it is this one that is to lose it: fleetwright force-unlock {}", lease.fence.0))
}

fn problem(diagnostic: Diagnostic) -> Problem {
    Problem { diagnostics: vec![diagnostic], sources: SourceMap::default() }
}
