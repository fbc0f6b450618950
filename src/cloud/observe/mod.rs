//! Observation: which calls it takes to see what a plan has to know, and what their answers say together. Pure: it
//! sends nothing and knows no clock, so it runs against the cloud, in a rehearsal and in a test alike.
//!
//! A driver goes round until nothing is handed out any more:
//!
//! ```text
//! loop {
//!     calls = observer.next();                     // may all be sent at once
//!     if calls is empty and nothing is under way: break
//!     wait for observer.wait_ms(), where it tells one
//!     for each call: observer.answer(&call, cloud.call(&call, now));
//! }
//! observer.finish()
//! ```

mod needs;
mod remembered;
mod walk;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::model::Millis;
use crate::model::ids::{ImageId, InstanceId, Region, Uin};
use crate::model::limits::Quota;
use crate::model::observed::{Image, ImageKind, Instance, Lookup, Observed, RegionSeen, Seen};

use super::call::{Answer, Body, Call, Class, Executed, Fault, PAGE, Page, Query, Reply};
use walk::{Listing, Step, Walk};

pub use needs::{InOrder, Needs, RegionNeeds};
pub use remembered::add_remembered;

/// How often a read is tried again that was throttled, or lost to the server's or the way's own trouble.
pub const MAX_RETRIES: u32 = 5;
/// How long to wait before the first retry; each further one waits twice as long. Rates are counted by the second
/// (API text 1.8).
const FIRST_WAIT_MS: Millis = 500;

/// A region that the cloud does not have.
const NO_SUCH_REGION: [&str; 2] = ["InvalidRegion.NotFound", "UnsupportedRegion"];
/// An image that is not there.
const NO_SUCH_IMAGE: &str = "InvalidImageId.NotFound";
/// An instance that is not there.
const NO_SUCH_INSTANCE: &str = "InvalidInstanceId.NotFound";
/// A look-up for a type that the cloud does not have, or does not sell: no image fits it.
const NO_SUCH_TYPE: [&str; 4] = [
    "InvalidInstanceType.Malformed",
    "InvalidParameterValue.InstanceTypeNotFound",
    "InvalidParameterValue.ZoneNotSupported",
    "ResourcesSoldOut.SpecifiedInstanceType",
];

/// Hands out reads, and folds their answers.
///
/// # Guarantees
/// - Known instances cost ⌈n / 100⌉ calls a region, whatever fleets they belong to.
/// - After a fault that waiting does not help, nothing more is handed out.
/// - What is observed is all that was asked for, or nothing; but of a region that the cloud does not list, where its
///   regions were asked for, the entry stays empty.
#[derive(Debug)]
pub struct Observer {
    account: Uin,
    regions_list: bool,
    by_id: BTreeMap<Region, BTreeSet<ImageId>>,
    seen: Observed,
    ready: VecDeque<Flight>,
    flying: VecDeque<Flight>,
    wait_ms: Option<Millis>,
    walks: BTreeMap<(Region, Listing), Walk<ImageId, Image>>,
    instance_walks: BTreeMap<Region, Walk<InstanceId, Instance>>,
    image_totals: BTreeMap<Region, u32>,
    image_quotas: BTreeMap<Region, Quota>,
    unknown_regions: Vec<(Call, Fault)>,
    failed: Vec<(Call, Fault)>,
}

/// A call, and how often it was tried before.
#[derive(Debug)]
struct Flight {
    call: Call,
    retries: u32,
}

impl Observer {
    /// An observer of what is needed.
    #[must_use]
    pub fn new(needs: Needs) -> Self {
        let Needs { account, home, regions_list, regions } = needs;
        let mut observer = Self {
            account,
            regions_list,
            by_id: BTreeMap::new(),
            seen: Observed::default(),
            ready: VecDeque::new(),
            flying: VecDeque::new(),
            wait_ms: None,
            walks: BTreeMap::new(),
            instance_walks: BTreeMap::new(),
            image_totals: BTreeMap::new(),
            image_quotas: BTreeMap::new(),
            unknown_regions: Vec::new(),
            failed: Vec::new(),
        };
        if regions_list {
            observer.ask(&home, Query::Regions);
        }
        for (region, wanted) in regions {
            observer.ask_region(&region, wanted);
        }
        observer
    }

    /// The calls that can be made now, in any order or at once. Empty while others have to be answered first, and
    /// when there are no more.
    #[expect(clippy::should_implement_trait, reason = "an empty list is not the end of an iteration")]
    pub fn next(&mut self) -> Vec<Call> {
        self.wait_ms = None;
        if !self.failed.is_empty() {
            return Vec::new();
        }
        let retries = self.ready.iter().map(|flight| flight.retries).max().unwrap_or(0);
        self.wait_ms = retries.checked_sub(1).map(|before| FIRST_WAIT_MS << before);
        let calls = self.ready.iter().map(|flight| flight.call.clone()).collect();
        self.flying.append(&mut self.ready);
        calls
    }

    /// How long to wait before the calls that [`next`](Self::next) handed out last are made; `None`: not at all.
    #[must_use]
    pub fn wait_ms(&self) -> Option<Millis> {
        self.wait_ms
    }

    /// Takes the answer to a call. One that was not asked for is passed over.
    pub fn answer(&mut self, call: &Call, result: Result<Answer, Fault>) {
        let Some(place) = self.flying.iter().position(|flight| flight.call == *call) else { return };
        let Some(flight) = self.flying.remove(place) else { return };
        self.seen.calls += 1;
        match result {
            Ok(Answer { reply, cloud_ms, .. }) => {
                self.seen.cloud_ms = self.seen.cloud_ms.max(cloud_ms);
                self.fold(flight.call, reply, cloud_ms);
            }
            Err(fault) => self.fault(flight, fault),
        }
    }

    /// What was seen.
    ///
    /// # Errors
    /// The calls that failed, each with its fault; or those that were never answered.
    pub fn finish(mut self) -> Result<Observed, Vec<(Call, Fault)>> {
        let known = self.seen.regions.as_ref();
        let missing = |call: &Call| known.is_some_and(|regions| !regions.contains(&call.region));
        self.failed.extend(self.unknown_regions.into_iter().filter(|(call, _)| !missing(call)));
        if self.failed.is_empty() {
            let unanswered = self.flying.into_iter().chain(self.ready).filter(|flight| !missing(&flight.call));
            self.failed.extend(unanswered.map(|flight| (flight.call, strange("the call was never answered"))));
        }
        if !self.failed.is_empty() {
            return Err(self.failed);
        }
        for (region, seen) in &mut self.seen.by_region {
            let listed = seen.custom_images.as_ref().map_or(0, |images| number(images.len()));
            let reported = self.image_quotas.get(region);
            let total = self.image_totals.get(region).copied().or(reported.map(|quota| quota.total));
            let used = reported.map_or(0, |quota| quota.used).max(listed);
            seen.image_quota = total.map(|total| Quota { used, total });
        }
        Ok(self.seen)
    }

    fn ask(&mut self, region: &Region, query: Query) {
        let call = Call { account: self.account.clone(), region: region.clone(), body: Body::Describe(query) };
        self.ready.push_back(Flight { call, retries: 0 });
    }

    fn ask_region(&mut self, region: &Region, wanted: RegionNeeds) {
        let RegionNeeds {
            zones,
            types,
            quotas,
            custom_images,
            images,
            fits,
            import_os,
            lookups,
            shares,
            instances,
            all_instances,
        } = wanted;
        self.seen.by_region.entry(region.clone()).or_default();
        if zones {
            self.ask(region, Query::Zones);
        }
        if types {
            self.ask(region, Query::Types);
        }
        if quotas {
            self.ask(region, Query::AccountQuota);
            if custom_images {
                self.ask(region, Query::ImageQuota);
            }
        }
        if custom_images {
            self.walk(region, Listing::Custom);
        }
        if import_os {
            self.ask(region, Query::ImportOs);
        }
        for (instance_type, images) in fits {
            for ids in batches(images) {
                self.ask(region, Query::ImagesFitting { ids, instance_type: instance_type.clone() });
            }
        }
        for lookup in lookups {
            self.walk(region, Listing::Public(lookup));
        }
        for image in shares {
            self.ask(region, Query::Shares { image });
        }
        if all_instances {
            self.ask(region, page_of(&Listing::Instances, 0));
            self.instance_walks.insert(region.clone(), Walk::start());
        } else {
            for ids in batches(instances.in_order()) {
                self.ask(region, Query::InstancesById { ids });
            }
        }
        self.by_id.insert(region.clone(), images);
        self.ask_images(region);
    }

    fn walk(&mut self, region: &Region, listing: Listing) {
        self.ask(region, page_of(&listing, 0));
        self.walks.insert((region.clone(), listing), Walk::start());
    }

    /// When all walks of a region are over: asks for the wanted images that none of them came by.
    fn ask_images(&mut self, region: &Region) {
        if self.walks.keys().any(|(walked, _)| walked == region) {
            return;
        }
        let Some(wanted) = self.by_id.remove(region) else { return };
        let seen = self.seen.by_region.entry(region.clone()).or_default();
        let mut missing = Vec::new();
        for id in wanted {
            if seen.custom_images.as_ref().is_some_and(|images| images.contains_key(&id)) {
                continue;
            }
            match seen.lookups.values().flatten().find(|image| image.id == id) {
                Some(image) => {
                    let found = Seen::Present(image.clone());
                    seen.images.insert(id, found);
                }
                None => missing.push(id),
            }
        }
        for ids in batches(missing) {
            self.ask(region, Query::ImagesById { ids });
        }
    }

    fn fold(&mut self, call: Call, reply: Reply, asked_ms: Millis) {
        let Body::Describe(query) = &call.body else { return };
        let reply = match (query, reply) {
            (Query::Regions, Reply::Regions(regions)) => {
                self.seen.regions = Some(regions);
                return;
            }
            (_, reply) => reply,
        };
        let seen = self.seen.by_region.entry(call.region.clone()).or_default();
        match (query, reply) {
            (Query::Zones, Reply::Zones(zones)) => seen.zones = Some(zones),
            (Query::Types, Reply::Types(types)) => seen.types = Some(types),
            (Query::ImageQuota, Reply::ImageQuota(total)) => {
                self.image_totals.insert(call.region, total);
            }
            (Query::AccountQuota, Reply::AccountQuota { images, instances, prepaid, spot }) => {
                seen.instance_quota = Some(instances);
                seen.prepaid_quota = Some(prepaid);
                seen.spot_quota = Some(spot);
                if let Some(images) = images {
                    self.image_quotas.insert(call.region, images);
                }
            }
            (Query::ImagesById { ids }, Reply::Images(page)) => fold_images(seen, ids, page, asked_ms),
            (Query::ImagesFitting { ids, instance_type }, Reply::Images(page)) => {
                for id in ids {
                    let fits = page.items.iter().any(|image| image.id == *id);
                    seen.fits.insert((id.clone(), instance_type.clone()), fits);
                }
            }
            (Query::ImportOs, Reply::ImportOs(systems)) => seen.import_os = Some(systems),
            (Query::InstancesById { ids }, Reply::Instances(page)) => fold_instances(seen, ids, page, asked_ms),
            (Query::Instances { .. }, Reply::Instances(page)) => self.fold_instance_page(&call.region, page),
            (Query::Shares { image }, Reply::Shares(accounts)) => {
                seen.shares.insert(image.clone(), accounts);
            }
            (Query::CustomImages { .. } | Query::PublicImages { .. }, Reply::Images(page)) => {
                if let Some(listing) = listing_of(query) {
                    self.fold_page(&call.region, listing, page);
                }
            }
            _ => {
                let what = format!("{} was answered with another action's answer", query.action());
                self.failed.push((call, strange(&what)));
            }
        }
    }

    fn fold_page(&mut self, region: &Region, listing: Listing, page: Page<Image>) {
        let key = (region.clone(), listing);
        let Some(walk) = self.walks.get_mut(&key) else { return };
        let keeps = |image: &Image| match &key.1 {
            Listing::Custom | Listing::Instances => true,
            Listing::Public(lookup) => image.name == lookup.name && image.kind == ImageKind::Public,
        };
        match walk.page(page, |image| &image.id, keeps) {
            Step::Ask(offsets) => {
                for offset in offsets {
                    self.ask(region, page_of(&key.1, offset));
                }
            }
            Step::Done(images) => self.end_walk(key, images),
        }
    }

    fn fold_instance_page(&mut self, region: &Region, page: Page<Instance>) {
        let Some(walk) = self.instance_walks.get_mut(region) else { return };
        match walk.page(page, |instance| &instance.id, |_| true) {
            Step::Ask(offsets) => {
                for offset in offsets {
                    self.ask(region, page_of(&Listing::Instances, offset));
                }
            }
            Step::Done(instances) => {
                self.instance_walks.remove(region);
                let seen = self.seen.by_region.entry(region.clone()).or_default();
                seen.all_instances = Some(instances.into_iter().map(|(id, one)| (id, Box::new(one))).collect());
            }
        }
    }

    fn end_walk(&mut self, key: (Region, Listing), images: BTreeMap<ImageId, Image>) {
        self.walks.remove(&key);
        let (region, listing) = key;
        let seen = self.seen.by_region.entry(region.clone()).or_default();
        match listing {
            Listing::Custom => seen.custom_images = Some(images),
            // They have a walk of their own.
            Listing::Instances => {}
            Listing::Public(lookup) => {
                let mut found: Vec<Image> = images.into_values().collect();
                found.sort_by(|a, b| (a.created_ms, &a.id).cmp(&(b.created_ms, &b.id)));
                seen.lookups.insert(lookup, found);
            }
        }
        self.ask_images(&region);
    }

    fn fault(&mut self, flight: Flight, fault: Fault) {
        let Flight { call, retries } = flight;
        if waiting_helps(fault.class) && retries < MAX_RETRIES {
            self.ready.push_back(Flight { call, retries: retries + 1 });
            return;
        }
        let code = fault.code.as_deref().unwrap_or_default();
        let asked_ms = fault.cloud_ms.unwrap_or(self.seen.cloud_ms);
        let Body::Describe(query) = &call.body else { return };
        if NO_SUCH_REGION.contains(&code) && *query != Query::Regions && self.regions_list {
            self.walks.retain(|(walked, _), _| *walked != call.region);
            self.unknown_regions.push((call, fault));
            return;
        }
        match query {
            // The image vanished.
            Query::Shares { .. } if code == NO_SUCH_IMAGE => {}
            // The API leaves out the ids that it does not know; should one of them be an error after all, halving
            // finds it.
            Query::InstancesById { ids } if code == NO_SUCH_INSTANCE => match halves(ids) {
                Some((one, other)) => {
                    self.ask(&call.region, Query::InstancesById { ids: one });
                    self.ask(&call.region, Query::InstancesById { ids: other });
                }
                None => {
                    let seen = self.seen.by_region.entry(call.region.clone()).or_default();
                    fold_instances(seen, ids, Page { total: 0, items: Vec::new() }, asked_ms);
                }
            },
            Query::ImagesById { ids } if code == NO_SUCH_IMAGE => match halves(ids) {
                Some((one, other)) => {
                    self.ask(&call.region, Query::ImagesById { ids: one });
                    self.ask(&call.region, Query::ImagesById { ids: other });
                }
                None => {
                    let seen = self.seen.by_region.entry(call.region.clone()).or_default();
                    fold_images(seen, ids, Page { total: 0, items: Vec::new() }, asked_ms);
                }
            },
            // Of a type that is not there, and of an image that is not, others tell.
            Query::ImagesFitting { .. } if NO_SUCH_TYPE.contains(&code) || code == NO_SUCH_IMAGE => {}
            Query::PublicImages { instance_type: Some(_), .. } if NO_SUCH_TYPE.contains(&code) => {
                if let Some(listing) = listing_of(query) {
                    self.end_walk((call.region.clone(), listing), BTreeMap::new());
                }
            }
            Query::Regions
            | Query::Zones
            | Query::Types
            | Query::ImageQuota
            | Query::AccountQuota
            | Query::ImagesById { .. }
            | Query::ImagesFitting { .. }
            | Query::CustomImages { .. }
            | Query::CustomImagesNamed { .. }
            | Query::PublicImages { .. }
            | Query::Shares { .. }
            | Query::InstancesById { .. }
            | Query::Instances { .. }
            | Query::InstancesTagged { .. }
            | Query::InstanceStates { .. }
            | Query::ImportOs
            | Query::Price(_)
            | Query::Stock { .. }
            | Query::DryRun(_)
            | Query::UserData { .. } => self.failed.push((call, fault)),
        }
    }
}

/// Reads change nothing, so whatever passes by itself is worth another try (API text 1.9).
fn waiting_helps(class: Class) -> bool {
    match class {
        Class::Throttled | Class::Transient | Class::Transport => true,
        Class::Busy
        | Class::NotFound
        | Class::Conflict
        | Class::Auth
        | Class::Clock
        | Class::Denied
        | Class::Quota
        | Class::Stock
        | Class::Invalid
        | Class::Untrusted
        | Class::Proxy => false,
    }
}

fn page_of(listing: &Listing, offset: u32) -> Query {
    match listing {
        Listing::Custom => Query::CustomImages { offset },
        Listing::Instances => Query::Instances { offset },
        Listing::Public(lookup) => {
            Query::PublicImages { name: lookup.name.clone(), instance_type: lookup.instance_type.clone(), offset }
        }
    }
}

fn listing_of(query: &Query) -> Option<Listing> {
    match query {
        Query::CustomImages { .. } => Some(Listing::Custom),
        Query::PublicImages { name, instance_type, .. } => {
            Some(Listing::Public(Lookup { name: name.clone(), instance_type: instance_type.clone() }))
        }
        Query::Regions
        | Query::Zones
        | Query::Types
        | Query::ImageQuota
        | Query::AccountQuota
        | Query::ImagesById { .. }
        | Query::ImagesFitting { .. }
        | Query::CustomImagesNamed { .. }
        | Query::Shares { .. }
        | Query::InstancesById { .. }
        | Query::Instances { .. }
        | Query::InstancesTagged { .. }
        | Query::InstanceStates { .. }
        | Query::ImportOs
        | Query::Price(_)
        | Query::Stock { .. }
        | Query::DryRun(_)
        | Query::UserData { .. } => None,
    }
}

fn fold_images(seen: &mut RegionSeen, asked: &[ImageId], page: Page<Image>, asked_ms: Millis) {
    let mut listed: BTreeMap<_, _> = page.items.into_iter().map(|image| (image.id.clone(), image)).collect();
    for id in asked {
        let found = listed.remove(id).map_or(Seen::Absent { asked_ms }, Seen::Present);
        seen.images.insert(id.clone(), found);
    }
}

fn fold_instances(seen: &mut RegionSeen, asked: &[InstanceId], page: Page<Instance>, asked_ms: Millis) {
    let mut found: BTreeMap<&InstanceId, Seen<Box<Instance>>> =
        asked.iter().map(|id| (id, Seen::Absent { asked_ms })).collect();
    for one in page.items {
        if let Some(seen) = found.get_mut(&one.id) {
            *seen = Seen::Present(Box::new(one));
        }
    }
    seen.instances.extend(found.into_iter().map(|(id, one)| (id.clone(), one)));
}

fn batches<T: Clone>(ids: impl IntoIterator<Item = T>) -> Vec<Vec<T>> {
    const SIZE: usize = PAGE as usize;
    let all: Vec<T> = ids.into_iter().collect();
    all.chunks(SIZE).map(<[T]>::to_vec).collect()
}

fn halves<T: Clone>(ids: &[T]) -> Option<(Vec<T>, Vec<T>)> {
    (ids.len() > 1).then(|| {
        let (one, other) = ids.split_at(ids.len() / 2);
        (one.to_vec(), other.to_vec())
    })
}

fn number(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

fn strange(what: &str) -> Fault {
    Fault {
        class: Class::Transport,
        code: None,
        message: what.to_owned(),
        request_id: None,
        executed: Executed::No,
        cloud_ms: None,
    }
}

#[cfg(test)]
mod tests;
