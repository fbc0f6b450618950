//! `plan --preflight`: asks the cloud about a plan what can be asked without changing anything. What it would take now,
//! whether types are sold, how full quotas get; and what cannot be asked.

use std::collections::{BTreeMap, BTreeSet};

use super::doctor::{Finding, Verdict};
use super::lock::interrupted;
use super::prices::ask;
use super::{Planned, Problem, Site};
use crate::cloud::call::{Body, Call, Fault, Query, Reply, Sold};
use crate::model::ids::{InstanceType, Region, Zone};
use crate::plan::estimate::Estimate;
use crate::plan::{Do, Peak, Plan, Step};

/// The most zones, and types, of one question (API text 3.13).
const MOST_VALUES: usize = 100;

/// Asks the cloud about a plan. It changes nothing.
///
/// # Errors
/// Somebody wants it to stop.
pub fn preflight(site: &Site, planned: &Planned) -> Result<Vec<Finding>, Problem> {
    let Planned { plan, estimate, .. } = planned;
    let mut findings: Vec<Finding> = plan.peaks.iter().map(quota).collect();
    interrupted(site, "before the cloud was asked about the plan")?;
    findings.extend(stock(site, planned));
    interrupted(site, "while the cloud was asked about the plan")?;
    findings.extend(dry_runs(site, planned));
    findings.extend(estimate.as_ref().map(price));
    Ok(findings)
}

/// How full a quota gets; the plan has read it just now.
fn quota(peak: &Peak) -> Finding {
    let Peak { resource, before, peak, after: _, limit } = peak;
    let says = format!("{resource}: {before} of {limit} now, {peak} at the plan's worst moment");
    let verdict = if peak == limit && peak > before { Verdict::Doubtful } else { Verdict::Good };
    Finding::new(verdict, "quota", says)
}

/// The launches of a plan.
fn launches(plan: &Plan) -> impl Iterator<Item = (&Call, &crate::cloud::call::Launch)> {
    plan.steps.iter().filter_map(|step| {
        let Do::Call(call) = &step.does else { return None };
        let Body::RunInstances(launch) = &call.body else { return None };
        Some((call, &**launch))
    })
}

/// Whether what is launched is sold: one question a region.
fn stock(site: &Site, planned: &Planned) -> Vec<Finding> {
    let mut wanted: BTreeMap<Region, BTreeSet<(Zone, InstanceType, &'static str)>> = BTreeMap::new();
    for (call, launch) in launches(&planned.plan) {
        let what = (launch.zone.clone(), launch.instance_type.clone(), launch.charge.word());
        wanted.entry(call.region.clone()).or_default().insert(what);
    }
    let account = &planned.config.desired.cloud.account;
    let mut calls = Vec::new();
    for (region, wanted) in &wanted {
        let zones: Vec<Zone> =
            wanted.iter().map(|(zone, ..)| zone.clone()).collect::<BTreeSet<_>>().into_iter().collect();
        let types: BTreeSet<InstanceType> = wanted.iter().map(|(_, instance_type, _)| instance_type.clone()).collect();
        let types: Vec<InstanceType> = types.into_iter().collect();
        for types in types.chunks(MOST_VALUES) {
            let query = Query::Stock { zones: zones.clone(), types: types.to_vec() };
            calls.push(Call { account: account.clone(), region: region.clone(), body: Body::Describe(query) });
        }
    }
    let mut stock: BTreeMap<(Zone, InstanceType, String), Sold> = BTreeMap::new();
    let mut findings = Vec::new();
    for (call, result) in ask(site, &planned.connected.cloud, calls) {
        match result.map(|answer| answer.reply) {
            Ok(Reply::Stock(told)) => stock.extend(told),
            Ok(_) => {}
            Err(fault) => {
                let says = format!("{} in {} did not work: {fault}", call.body.action(), call.region);
                findings.push(Finding::new(Verdict::Untried, "stock", says));
            }
        }
    }
    if !findings.is_empty() {
        return findings;
    }
    for (zone, instance_type, charge) in wanted.into_values().flatten() {
        let what = format!("{instance_type} in {zone}, {charge}");
        findings.push(match stock.get(&(zone, instance_type, charge.to_owned())) {
            Some(Sold { sells: true, category }) if category == "UnderStock" => {
                Finding::new(Verdict::Doubtful, "stock", format!("{what}: sold, and nearly out ({category})"))
            }
            Some(Sold { sells: true, category }) if category.is_empty() => {
                Finding::new(Verdict::Good, "stock", format!("{what}: sold"))
            }
            Some(Sold { sells: true, category }) => {
                Finding::new(Verdict::Good, "stock", format!("{what}: sold ({category})"))
            }
            Some(Sold { sells: false, .. }) => Finding::new(Verdict::Bad, "stock", format!("{what}: sold out"))
                .help("another zone or another type may do"),
            None => Finding::new(Verdict::Bad, "stock", format!("{what}: not offered"))
                .help("another zone, type or charge type may do"),
        });
    }
    findings
}

/// Why a step is not run dry.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Why {
    /// The cloud has no dry run of it.
    NoneThere,
    /// Something is to be done before it, and what it meets then is not there yet.
    TooEarly,
}

/// Steps that the cloud can run dry are run dry; of the others it is told why not.
fn dry_runs(site: &Site, planned: &Planned) -> Vec<Finding> {
    let mut calls: Vec<Call> = Vec::new();
    let mut left: BTreeMap<(Why, &'static str), usize> = BTreeMap::new();
    for step in &planned.plan.steps {
        let Do::Call(call) = &step.does else { continue };
        match runs_dry(step, call) {
            Ok(()) => {
                let body = Body::Describe(Query::DryRun(Box::new(call.body.clone())));
                calls.push(Call { body, ..call.clone() });
            }
            Err(why) => *left.entry((why, call.body.action())).or_default() += 1,
        }
    }
    let mut taken: BTreeMap<(&'static str, Region), usize> = BTreeMap::new();
    let mut refused: BTreeMap<(&'static str, Region, Option<String>), (usize, Fault)> = BTreeMap::new();
    for (call, result) in ask(site, &planned.connected.cloud, calls) {
        let action = call.body.action();
        match result {
            Ok(_) => *taken.entry((action, call.region)).or_default() += 1,
            Err(fault) => {
                let key = (action, call.region, fault.code.clone());
                refused.entry(key).or_insert_with(|| (0, fault)).0 += 1;
            }
        }
    }
    let times = |n: usize| if n == 1 { String::new() } else { format!(", {n} calls") };
    let mut findings = Vec::new();
    for ((action, region), n) in taken {
        let says = format!("{action} in {region}{}: the cloud would take it", times(n));
        findings.push(Finding::new(Verdict::Good, "dry run", says));
    }
    for ((action, region, _), (n, fault)) in refused {
        let says = format!("{action} in {region}{}: {fault}", times(n));
        findings.push(Finding::new(Verdict::Bad, "dry run", says).help("an apply would be refused in the same way"));
    }
    for ((why, action), n) in left {
        let why = match why {
            Why::NoneThere => "the cloud has no dry run of it",
            Why::TooEarly => "other steps come before it, and what it meets then is not there yet",
        };
        findings.push(Finding::new(Verdict::Untried, "dry run", format!("{action}{}: {why}", times(n))));
    }
    findings
}

fn runs_dry(step: &Step, call: &Call) -> Result<(), Why> {
    if !call.body.has_dry_run() {
        Err(Why::NoneThere)
    } else if !step.waits_for().is_empty() || !call.body.outputs().is_empty() {
        Err(Why::TooEarly)
    } else {
        Ok(())
    }
}

/// Whether the cloud told the price of everything.
fn price(estimate: &Estimate) -> Finding {
    if estimate.left_out.is_empty() {
        return Finding::new(Verdict::Good, "price", "the cloud tells the price of everything that is launched");
    }
    Finding::new(Verdict::Doubtful, "price", "the cloud does not tell the price of everything that is launched")
        .help("what the sum lacks stands below it, in the plan")
}
