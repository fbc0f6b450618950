//! `fleetwright plan`.

use std::path::Path;

use super::args::{KindArgs, PlanArgs, Planning, ScopeArgs};
use super::{Exit, Shell};
use crate::ops::{self, Finding, PlanOptions, Planned, Problem, Site, Verdict};
use crate::plan::Asked;
use crate::report::doctor::Told;
use crate::report::plan_json::Beside;
use crate::report::plan_text::PlanOpts;
use crate::report::{doctor, outside, plan_json, plan_text};

pub(super) fn run(shell: &mut Shell<'_>, site: &Site, args: &PlanArgs) -> Result<Exit, Problem> {
    let planned = ops::plan(site, &options(shell, &args.planning, &args.kind)?)?;
    let findings = if args.preflight { Some(ops::preflight(site, &planned)?) } else { None };
    show(shell, &planned, findings.as_deref());
    if let Some(file) = &args.out {
        ops::write_plan(site, file, &planned.plan)?;
        if !shell.json {
            let command = ops::apply_command(site, file);
            shell.print(&format!("\nThe plan is saved. To carry out just this one:\n  {command}\n"));
        }
    }
    if findings.is_some_and(|findings| findings.iter().any(|finding| finding.verdict == Verdict::Bad)) {
        return Ok(Exit::Infeasible);
    }
    let changes = args.detailed_exitcode && !planned.plan.is_empty();
    Ok(if changes { Exit::Changes } else { Exit::Done })
}

/// What the arguments ask for.
pub(super) fn options(shell: &Shell<'_>, planning: &Planning, kind: &KindArgs) -> Result<PlanOptions, Problem> {
    let Planning { cancel_undeclared_shares, refresh, parallelism: _, reach: _ } = planning;
    let KindArgs { scope: ScopeArgs { target, exclude }, destroy, refresh_only, replace, upgrade, retry } = kind;
    Ok(PlanOptions {
        destroy: *destroy,
        refresh_only: *refresh_only,
        asked: Asked { scope: ops::scope(target, exclude)?, ..ops::asked(replace, upgrade, retry)? },
        cancel_undeclared_shares: *cancel_undeclared_shares,
        from_memory: !refresh,
        texts: !shell.json && shell.world.terminals.stdout,
    })
}

/// `fleetwright drift`: what a refresh would find, and nothing else.
pub(super) fn drift(shell: &mut Shell<'_>, site: &Site) -> Result<Exit, Problem> {
    let planned = ops::plan(site, &PlanOptions { refresh_only: true, ..PlanOptions::default() })?;
    if shell.json {
        shell.print_json(&plan_json::plan(&planned.plan, Beside { estimate: None, ..beside(&planned) }));
    } else {
        shell.diagnostics(&planned.plan.notes, &planned.config.sources);
        let [plan_it, learn_it] = ["plan", "refresh"].map(|verb| shell.again(verb, site));
        let text = outside::outside(&planned.plan, [&plan_it, &learn_it], shell.out);
        shell.print(&text);
    }
    Ok(if planned.plan.drift.is_empty() { Exit::Done } else { Exit::Changes })
}

/// What programs are told beside a plan.
pub(super) fn beside(planned: &Planned) -> Beside<'_> {
    Beside {
        estimate: planned.estimate.as_ref(),
        warnings: Some((&planned.config.warnings, &planned.config.sources)),
        preflight: None,
    }
}

/// The plan to standard output, with what the cloud said about it where it was asked; warnings and notes beside it.
pub(super) fn show(shell: &mut Shell<'_>, planned: &Planned, findings: Option<&[Finding]>) {
    let told: Option<Vec<Told<'_>>> = findings.map(|findings| findings.iter().map(super::doctor::told).collect());
    let Planned { plan, config, texts, estimate, .. } = planned;
    let mut notes = config.warnings.clone();
    notes.extend(plan.notes.iter().cloned());
    if shell.json {
        shell.print_json(&plan_json::plan(plan, Beside { preflight: told.as_deref(), ..beside(planned) }));
        return;
    }
    shell.diagnostics(&notes, &config.sources);
    let opts = PlanOpts { texts: texts.clone(), estimate: estimate.clone(), verbose: shell.verbose };
    let mut text = plan_text::plan(plan, shell.out, &opts);
    if let Some(told) = told {
        text.push_str(&format!("\nPreflight:\n\n{}", doctor::text(&told, shell.out)));
    }
    shell.print(&text);
}

/// A saved plan that is about to be carried out: it was shown when it was made.
pub(super) fn begin(shell: &mut Shell<'_>, planned: &Planned) {
    if shell.json {
        shell.print_json(&plan_json::plan(&planned.plan, Beside::default()));
        return;
    }
    shell.diagnostics(&planned.plan.notes, &planned.config.sources);
    let text = plan_text::closing_line(&planned.plan, shell.out);
    shell.print(&text);
}

/// A saved plan, as it was shown when it was made.
pub(super) fn show_saved(shell: &mut Shell<'_>, site: &Site, file: &Path) -> Result<Exit, Problem> {
    let plan = ops::read_plan(site, file)?;
    if shell.json {
        shell.print_json(&plan_json::plan(&plan, Beside::default()));
    } else {
        let text = plan_text::plan(&plan, shell.out, &PlanOpts::default());
        shell.print(&text);
    }
    Ok(Exit::Done)
}
