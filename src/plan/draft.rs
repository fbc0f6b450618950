//! A plan in the making: steps, changes and what one block's planner leaves for the next.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::floor::Dues;
use super::input::{PlanInput, Scope};
use super::rollout::Going;
use super::scope::Covered;
use super::types::{
    Action, AttrChange, Change, Detail, Do, Drift, Effect, Fact, Hold, Need, Pinned, Reason, RolloutPlan, Settle, Step,
    Target, Until, Value,
};
use crate::cloud::call::{Arg, Body, Call, StepId};
use crate::diagnostic::Diagnostic;
use crate::diff::{Attr, Shown};
use crate::model::Millis;
use crate::model::addr::{Addr, Block, Kind};
use crate::model::ids::{CloudId, ImageId, InstanceId, InstanceType, Name, Region, Version, Zone};
use crate::model::naming;
use crate::model::observed::{Image, InstanceState};
use crate::model::recorded::Object;
use crate::model::spec::ImageUse;

/// An image where something can be launched from it: there already, or made by an earlier step.
#[derive(Clone, Debug)]
pub(super) struct ImageAt {
    /// What instances say they run from.
    pub(super) use_: ImageUse,
    /// Its id.
    pub(super) id: Arg<ImageId>,
    /// What must be over before it is used.
    pub(super) ready: Vec<Need>,
    /// Its size in GiB; a system disk is no smaller.
    pub(super) size_gib: u32,
    /// What else is known of it, or follows from what it is made of.
    pub(super) nature: Nature,
}

/// What an image is, or what it will be as far as that follows from what it is made of.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Nature {
    /// For which processors, in the cloud's word.
    pub(super) architecture: Option<String>,
    /// The system.
    pub(super) platform: Option<String>,
    /// The image blocks of the marketplace whose fee it carries.
    pub(super) fees: BTreeSet<Name>,
    /// The image blocks of other accounts that it comes from.
    pub(super) received: BTreeSet<Name>,
    /// Whether its disk is encrypted.
    pub(super) encrypted: bool,
    /// Whether it runs under its owner's own licence; `None`: nobody knows.
    pub(super) own_licence: Option<bool>,
}

impl Nature {
    /// What is known of every image that others share or sell: under their own licence they could not (API text 4.8).
    pub(super) fn of_others() -> Self {
        Self { own_licence: Some(false), ..Self::default() }
    }

    /// The same with what was seen of the image itself in the place of what followed from its origin.
    pub(super) fn seen(&self, image: &Image) -> Self {
        let told = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Self {
            architecture: told(&image.architecture).or_else(|| self.architecture.clone()),
            platform: told(&image.platform).or_else(|| self.platform.clone()),
            ..self.clone()
        }
    }
}

/// A slot that an image is captured from.
#[derive(Clone, Debug)]
pub(super) struct SlotAt {
    /// Its id.
    pub(super) id: Arg<InstanceId>,
    /// What must be over before it is as the config wants it.
    pub(super) ready: Vec<Need>,
    /// What was seen of it, where it stays as it is.
    pub(super) state: Option<InstanceState>,
}

/// The current version of a managed image.
#[derive(Clone, Debug)]
pub(super) struct Current {
    /// The version.
    pub(super) version: Version,
    /// Which capture of it.
    pub(super) generation: u32,
    /// Where it is made.
    pub(super) home: Region,
    /// Steps by which it comes to be everywhere; the version before goes after them.
    pub(super) made_by: Vec<StepId>,
}

/// A plan in the making.
pub(super) struct Draft<'a> {
    pub(super) input: &'a PlanInput<'a>,
    /// What the plan is about.
    pub(super) covered: Covered<'a>,
    /// Blocks that are left out, for what they need is left out and not there.
    pub(super) left_out: BTreeSet<Block>,
    /// Builders that are there, and that images are still made of.
    pub(super) taken_up: BTreeSet<Addr>,
    /// What must be over before the builder of a version may go: its capture is under way.
    pub(super) capturing: BTreeMap<Addr, Need>,
    /// Copies of images that are left out and not there.
    pub(super) absent: BTreeSet<(Name, Region)>,
    /// What steps of this plan take out of the state, for it is gone: each once.
    pub(super) forgotten: BTreeSet<Addr>,
    /// Recorded objects by block, in the order of their addresses.
    pub(super) objects: BTreeMap<&'a Block, Vec<&'a Object>>,
    pub(super) steps: Vec<Step>,
    pub(super) changes: Vec<Change>,
    pub(super) drift: Vec<Drift>,
    /// What protection refuses.
    pub(super) refusals: super::guard::Refusals,
    pub(super) lookups: Vec<Pinned>,
    pub(super) faults: Vec<Diagnostic>,
    pub(super) notes: Vec<Diagnostic>,
    pub(super) assumptions: BTreeSet<String>,
    /// Types of instances that have to be in stock, and where.
    pub(super) stock: BTreeMap<InstanceType, BTreeSet<Zone>>,
    /// Images by block and region.
    pub(super) images: BTreeMap<(Name, Region), ImageAt>,
    /// Managed images by block.
    pub(super) current: BTreeMap<Name, Current>,
    /// Copies of older versions that stay.
    pub(super) kept: BTreeSet<(Region, ImageId)>,
    /// Copies of other older versions, which stay for as long as something runs from them.
    pub(super) in_use: BTreeSet<(Region, ImageId)>,
    /// Copies that would have to go and are protected, by image block.
    pub(super) guarded: BTreeMap<Name, BTreeSet<Addr>>,
    /// Received images that nothing can be made from, each with why.
    pub(super) unusable: BTreeMap<(Region, ImageId), Diagnostic>,
    /// Slots that images are captured from.
    pub(super) slots: BTreeMap<(Name, u32), SlotAt>,
    /// Steps after which nothing runs from an old version of an image any more, by image block.
    pub(super) moved: BTreeMap<Name, BTreeSet<StepId>>,
    /// Deletions that wait for a successor out of courtesy only, each with the needs that it cannot do without.
    pub(super) hasty: BTreeMap<StepId, Vec<Need>>,
    /// Instances that go, from all fleets: terminated together.
    pub(super) going: Vec<Going<'a>>,
    /// Steps that share the current version, by image block and region.
    pub(super) shared: BTreeMap<(Name, Region), BTreeSet<StepId>>,
    /// The last capture of each instance.
    pub(super) captures: BTreeMap<Arg<InstanceId>, StepId>,
    /// Blocks that take of something more than there is.
    pub(super) crowded: BTreeSet<Block>,
    /// What is rolled out over fleets.
    pub(super) rollouts: Vec<RolloutPlan>,
    /// What each thing needs by itself.
    pub(super) dues: Dues,
}

/// All that a step is but its number.
pub(super) struct NewStep {
    pub(super) needs: Vec<Need>,
    pub(super) does: Do,
    pub(super) targets: Vec<Target>,
    pub(super) expect: Vec<Fact>,
    pub(super) settle: Settle,
    pub(super) holds: Vec<Hold>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(input: &'a PlanInput<'a>, covered: Covered<'a>) -> Self {
        Self {
            input,
            covered,
            left_out: BTreeSet::new(),
            taken_up: BTreeSet::new(),
            capturing: BTreeMap::new(),
            absent: BTreeSet::new(),
            objects: input.recorded.by_block(),
            steps: Vec::new(),
            changes: Vec::new(),
            drift: Vec::new(),
            refusals: BTreeMap::new(),
            lookups: Vec::new(),
            faults: Vec::new(),
            notes: Vec::new(),
            assumptions: BTreeSet::new(),
            stock: BTreeMap::new(),
            images: BTreeMap::new(),
            current: BTreeMap::new(),
            kept: BTreeSet::new(),
            in_use: BTreeSet::new(),
            forgotten: BTreeSet::new(),
            guarded: BTreeMap::new(),
            unusable: BTreeMap::new(),
            slots: BTreeMap::new(),
            moved: BTreeMap::new(),
            hasty: BTreeMap::new(),
            going: Vec::new(),
            shared: BTreeMap::new(),
            captures: BTreeMap::new(),
            crowded: BTreeSet::new(),
            rollouts: Vec::new(),
            dues: Dues::default(),
        }
    }

    /// Whether the plan is about everything.
    pub(super) fn covers_everything(&self) -> bool {
        self.input.options.asked.scope == Scope::All
    }

    /// Whether the plan is about a thing.
    pub(super) fn plans(&self, thing: &Addr) -> bool {
        self.covers_everything() || (self.covered.thing(thing) && !self.left_out.contains(&thing.block))
    }

    /// Whether the plan is about a recorded thing.
    pub(super) fn plans_row(&self, row: &Object) -> bool {
        self.covers_everything() || self.plans(&row.full_addr())
    }

    /// Recorded objects of a block.
    pub(super) fn objects_of(&self, block: &Block) -> Vec<&'a Object> {
        self.objects.get(block).cloned().unwrap_or_default()
    }

    /// Recorded copies of an image, without the machines that it is built on.
    pub(super) fn copies_of(&self, block: &Block) -> Vec<&'a Object> {
        let mut copies = self.objects_of(block);
        copies.retain(|row| !row.addr.is_builder());
        copies
    }

    /// Recorded instances: slots of fleets, and builders.
    pub(super) fn instances(&self) -> impl Iterator<Item = &'a Object> {
        self.rows_of(Kind::Fleet).chain(self.rows_of(Kind::Image).filter(|row| row.addr.is_builder()))
    }

    /// Recorded objects of a kind; slots, of which there are many, cost nothing where they are not asked for.
    pub(super) fn rows_of(&self, kind: Kind) -> impl Iterator<Item = &'a Object> {
        self.objects.iter().filter(move |(block, _)| block.kind == kind).flat_map(|(_, rows)| rows.iter().copied())
    }

    /// The tag that marks what belongs to a block.
    pub(super) fn tag(&self, block: &Block) -> (String, String) {
        let desired = self.input.desired;
        (naming::TAG_KEY.to_owned(), naming::tag_value(&desired.project, &desired.env, block))
    }

    /// A call of ours.
    pub(super) fn call(&self, region: &Region, body: Body) -> Do {
        Do::Call(Call { account: self.input.desired.cloud.account.clone(), region: region.clone(), body })
    }

    /// Adds a step. Needs are ordered, and each stands once.
    pub(super) fn step(&mut self, new: NewStep) -> StepId {
        let id = StepId(u32::try_from(self.steps.len()).unwrap_or(u32::MAX));
        let NewStep { mut needs, does, targets, expect, settle, holds } = new;
        needs.sort_unstable();
        needs.dedup();
        self.steps.push(Step { id, needs, does, targets, expect, settle, holds });
        id
    }

    /// Adds a change.
    pub(super) fn change(&mut self, addr: Addr, action: Action, id: Option<CloudId>, name: &str, detail: &Arc<Detail>) {
        self.changes.push(Change { addr, action, id, name: name.to_owned(), detail: Arc::clone(detail) });
    }

    /// Whether TagSpecification makes a tag that is new to the account is not documented.
    pub(super) fn assume_tags_are_made(&mut self) {
        self.assumptions.insert("a tag that is new to the account is made by the call that names it".into());
    }

    /// The place of a step among the changes is its own: what an image is shown as before it exists.
    pub(super) fn show(&self, shown: &Shown, image: Option<&Arg<ImageId>>) -> Value {
        match shown {
            Shown::None => Value::None,
            Shown::Text(text) => Value::Text(text.clone()),
            Shown::List(items) => Value::List(items.clone()),
            Shown::Secret { source, digest } => Value::Secret { source: source.clone(), digest: digest.clone() },
            Shown::Image(use_) => match (use_, image) {
                (ImageUse::Made { image: name, version, generation }, Some(Arg::Output { step, target })) => {
                    let addr = Addr { version: Some(version.clone()), ..Addr::of(Block::image(name)) };
                    Value::Unknown { step: *step, target: *target, addr: addr.generation(*generation) }
                }
                (use_, _) => Value::Text(use_.to_string()),
            },
        }
    }

    /// The attributes of a diff, to be shown. `image` is the id of what the new spec runs from.
    pub(super) fn show_attrs<'b>(
        &self,
        attrs: impl IntoIterator<Item = &'b Attr>,
        image: Option<&Arg<ImageId>>,
    ) -> Vec<AttrChange> {
        attrs
            .into_iter()
            .map(|attr| AttrChange {
                name: attr.name.to_owned(),
                before: self.show(&attr.before, None),
                after: self.show(&attr.after, image),
            })
            .collect()
    }
}

/// A detail with these reasons and attributes.
pub(super) fn detail(reasons: Vec<Reason>, attrs: Vec<AttrChange>) -> Arc<Detail> {
    Arc::new(Detail { reasons, attrs })
}

/// Over as soon as it is accepted.
pub(super) fn at_once() -> Settle {
    Settle { until: Until::Accepted, expected_ms: 0, deadline_ms: 0 }
}

/// Over when `until` is so. It may take ten times as long as expected, and ten minutes more: a deadline is for what
/// will never come, not for what is slow.
pub(super) fn settle(until: Until, expected_ms: Millis) -> Settle {
    const PATIENCE: Millis = 10;
    const AT_LEAST_MS: Millis = 600_000;
    Settle { until, expected_ms, deadline_ms: expected_ms * PATIENCE + AT_LEAST_MS }
}

/// A target that is there.
pub(super) fn known(object: &Object, effect: Effect) -> Target {
    Target {
        addr: object.addr.clone(),
        generation: object.generation,
        id: Some(Arg::Known(object.cloud_id.clone())),
        effect,
    }
}

/// What a call that makes something of an image relies on, where the image is there already.
pub(super) fn image_fact(region: &Region, image: &Arg<ImageId>) -> Option<Fact> {
    image.known().map(|id| Fact::Image { region: region.clone(), id: id.clone() })
}
