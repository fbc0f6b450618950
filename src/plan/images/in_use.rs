//! Versions that are older than what the config asks for, and that instances run from all the same: of a fleet whose
//! `image` is not to change, of one whose rollout is held back. They stay for as long as that is so.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostic::{Diagnostic, codes};
use crate::model::addr::{Addr, Block, Kind};
use crate::model::desired::Desired;
use crate::model::ids::{Name, Region, Version};
use crate::model::recorded::Object;
use crate::model::rollout::Phase;
use crate::model::spec::{ImageUse, ObjectSpec};
use crate::plan::draft::Draft;
use crate::plan::types::{Effect, Step};

/// An image in a region.
type Place<'a> = (&'a ImageUse, &'a Region);

fn image_of(spec: &ObjectSpec) -> Option<&ImageUse> {
    match spec {
        ObjectSpec::Slot(spec) => Some(&spec.image),
        ObjectSpec::Image(_) | ObjectSpec::Share(_) => None,
    }
}

/// How steps leave an instance.
struct End<'a> {
    /// What it runs from; `None`: it is gone.
    image: Option<&'a ImageUse>,
    /// Where it is made, where it is.
    made_in: Option<&'a Region>,
}

/// What instances run from once some steps are taken, each image with the first that does. Rows on which no step does
/// anything stay as they are; the others, and what is made, are as the last step leaves them.
pub(in crate::plan) fn after<'a>(
    rows: impl IntoIterator<Item = &'a Object>,
    steps: &'a [Step],
) -> BTreeMap<Place<'a>, Addr> {
    let mut ends: BTreeMap<(&Addr, u32), End<'_>> = BTreeMap::new();
    for target in steps.iter().flat_map(|step| &step.targets).filter(|target| target.addr.block.kind == Kind::Fleet) {
        let key = (&target.addr, target.generation);
        let made_in = ends.get(&key).and_then(|end| end.made_in);
        let end = match &target.effect {
            Effect::Make(made) => End { image: image_of(&made.spec), made_in: Some(&made.region) },
            Effect::Become(spec) => End { image: image_of(spec), made_in },
            Effect::Remove => End { image: None, made_in },
            Effect::Nothing | Effect::Arrive => continue,
        };
        ends.insert(key, end);
    }
    let mut used: BTreeMap<Place<'_>, Addr> = BTreeMap::new();
    for row in rows {
        let end = ends.remove(&(&row.addr, row.generation));
        if let Some(image) = end.map_or_else(|| image_of(&row.spec), |end| end.image) {
            used.entry((image, &row.region)).or_insert_with(|| row.full_addr());
        }
    }
    for ((addr, generation), End { image, made_in }) in ends {
        if let Some(place) = image.zip(made_in) {
            used.entry(place).or_insert_with(|| addr.clone().generation(generation));
        }
    }
    used
}

/// The image that each fleet may have to go back to, and where: what ran before a rollout that is not at its end.
fn before<'a>(draft: &'a Draft<'_>) -> BTreeMap<Place<'a>, &'a Block> {
    let mut found = BTreeMap::new();
    let desired = draft.input.desired;
    let planned: BTreeSet<&Block> = draft.rollouts.iter().map(|plan| &plan.row.block).collect();
    let open = |phase| matches!(phase, Phase::Running | Phase::Paused | Phase::Stopped | Phase::TakenBack);
    let recorded = draft.input.recorded.rollouts.values();
    let recorded = recorded.filter(|row| open(row.phase) && !planned.contains(&row.block));
    let paused = draft.rollouts.iter().filter(|plan| plan.left > 0).map(|plan| &plan.row);
    for row in recorded.chain(paused) {
        let image = row.before.as_ref().and_then(|spec| image_of(spec));
        if let (Some(image), Some(fleet)) = (image, desired.fleets.get(&row.block.name)) {
            found.insert((image, &fleet.region), &row.block);
        }
    }
    found
}

/// Lets copies of older versions stay that instances run from when all is done, or that a rollout may have to go back to.
pub(in crate::plan) fn retain(draft: &mut Draft<'_>) {
    let going: Vec<&Object> = draft.rows_of(Kind::Image).filter(|copy| super::goes(draft, copy)).collect();
    if going.is_empty() {
        return;
    }
    let used = after(draft.rows_of(Kind::Fleet), &draft.steps);
    let back = before(draft);
    let mut stay = BTreeSet::new();
    let mut told: BTreeMap<(&Name, &Version, u32), (BTreeSet<&Region>, String)> = BTreeMap::new();
    for copy in going {
        let (Some(version), Some(id)) = (&copy.addr.version, copy.cloud_id.image()) else { continue };
        let (image, generation) = (copy.addr.block.name.clone(), copy.generation);
        let use_ = ImageUse::Made { image, version: version.clone(), generation };
        let why = match (used.get(&(&use_, &copy.region)), back.get(&(&use_, &copy.region))) {
            (Some(addr), _) => format!("{addr} runs from it, and this plan leaves that so"),
            (None, Some(block)) => format!("the rollout of {block} is not at its end, and may have to go back to it"),
            (None, None) => continue,
        };
        stay.insert((copy.region.clone(), id.clone()));
        let key = (&copy.addr.block.name, version, generation);
        told.entry(key).or_insert_with(|| (BTreeSet::new(), why)).0.insert(&copy.region);
    }
    draft.in_use.extend(stay);
    // Of a plan that there is not, nothing is to be told.
    let told = if draft.faults.is_empty() { told } else { BTreeMap::new() };
    for ((image, version, generation), (regions, why)) in told {
        let version = Addr { version: Some(version.clone()), ..Addr::of(Block::image(image)) }.generation(generation);
        let regions: Vec<&str> = regions.into_iter().map(Region::as_str).collect();
        let note = Diagnostic::note(codes::STILL_IN_USE, format!("{version} stays in {}", regions.join(" and ")));
        let declared = draft.input.desired.images.contains_key(image);
        let note = if declared { note.at(Desired::path(Kind::Image, image)) } else { note };
        draft.notes.push(note.why(why));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::cloud::call::StepId;
    use crate::model::ids::CloudId;
    use crate::model::recorded::Status;
    use crate::model::spec::SlotSpec;
    use crate::plan::draft::at_once;
    use crate::plan::types::{Do, NewObject, Target};

    fn use_(version: &str) -> ImageUse {
        ImageUse::Made { image: "web".into(), version: version.into(), generation: 1 }
    }

    fn spec(version: &str) -> Arc<ObjectSpec> {
        Arc::new(ObjectSpec::Slot(Box::new(SlotSpec {
            image: use_(version),
            instance_type: "S5.MEDIUM4".into(),
            system_disk: crate::model::spec::SystemDisk::default(),
            data_disks: Vec::new(),
            network: crate::model::spec::SlotNetwork::default(),
            internet: None,
            login: crate::model::spec::Login::Unset,
            tags: BTreeMap::new(),
            user_data: None,
            hostname: None,
            charge: crate::model::spec::Charge::Hourly,
            placement_group: None,
            cam_role: None,
            power: None,
            protect: false,
            on_trial: false,
        })))
    }

    fn slot(n: u32) -> Addr {
        Addr::slot(Block::fleet(&"web".into()), n)
    }

    fn row(n: u32, version: &str) -> Object {
        Object {
            addr: slot(n),
            generation: 1,
            region: "ap-guangzhou".into(),
            cloud_id: CloudId::Instance(format!("ins-{n}").as_str().into()),
            name: String::new(),
            zone: None,
            ordinal: None,
            status: Status::Ready,
            spec: spec(version),
            made_from: None,
            accepted_ms: 0,
            made_by: None,
        }
    }

    fn step(n: u32, generation: u32, effect: Effect) -> Step {
        let targets = vec![Target { addr: slot(n), generation, id: None, effect }];
        let (needs, expect, holds) = (Vec::new(), Vec::new(), Vec::new());
        Step { id: StepId(0), needs, does: Do::Record, targets, expect, settle: at_once(), holds }
    }

    fn made(version: &str) -> Effect {
        Effect::Make(Box::new(NewObject {
            region: "ap-shanghai".into(),
            name: String::new(),
            zone: None,
            ordinal: None,
            spec: spec(version),
            version: None,
        }))
    }

    fn told(rows: &[Object], steps: &[Step]) -> Vec<(String, String, String)> {
        let text = |((image, region), addr): ((&ImageUse, &Region), Addr)| {
            (image.to_string(), region.to_string(), addr.to_string())
        };
        after(rows, steps).into_iter().map(text).collect()
    }

    #[test]
    fn what_no_step_touches_runs_on_and_what_one_does_is_as_the_last_leaves_it() {
        let rows = [row(0, "1"), row(1, "1"), row(2, "1"), row(3, "2")];
        let is = |image: &str, region: &str, addr: &str| (image.to_owned(), region.to_owned(), addr.to_owned());
        let old = is("image.web@1", "ap-guangzhou", "fleet.web[0]");
        let new = is("image.web@2", "ap-guangzhou", "fleet.web[3]");
        assert_eq!(told(&rows, &[]), [old, new.clone()]);
        // One is reset, one goes, one is replaced: nothing is left on the first version.
        let mut steps = vec![
            step(0, 1, Effect::Become(spec("2"))),
            step(1, 1, Effect::Remove),
            step(2, 2, made("2")),
            step(2, 1, Effect::Remove),
        ];
        let far = is("image.web@2", "ap-shanghai", "fleet.web[2]#2");
        let reset = is("image.web@2", "ap-guangzhou", "fleet.web[0]");
        assert_eq!(told(&rows, &steps), [reset, far]);
        // A change in place keeps the image, and what is only waited for stays as it is.
        steps[0] = step(0, 1, Effect::Become(spec("1")));
        steps.push(step(3, 1, Effect::Arrive));
        let old = is("image.web@1", "ap-guangzhou", "fleet.web[0]");
        assert_eq!(told(&rows, &steps)[0], old);
        // What is launched from an older version needs it, too.
        let back = is("image.web@1", "ap-shanghai", "fleet.web[3]#2");
        assert_eq!(told(&[], &[step(3, 2, made("1"))]), [back]);
    }
}
