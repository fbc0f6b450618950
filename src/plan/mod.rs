//! The planner: from what is wanted, remembered and seen to the steps that lead from here to there.
//!
//! It is pure: it knows no clock, file, environment or thread, and two equal inputs give two equal plans. Blocks are
//! planned in the order of their needs; each leaves what the next has to know in the [`draft`]. What goes is planned
//! last, for it waits for whoever uses it. Then [`quota`] puts the steps in an order that fits, and [`check`] looks at
//! the result with other eyes.

mod asked;
mod changes;
mod check;
mod draft;
pub mod estimate;
mod facts;
pub mod file;
mod fits;
mod fleets;
mod floor;
mod guard;
mod images;
mod input;
mod lineage;
mod lookups;
mod merge;
mod order;
pub mod orphans;
mod outside;
mod promoted;
mod quota;
mod received;
mod refresh;
mod revoked;
mod rollout;
mod scope;
mod shares;
mod sound;
mod steps;
mod suggest;
pub mod tree;
mod types;

use std::collections::BTreeSet;

pub use check::check;
pub use facts::{Moved, known_now};
pub use input::{Asked, Options, PlanInput, Scope, Upgrade, VISIBLE_MS};
pub use promoted::{candidates, offers};
pub use scope::looked_at;
pub use types::*;

use crate::diagnostic::{Diagnostic, codes};
use crate::graph::Blocks;
use crate::model::addr::{Block, Kind};
use crate::model::desired::{Desired, Image};
use crate::model::ids::{InstanceType, Zone};
use crate::model::recorded::{Origin, Recorded};
use draft::Draft;
use scope::Covered;

/// Makes a plan.
///
/// # Errors
/// Everything that is wrong with the config in the light of what was seen, and everything that cannot be reached from
/// here; the class of each fault decides the exit code. Where a small change of the config would help, the fault says
/// so, and that change was planned with.
pub fn plan(input: &PlanInput<'_>) -> Result<Plan, Vec<Diagnostic>> {
    attempt(input).map_err(|refused| suggest::with_help(input, refused))
}

/// Why there is no plan.
struct Refused {
    faults: Vec<Diagnostic>,
    /// Blocks that take what there is too little of.
    blocks: BTreeSet<Block>,
}

impl From<Vec<Diagnostic>> for Refused {
    fn from(faults: Vec<Diagnostic>) -> Self {
        Self { faults, blocks: BTreeSet::new() }
    }
}

/// A config in which everything is gone.
#[must_use]
pub fn nothing_of(desired: &Desired) -> Desired {
    let Desired { project, env, cloud, trusted_owners, images: _, shares: _, fleets: _, digest } = desired.clone();
    Desired {
        project,
        env,
        cloud,
        digest,
        trusted_owners,
        images: std::collections::BTreeMap::new(),
        shares: std::collections::BTreeMap::new(),
        fleets: std::collections::BTreeMap::new(),
    }
}

fn attempt(input: &PlanInput<'_>) -> Result<Plan, Refused> {
    let desired = input.desired;
    let origin = Origin {
        endpoint: desired.cloud.provider.endpoint().to_owned(),
        account: desired.cloud.account.clone(),
        project: desired.project.clone(),
    };
    check_origin(input.recorded, &origin)?;
    if input.options.refresh_only {
        return refresh::plan(input, origin);
    }
    let graph = Blocks::of(desired);
    let covered = Covered::closed(&input.options.asked.scope, desired, input.recorded, &graph);
    let missing = asked::check(input, &covered);
    if !missing.is_empty() {
        return Err(missing.into());
    }
    let Some(order) = graph.order() else { return Err(vec![cycle(&graph)].into()) };
    let mut draft = Draft::new(input, covered);
    lookups::public_images(&mut draft);
    received::images(&mut draft);
    promoted::images(&mut draft);
    for block in order {
        if graph.needs(block).any(|needed| draft.left_out.contains(needed)) {
            draft.left_out.insert(block.clone());
        }
        if draft.covered.block(block) && !draft.left_out.contains(block) {
            one_block(&mut draft, desired, block);
        }
    }
    fleets::leftovers(&mut draft);
    images::builders_left(&mut draft);
    rollout::terminate_going(&mut draft);
    images::retain_in_use(&mut draft);
    shares::leftovers(&mut draft);
    images::leftovers(&mut draft);
    received::settle(&mut draft);
    revoked::tell(&mut draft);
    guard::tell(&mut draft);
    scope::tell(&mut draft);
    let edges = edges(&draft, &graph);
    let peaks = quota::fit(&mut draft);
    let Draft {
        steps,
        mut changes,
        drift,
        lookups,
        mut faults,
        notes,
        mut assumptions,
        stock,
        crowded: blocks,
        dues,
        rollouts,
        ..
    } = draft;
    assumptions.extend(stock.iter().map(in_stock));
    if !faults.is_empty() {
        faults.extend(notes);
        return Err(Refused { faults, blocks });
    }
    let steps = order::renumber(merge::calls(steps), &mut changes);
    changes.sort_by(|a, b| a.addr.cmp(&b.addr));
    changes.shrink_to_fit();
    let plan = Plan {
        format: FORMAT,
        lineage: input.recorded.lineage.clone(),
        serial: input.recorded.serial,
        origin,
        env: desired.env.clone(),
        config_digest: desired.digest,
        as_of_ms: input.as_of_ms,
        destroy: input.options.destroy,
        from_memory: input.options.from_memory,
        refresh_only: false,
        scope: input.options.asked.scope.clone(),
        lookups,
        changes,
        drift,
        assumptions: if steps.is_empty() { Vec::new() } else { assumptions.into_iter().collect() },
        steps,
        edges,
        rollouts,
        peaks,
        floor: Some(dues.floor()),
        notes,
    };
    let wrong = check(&plan, input);
    if wrong.is_empty() { Ok(plan) } else { Err(wrong.into()) }
}

fn in_stock((instance_type, zones): (&InstanceType, &BTreeSet<Zone>)) -> String {
    let zones: Vec<&str> = zones.iter().map(Zone::as_str).collect();
    match zones.split_last() {
        Some((last, others)) if !others.is_empty() => {
            format!("{instance_type} is in stock in {} and {last}", others.join(", "))
        }
        _ => format!("{instance_type} is in stock in {}", zones.join(", ")),
    }
}

/// What needs what from now on: of what is left out, as before.
fn edges(draft: &Draft<'_>, graph: &Blocks) -> BTreeSet<(Block, Block)> {
    let planned = |block: &Block| draft.covered.block(block) && !draft.left_out.contains(block);
    let whole = |block: &Block| planned(block) && draft.objects_of(block).iter().all(|row| draft.plans_row(row));
    let now = graph.blocks().filter(|block| planned(block));
    let now = now.flat_map(|block| graph.needs(block).map(|needed| (block.clone(), needed.clone())));
    let Some(_) = draft.input.options.asked.scope.named() else { return now.collect() };
    now.chain(draft.input.recorded.edges.iter().filter(|(block, _)| !whole(block)).cloned()).collect()
}

fn one_block<'a>(draft: &mut Draft<'a>, desired: &'a Desired, block: &Block) {
    match block.kind {
        Kind::Image => {
            if let Some((name, Image::Managed(image))) = desired.images.get_key_value(&block.name) {
                images::managed(draft, name, image);
            }
        }
        Kind::Share => {
            if let Some((name, share)) = desired.shares.get_key_value(&block.name) {
                shares::share(draft, name, share);
            }
        }
        Kind::Fleet => {
            if let Some((name, fleet)) = desired.fleets.get_key_value(&block.name) {
                fleets::fleet(draft, name, fleet);
            }
        }
    }
}

fn cycle(graph: &Blocks) -> Diagnostic {
    let path = graph.cycles().into_iter().next().unwrap_or_default();
    let names: Vec<String> = path.iter().chain(path.first()).map(ToString::to_string).collect();
    Diagnostic::error(codes::CYCLE, format!("blocks depend on each other in a circle: {}", names.join(" → ")))
        .help("take one of these references out, for example by building on another image")
}

/// A state of another cloud is refused: all would seem to have vanished.
fn check_origin(recorded: &Recorded, origin: &Origin) -> Result<(), Vec<Diagnostic>> {
    let Some(recorded) = recorded.origin.as_ref().filter(|recorded| *recorded != origin) else { return Ok(()) };
    let differ = [
        ("endpoint", &recorded.endpoint, &origin.endpoint),
        ("account", &recorded.account.as_str().to_owned(), &origin.account.as_str().to_owned()),
        ("project", &recorded.project.as_str().to_owned(), &origin.project.as_str().to_owned()),
    ]
    .iter()
    .filter(|(_, state, config)| state != config)
    .map(|(what, state, config)| format!("{what} {state:?} in the state, {config:?} in the config"))
    .collect::<Vec<_>>();
    Err(vec![
        Diagnostic::error(codes::OTHER_CLOUD, "the state is not of this cloud, account or project")
            .why(differ.join("; "))
            .why("planning with it would read as if everything had vanished")
            .help("destroy with the old config first, or choose another environment with -e NAME"),
    ])
}
