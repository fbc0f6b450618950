//! The verb `plan`: reads config, state and cloud, and plans. It takes no lock and writes nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::connect::{Connected, connect};
use super::load::{Config, files, load, state};
use super::lockfile::Lock;
use super::observe::{Sight, observe};
use super::prices::price;
use super::{Problem, Site, lockfile, promotions};
use crate::cloud::Cloud;
use crate::cloud::call::{Body, Call, Query, Reply};
use crate::cloud::observe::{Needs, add_remembered};
use crate::diagnostic::{Diagnostic, codes};
use crate::model::addr::{Block, Kind};
use crate::model::desired::Desired;
use crate::model::ids::{ImageId, Region};
use crate::model::pins::{Pin, PinKey, Pins};
use crate::model::promotion::{PromotedKey, PromotedPin, Promotions};
use crate::model::recorded::Recorded;
use crate::model::rollout::Rollout;
use crate::model::spec::ObjectSpec;
use crate::plan::estimate::Estimate;
use crate::plan::{Action, Asked, Do, Options, Pinned, Plan, PlanInput, Promoted, candidates, looked_at, nothing_of};
use crate::store::Stored;

/// What the command line asks for.
#[derive(Clone, Debug, Default)]
pub struct PlanOptions {
    /// Everything goes.
    pub destroy: bool,
    /// Only the state changes: it learns what the cloud has.
    pub refresh_only: bool,
    /// What is asked for of single things.
    pub asked: Asked,
    /// Shares that somebody else made do not keep an image.
    pub cancel_undeclared_shares: bool,
    /// Our own things are not looked at: they are taken to be as the state remembers them.
    pub from_memory: bool,
    /// Whether user data that changes is read back, so that a person can see the difference.
    pub texts: bool,
}

/// A plan, and what it was made from.
pub struct Planned {
    /// The plan.
    pub plan: Plan,
    /// The config.
    pub config: Config,
    /// User data that changes, by fleet: as it is, and as it will be.
    pub texts: BTreeMap<Block, (String, String)>,
    /// What it costs; `None` where it launches nothing, or was not asked.
    pub estimate: Option<Estimate>,
    pub(super) stored: Stored,
    pub(super) connected: Connected,
    pub(super) sight: Sight,
}

impl Planned {
    /// The rollout of a fleet, as the state has it that the plan was made from.
    #[must_use]
    pub fn rollout(&self, fleet: &Block) -> Option<&Rollout> {
        self.stored.recorded.rollouts.get(fleet)
    }

    /// How many instances a fleet is to have.
    #[must_use]
    pub fn count(&self, fleet: &Block) -> u32 {
        self.config.desired.fleets.get(&fleet.name).map_or(0, |fleet| fleet.count)
    }
}

/// Plans.
///
/// # Errors
/// All that is wrong with the config, or stands in the way.
pub fn plan(site: &Site, options: &PlanOptions) -> Result<Planned, Problem> {
    let files = files(site)?;
    let stored = state(site)?;
    let config = load(site, &files, &stored.recorded.lineage)?;
    let connected = connect(site, &config.desired.cloud, Arc::clone(&config.secrets), &stored.taught, false)?;
    plan_with(site, options, stored, config, connected)
}

/// Plans with a state and a cloud that are there already.
pub(super) fn plan_with(
    site: &Site,
    options: &PlanOptions,
    stored: Stored,
    config: Config,
    connected: Connected,
) -> Result<Planned, Problem> {
    let lock = lockfile::read(site)?;
    let desired = if options.destroy { nothing_of(&config.desired) } else { config.desired.clone() };
    let promotions = promotions::look(site, &desired, &lock)?;
    let pins = lock.public;
    let attempt = |sight: &Sight| {
        crate::plan::plan(&PlanInput {
            desired: &desired,
            recorded: &stored.recorded,
            observed: &sight.observed,
            limits: connected.limits,
            pace: connected.pace,
            pins: &pins,
            promotions: &promotions,
            as_of_ms: sight.observed.cloud_ms,
            options: Options {
                destroy: options.destroy,
                refresh_only: options.refresh_only,
                asked: &options.asked,
                cancel_undeclared_shares: options.cancel_undeclared_shares,
                from_memory: options.from_memory,
                visible_ms: connected.settle_ms,
                lag_ms: if connected.cloud.outlives_us() { connected.settle_ms } else { 0 },
            },
        })
    };
    let look = |needs| observe(site, &connected.cloud, needs);
    let part = looked_at(&options.asked.scope, options.refresh_only, &desired, &stored.recorded);
    let (wanted, known) = part.as_ref().map_or((&desired, &stored.recorded), |(wanted, known)| (wanted, known));
    let (sight, made) = if options.from_memory {
        let remember = |makes| {
            let mut needs = Needs::beside_memory(wanted, known, &pins, makes);
            if makes {
                add_candidates(&mut needs, wanted, &promotions);
            }
            let sight = look(needs)?;
            Ok::<Sight, Problem>(remembered(sight, site, &desired, &stored.recorded, &pins))
        };
        let sight = remember(false)?;
        let made = attempt(&sight);
        // What the cloud offers and allows is asked only where something is to be made.
        if made.as_ref().is_ok_and(|plan| !makes_something(plan)) {
            (sight, made)
        } else {
            let sight = remember(true)?;
            let made = attempt(&sight);
            (sight, made)
        }
    } else {
        let mut needs = if options.destroy || options.refresh_only {
            Needs::of_destroy(&desired.cloud, known)
        } else {
            Needs::of(wanted, known)
        };
        if !options.refresh_only {
            add_candidates(&mut needs, wanted, &promotions);
        }
        let sight = look(needs)?;
        let made = attempt(&sight);
        (sight, made)
    };
    let mut plan = match made {
        Ok(plan) => plan,
        Err(mut diagnostics) => {
            // What the built-in list only doubted, the cloud has decided.
            let decided = |warning: &Diagnostic| diagnostics.iter().any(|fault| fault.place == warning.place);
            let undecided: Vec<Diagnostic> =
                config.warnings.iter().filter(|warning| !decided(warning)).cloned().collect();
            diagnostics.splice(0..0, undecided);
            return Err(Problem { diagnostics, sources: config.sources });
        }
    };
    plan.notes.extend(in_doubt(&stored));
    let texts = if options.texts && !options.from_memory {
        texts(&plan, &desired, &config, &stored, &*connected.cloud, site)
    } else {
        BTreeMap::new()
    };
    let estimate = price(site, &connected.cloud, &plan, &desired, &stored.recorded, &sight.observed);
    Ok(Planned { plan, texts, estimate, stored, connected, sight, config })
}

/// Asks for the images that may be promoted.
fn add_candidates(needs: &mut Needs, wanted: &Desired, promotions: &Promotions) {
    for (region, id) in candidates(wanted, promotions) {
        needs.pin(&region, &id);
    }
}

/// What was seen, with our own things as the state remembers them. As nobody looked at those, no fact counts as read.
fn remembered(sight: Sight, site: &Site, desired: &Desired, recorded: &Recorded, pins: &Pins) -> Sight {
    let Sight { mut observed, local_ms: _, cloud_offset_ms } = sight;
    add_remembered(&mut observed, desired, recorded, pins, site.clock.now_ms() + cloud_offset_ms);
    Sight { observed, local_ms: 0, cloud_offset_ms }
}

/// Whether a plan needs what the cloud offers or allows.
fn makes_something(plan: &Plan) -> bool {
    plan.steps.iter().any(|step| match &step.does {
        Do::Call(call) => matches!(
            call.body,
            Body::RunInstances(_)
                | Body::CreateImage { .. }
                | Body::ImportImage { .. }
                | Body::SyncImages { .. }
                | Body::ResizeInstance { .. }
        ),
        Do::Await { .. } | Do::Record | Do::Gate(_) | Do::Hook(_) => false,
    })
}

/// Operations that another run left: an apply settles them first, and plans anew.
fn in_doubt(stored: &Stored) -> Option<Diagnostic> {
    let open = stored.open.len();
    let what = match open {
        0 => return None,
        1 => "1 operation of another run is still open".to_owned(),
        open => format!("{open} operations of another run are still open"),
    };
    Some(
        Diagnostic::note(codes::IN_DOUBT, what)
            .help("where nobody carries them out any more, `fleetwright apply` settles them first, and plans anew"),
    )
}

/// Reads back the user data that a plan changes: of one slot a fleet, for all of a fleet are alike.
fn texts(
    plan: &Plan,
    desired: &Desired,
    config: &Config,
    stored: &Stored,
    cloud: &dyn Cloud,
    site: &Site,
) -> BTreeMap<Block, (String, String)> {
    let mut texts = BTreeMap::new();
    for change in &plan.changes {
        let block = &change.addr.block;
        let changes_it = change.detail.attrs.iter().any(|attr| attr.name == "user_data");
        let stays = matches!(change.action, Action::Replace | Action::Swap | Action::Reset);
        if block.kind != Kind::Fleet || !changes_it || !stays || texts.contains_key(block) {
            continue;
        }
        let Some(id) = change.id.as_ref().and_then(|id| id.instance().cloned()) else { continue };
        let row = stored.recorded.objects.iter().find(|object| object.cloud_id.instance() == Some(&id));
        let Some(row) = row.filter(|row| matches!(row.spec.as_ref(), ObjectSpec::Slot(_))) else { continue };
        let call = Call {
            account: desired.cloud.account.clone(),
            region: row.region.clone(),
            body: Body::Describe(Query::UserData { ids: vec![id.clone()] }),
        };
        // A convenience: where it cannot be read back, the plan says that it changes, and no more.
        let Ok(answer) = cloud.call(&call, site.clock.now_ms()) else { continue };
        let Reply::UserData(mut found) = answer.reply else { continue };
        let before = found.remove(&id).unwrap_or_default();
        let secret = desired.fleets.get(&block.name).and_then(|fleet| fleet.user_data.as_ref());
        let Some(Ok(after)) = secret.map(|secret| config.secrets.read(secret)) else { continue };
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap_or_default();
        texts.insert(block.clone(), (text(before), text(after)));
    }
    texts
}

/// A pin that a plan makes, and what it takes the place of, where it moves one on.
pub(super) struct NewPin<'a> {
    pub(super) key: NewKey,
    found: &'a Pinned,
}

/// What is pinned.
pub(super) enum NewKey {
    Public(PinKey),
    Promoted(PromotedKey, Promoted),
}

impl NewPin<'_> {
    /// The image.
    pub(super) fn id(&self) -> &ImageId {
        &self.found.id
    }

    /// The image that is pinned now, where that is neither the new one nor the one that it takes the place of.
    pub(super) fn other<'l>(&self, lock: &'l Lock) -> Option<&'l ImageId> {
        let now = match &self.key {
            NewKey::Public(key) => lock.public.get(key).map(|pin| &pin.id),
            NewKey::Promoted(key, _) => lock.promoted.get(key).map(|pin| &pin.id),
        };
        now.filter(|now| **now != self.found.id && Some(*now) != self.found.was.as_ref())
    }

    /// What it is called.
    pub(super) fn name(&self) -> &str {
        &self.found.name
    }

    /// Where.
    pub(super) fn region(&self) -> &Region {
        &self.found.region
    }
}

/// The pins that a plan made and the lock file does not have yet.
pub(super) fn new_pins(plan: &Plan) -> Vec<NewPin<'_>> {
    let new = plan.lookups.iter().filter(|pinned| pinned.new);
    new.map(|found| {
        let (endpoint, account) = (plan.origin.endpoint.clone(), plan.origin.account.clone());
        let region = found.region.clone();
        let key = match &found.promoted {
            None => NewKey::Public(PinKey { endpoint, account, region, name: found.name.clone() }),
            Some(promoted) => {
                let (env, from) = (plan.env.clone(), promoted.from.clone());
                NewKey::Promoted(PromotedKey { endpoint, account, env, region, from }, promoted.clone())
            }
        };
        NewPin { key, found }
    })
    .collect()
}

/// Enters the pins of a plan in the lock file. What was pinned otherwise since the plan was made stays as it is.
pub(super) fn pin(site: &Site, plan: &Plan) -> Result<(), Problem> {
    let known = lockfile::read(site)?;
    let mut new = Lock::default();
    for pin in new_pins(plan).into_iter().filter(|new| new.other(&known).is_none()) {
        let (id, created_ms) = (pin.found.id.clone(), pin.found.created_ms);
        match pin.key {
            NewKey::Public(key) => drop(new.public.insert(key, Pin { id, created_ms })),
            NewKey::Promoted(key, Promoted { from: _, edition, owner, was: _ }) => {
                new.promoted.insert(key, PromotedPin { edition, id, owner, created_ms });
            }
        }
    }
    if new == Lock::default() { Ok(()) } else { lockfile::add(site, new) }
}

/// Enters the pins that move on, where that is all there is to do.
pub(super) fn move_pins(site: &Site, plan: &Plan) -> Result<(), Problem> {
    if plan.lookups.iter().any(|pinned| pinned.was.is_some()) { pin(site, plan) } else { Ok(()) }
}
