//! Where an image comes from: by which image one that does not exist yet is priced, and whose fee it inherits (API text
//! 8.10: custom images inherit the fee of the image that they come from).

use std::collections::BTreeMap;

use crate::model::addr::{Kind, Part};
use crate::model::desired::{Desired, Image as Declared};
use crate::model::ids::{ImageId, Name, Region, Version};
use crate::model::observed::{Image, ImageKind, ImageState, Observed, Seen};
use crate::model::promotion::{Edition, PromotedFrom};
use crate::model::recorded::{Recorded, Status, VersionRecord};
use crate::model::spec::ImageUse;
use crate::plan::{Pinned, Plan, Promoted};

/// What everybody finds first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Root {
    /// A public image, by its name.
    Public(String),
    /// An image of the marketplace.
    Market,
    /// An image of which nothing is known but its id.
    Strange,
    /// A file.
    File,
    /// What nobody remembers.
    Lost,
}

impl Root {
    /// Whether what comes from it can cost a fee: public images are free but for Windows outside the mainland, and on an
    /// imported file the vendor licenses nothing (API text 8.7, 8.10).
    pub(super) fn may_cost(&self) -> bool {
        match self {
            Self::Public(name) => name.starts_with("Windows"),
            Self::Market | Self::Strange | Self::Lost => true,
            Self::File => false,
        }
    }
}

/// Where an image comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Lineage {
    /// The image blocks on the way, the image itself first; empty where it is found, not made.
    pub(super) heirs: Vec<Name>,
    /// The nearest image on the way that is there in the region.
    pub(super) nearest: Option<ImageId>,
    /// The root.
    pub(super) root: Root,
    /// The root's id, and where that holds.
    pub(super) found: Option<(ImageId, Region)>,
}

type Made<'a> = (&'a Name, &'a Version, u32);

/// All that is known of images.
pub(super) struct Images<'a> {
    desired: &'a Desired,
    observed: &'a Observed,
    /// By version.
    versions: BTreeMap<Made<'a>, &'a VersionRecord>,
    /// Copies that are there, by version and region.
    copies: BTreeMap<(Made<'a>, &'a Region), &'a ImageId>,
    /// What was promoted from other environments, by version and region.
    promoted: BTreeMap<(&'a PromotedFrom, &'a Edition, &'a Region), &'a ImageId>,
    /// Names of public images, and where their ids hold.
    public: BTreeMap<&'a ImageId, (&'a str, &'a Region)>,
}

impl<'a> Images<'a> {
    pub(super) fn of(plan: &'a Plan, desired: &'a Desired, recorded: &'a Recorded, observed: &'a Observed) -> Self {
        let key = |record: &'a VersionRecord| (&record.block.name, &record.version, record.generation);
        let mut versions: BTreeMap<Made<'a>, &'a VersionRecord> =
            recorded.versions.iter().map(|record| (key(record), record)).collect();
        let images = plan.steps.iter().flat_map(|step| &step.targets).filter(|t| t.addr.block.kind == Kind::Image);
        let made = images.filter_map(|target| target.effect.makes()?.version.as_deref());
        versions.extend(made.map(|record| (key(record), record)));
        let mut copies = BTreeMap::new();
        for object in recorded.objects.iter().filter(|object| object.kind() == Kind::Image) {
            if let (Some(version), Some(Part::Region(region)), Some(id), Status::Ready) =
                (&object.addr.version, &object.addr.part, object.cloud_id.image(), object.status)
                && !gone(observed, region, id)
            {
                copies.insert(((&object.addr.block.name, version, object.generation), region), id);
            }
        }
        let mut public = BTreeMap::new();
        for (region, seen) in &observed.by_region {
            for image in seen.lookups.values().flatten() {
                public.insert(&image.id, (image.name.as_str(), region));
            }
        }
        let (promoted, found): (Vec<&Pinned>, Vec<&Pinned>) =
            plan.lookups.iter().partition(|pinned| pinned.promoted.is_some());
        for pinned in found {
            public.insert(&pinned.id, (pinned.name.as_str(), &pinned.region));
        }
        let promoted = promoted.into_iter().filter_map(|pinned| {
            let Promoted { from, edition, owner: _, was: _ } = pinned.promoted.as_ref()?;
            Some(((from, edition, &pinned.region), &pinned.id))
        });
        Self { desired, observed, versions, copies, promoted: promoted.collect(), public }
    }

    /// Whether an image was looked for and is not there.
    pub(super) fn gone(&self, region: &Region, id: &ImageId) -> bool {
        gone(self.observed, region, id)
    }

    /// Where an image comes from that is used in a region.
    pub(super) fn lineage(&self, of: &ImageUse, region: &Region) -> Lineage {
        let mut lineage = Lineage { heirs: Vec::new(), nearest: None, root: Root::Lost, found: None };
        let mut at = of;
        // Versions that come from each other in a circle are no more than there are versions.
        for _ in 0..=self.versions.len() {
            let (image, made) = match at {
                ImageUse::Found { id } => {
                    self.root(&mut lineage, id);
                    break;
                }
                ImageUse::Promoted { from, edition } => {
                    let id = self.promoted.get(&(from, edition, region)).copied();
                    if lineage.nearest.is_none() {
                        lineage.nearest = id.cloned();
                    }
                    lineage.root = Root::Strange;
                    lineage.found = id.map(|id| (id.clone(), region.clone()));
                    break;
                }
                ImageUse::Made { image, version, generation } => (image, (image, version, *generation)),
            };
            lineage.heirs.push(image.clone());
            if lineage.nearest.is_none() {
                lineage.nearest = self.copies.get(&(made, region)).map(|id| (*id).clone());
            }
            let Some(record) = self.versions.get(&made) else { break };
            if record.inputs.import.is_some() {
                lineage.root = Root::File;
                break;
            }
            if let Some(instance) = &record.inputs.instance {
                // A machine made by hand is in the region of the cloud block, and tells what it runs from.
                let seen = self.observed.instance_there(&self.desired.cloud.region, instance);
                if let Some(seen) = seen {
                    self.root(&mut lineage, &seen.image);
                }
                break;
            }
            let Some(base) = &record.inputs.base else { break };
            at = base;
        }
        lineage
    }

    fn root(&self, lineage: &mut Lineage, id: &ImageId) {
        let home = &self.desired.cloud.region;
        let (root, region) = match self.public.get(id) {
            Some((name, region)) => (Root::Public((*name).to_owned()), *region),
            None => (self.strange(id), home),
        };
        lineage.root = root;
        lineage.found = Some((id.clone(), region.clone()));
    }

    /// What is known of an image that no look-up found.
    fn strange(&self, id: &ImageId) -> Root {
        let declared = |image: &Declared| matches!(image, Declared::Marketplace { id: declared } if declared == id);
        let seen = self.observed.image(&self.desired.cloud.region, id);
        match seen.as_ref().and_then(Seen::present).map(|image| (&image.kind, &image.name)) {
            Some((ImageKind::Public, name)) => Root::Public(name.clone()),
            Some((ImageKind::Market, _)) => Root::Market,
            _ if self.desired.images.values().any(declared) => Root::Market,
            _ => Root::Strange,
        }
    }
}

fn gone(observed: &Observed, region: &Region, id: &ImageId) -> bool {
    matches!(observed.image(region, id), Some(Seen::Absent { .. }))
}

/// The one of several public images that a price is asked with: the newest that can be used.
pub(super) fn newest<'i>(images: impl IntoIterator<Item = &'i Image>) -> Option<&'i Image> {
    let usable = images.into_iter().filter(|image| image.state == ImageState::Normal && !image.deprecated);
    usable.max_by(|a, b| (a.created_ms, &a.id).cmp(&(b.created_ms, &b.id)))
}

/// Whether an image costs nothing, wherever it is.
pub(super) fn is_free(image: &Image) -> bool {
    let windows = |text: &str| text.starts_with("Windows");
    image.kind == ImageKind::Public && !windows(&image.name) && !windows(&image.platform)
}
