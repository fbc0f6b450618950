//! What the state of another environment offers: which versions of an image it has, and which of them is its current one.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::addr::{Block, Kind};
use crate::model::ids::{CloudId, Name, Region, Uin};
use crate::model::promotion::{Edition, Offer, Offered, Offers, PromotedFrom};
use crate::model::recorded::{Object, Recorded, Status};
use crate::model::spec::{ImageUse, ObjectSpec, ShareCopySpec};
use crate::plan::images::marked_as_old;
use crate::plan::lineage;

/// What a state has of an image. `endpoint` is the cloud that ours is of: an id of another one says nothing here.
#[must_use]
pub fn offers(recorded: &Recorded, from: &PromotedFrom, endpoint: &str) -> Offers {
    let Some(origin) = &recorded.origin else { return Offers::NoState };
    if origin.project != from.project {
        return Offers::OtherProject(origin.project.clone());
    }
    if origin.endpoint != endpoint {
        return Offers::OtherCloud(origin.endpoint.clone());
    }
    let block = Block::image(&from.image);
    let rows: Vec<&Object> = recorded.objects.iter().filter(|row| row.kind() == Kind::Image).collect();
    let known = recorded.versions.iter().any(|record| record.block == block);
    if !known && !rows.iter().any(|row| row.addr.block == block) {
        return Offers::NoImage(rows.iter().map(|row| row.addr.block.name.clone()).collect());
    }
    let whole: Vec<(Edition, &Object)> = rows
        .into_iter()
        .filter(|row| row.addr.block == block && row.status == Status::Ready)
        .filter_map(|row| Some((Edition { version: row.addr.version.clone()?, generation: row.generation }, row)))
        .collect();
    let used = in_use(recorded, &from.image);
    let fit = whole.iter().filter(|(edition, _)| !recorded.is_quarantined(&made(&from.image, edition)));
    let current = fit.max_by_key(|(edition, row)| {
        (!marked_as_old(row), used.contains(edition), row.accepted_ms, edition.generation)
    });
    let current = current.map(|(edition, _)| edition.clone());
    let shares = shares(recorded);
    let copies = whole.into_iter().filter_map(|(edition, row)| {
        let lineage = lineage::of(recorded, &made(&from.image, &edition));
        Some(Offered {
            edition,
            region: row.region.clone(),
            id: row.cloud_id.image()?.clone(),
            made_ms: row.accepted_ms,
            accounts: shares.get(&(&row.region, &row.cloud_id)).cloned().unwrap_or_default(),
            encrypted: lineage.encrypted,
            own_licence: lineage.own_licence,
        })
    });
    Offers::Has(Offer { account: origin.account.clone(), current, copies: copies.collect() })
}

fn made(image: &Name, edition: &Edition) -> ImageUse {
    let Edition { version, generation } = edition.clone();
    ImageUse::Made { image: image.clone(), version, generation }
}

/// The versions of an image that instances run from.
fn in_use(recorded: &Recorded, image: &Name) -> BTreeSet<Edition> {
    let slots = recorded.objects.iter().filter_map(|row| match row.spec.as_ref() {
        ObjectSpec::Slot(spec) => Some(&spec.image),
        ObjectSpec::Image(_) | ObjectSpec::Share(_) => None,
    });
    let of_image = slots.filter_map(|use_| match use_ {
        ImageUse::Made { image: of, version, generation } if of == image => Some((version, *generation)),
        ImageUse::Made { .. } | ImageUse::Found { .. } | ImageUse::Promoted { .. } => None,
    });
    // There are many slots, and few versions.
    let few: BTreeSet<_> = of_image.collect();
    few.into_iter().map(|(version, generation)| Edition { version: version.clone(), generation }).collect()
}

/// The accounts that copies are shared with.
fn shares(recorded: &Recorded) -> BTreeMap<(&Region, &CloudId), BTreeSet<Uin>> {
    let mut shares: BTreeMap<_, BTreeSet<Uin>> = BTreeMap::new();
    for row in &recorded.objects {
        if let ObjectSpec::Share(ShareCopySpec { accounts }) = row.spec.as_ref() {
            shares.entry((&row.region, &row.cloud_id)).or_default().extend(accounts.iter().cloned());
        }
    }
    shares
}
