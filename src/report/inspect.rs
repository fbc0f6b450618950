//! What a cloud account holds, ours or not: tables and JSON.

use super::node::{Node, object};
use super::style::{Ink, Line, Page, Style};
use super::table::{Column, table};
use super::words;

/// What `format` says in the JSON of what a cloud holds.
pub const FORMAT: &str = "fleetwright-inspect/1";

/// How instances are paid for where nothing else is said.
const HOURLY: &str = "POSTPAID_BY_HOUR";

/// What an account holds in all its regions, in the order in which it is shown.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Inspect {
    /// Instances.
    pub instances: Vec<InspectInstance>,
    /// Custom images.
    pub images: Vec<InspectImage>,
    /// Images of others that are there from the start.
    pub offers: Vec<InspectOffer>,
}

/// An instance.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct InspectInstance {
    /// The account that owns it.
    pub account: String,
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Where it is.
    pub zone: String,
    /// Its state, as the API has it.
    pub state: String,
    /// Its type.
    pub instance_type: String,
    /// The image that it runs from.
    pub image: String,
    /// What it can be reached by.
    pub addresses: Vec<String>,
    /// How it is paid for, as the API has it.
    pub charge_type: String,
    /// Whether it cannot be terminated.
    pub protected: bool,
    /// What its host is called.
    pub hostname: String,
    /// The placement group that it is in.
    pub placement_group: Option<String>,
    /// Its access role.
    pub cam_role: Option<String>,
    /// What the image that it comes from costs, in millionths of a yuan an hour.
    pub fee_micros_per_hour: i64,
    /// The block that its tag names; empty: it is not ours.
    pub owner: String,
}

/// A custom image.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct InspectImage {
    /// The account that owns it.
    pub account: String,
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Where it is.
    pub region: String,
    /// Its state, as the API has it.
    pub state: String,
    /// Its size.
    pub size_gib: u32,
    /// The accounts that it is shared with.
    pub shared_with: Vec<String>,
    /// Its family; empty: none.
    pub family: String,
    /// Whether it is deprecated.
    pub deprecated: bool,
    /// Whether it came in as a file.
    pub imported: bool,
    /// Whether it is encrypted.
    pub encrypted: bool,
    /// Why it failed, where it did.
    pub error: Option<String>,
    /// What it costs whoever runs it, in millionths of a yuan an hour.
    pub fee_micros_per_hour: i64,
    /// The block that its tag names; empty: it is not ours.
    pub owner: String,
}

/// An image of somebody else.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct InspectOffer {
    /// Its id.
    pub id: String,
    /// `shared`, `private` or `marketplace`.
    pub kind: String,
    /// The account that owns it; empty: the marketplace sells it.
    pub owner: String,
    /// Its name.
    pub name: String,
    /// Where it is.
    pub region: String,
    /// What it costs whoever runs it, in millionths of a yuan an hour.
    pub fee_micros_per_hour: i64,
}

/// What is out of the ordinary about an instance.
fn instance_notes(instance: &InspectInstance) -> String {
    let mut notes = Vec::new();
    if instance.charge_type != HOURLY {
        notes.push(instance.charge_type.clone());
    }
    if instance.protected {
        notes.push("protected".to_owned());
    }
    notes.extend(instance.placement_group.iter().map(|group| format!("in {group}")));
    notes.extend(instance.cam_role.iter().map(|role| format!("as {role}")));
    notes.extend(fee(instance.fee_micros_per_hour));
    notes.join(", ")
}

/// What is out of the ordinary about an image.
fn image_notes(image: &InspectImage) -> String {
    let mut notes = Vec::new();
    notes.extend(image.error.iter().map(|error| format!("failed: {error}")));
    let words = [(image.imported, "imported"), (image.encrypted, "encrypted"), (image.deprecated, "deprecated")];
    notes.extend(words.into_iter().filter(|(is, _)| *is).map(|(_, word)| word.to_owned()));
    if !image.family.is_empty() {
        notes.push(format!("family {}", image.family));
    }
    notes.extend(fee(image.fee_micros_per_hour));
    notes.join(", ")
}

/// Such as `fee 0.12 yuan an hour`.
fn fee(micros: i64) -> Option<String> {
    if micros == 0 {
        return None;
    }
    let part = format!("{:06}", micros % 1_000_000);
    let part = part.trim_end_matches('0');
    let point = if part.is_empty() { "" } else { "." };
    Some(format!("fee {}{point}{part} yuan an hour", micros / 1_000_000))
}

/// All tables; the account is shown where there are several.
#[must_use]
pub fn text(held: &Inspect, style: Style) -> String {
    const INSTANCES: [Column; 10] = [
        Column::whole("ID"),
        Column::whole("ACCOUNT"),
        Column::wraps("NAME"),
        Column::whole("ZONE"),
        Column::whole("STATE"),
        Column::whole("TYPE"),
        Column::whole("IMAGE"),
        Column::wraps("NOTES"),
        Column::wraps("ADDRESSES").optional(),
        Column::wraps("OWNER").optional(),
    ];
    const IMAGES: [Column; 9] = [
        Column::whole("ID"),
        Column::whole("ACCOUNT"),
        Column::wraps("NAME"),
        Column::whole("REGION"),
        Column::whole("STATE"),
        Column::whole("SIZE"),
        Column::wraps("SHARED WITH"),
        Column::wraps("NOTES"),
        Column::wraps("OWNER").optional(),
    ];
    const OFFERS: [Column; 6] = [
        Column::whole("ID"),
        Column::whole("KIND"),
        Column::whole("OWNER"),
        Column::wraps("NAME"),
        Column::whole("REGION"),
        Column::wraps("FEE"),
    ];
    let Inspect { instances, images, offers } = held;
    let mut accounts = instances.iter().map(|row| &row.account).chain(images.iter().map(|row| &row.account));
    let several = accounts.next().is_some_and(|first| accounts.any(|other| other != first));
    let account = |account: &str| if several { account.to_owned() } else { String::new() };
    let instances: Vec<Vec<String>> = instances
        .iter()
        .map(|row| {
            vec![
                row.id.clone(),
                account(&row.account),
                row.name.clone(),
                row.zone.clone(),
                row.state.clone(),
                row.instance_type.clone(),
                row.image.clone(),
                instance_notes(row),
                row.addresses.join(", "),
                row.owner.clone(),
            ]
        })
        .collect();
    let images: Vec<Vec<String>> = images
        .iter()
        .map(|row| {
            vec![
                row.id.clone(),
                account(&row.account),
                row.name.clone(),
                row.region.clone(),
                row.state.clone(),
                format!("{} GiB", row.size_gib),
                row.shared_with.join(", "),
                image_notes(row),
                row.owner.clone(),
            ]
        })
        .collect();
    let offers: Vec<Vec<String>> = offers
        .iter()
        .map(|row| {
            let InspectOffer { id, kind, owner, name, region, fee_micros_per_hour } = row;
            let fee = fee(*fee_micros_per_hour).map(|fee| fee.trim_start_matches("fee ").to_owned());
            vec![id.clone(), kind.clone(), owner.clone(), name.clone(), region.clone(), fee.unwrap_or_default()]
        })
        .collect();
    let mut text = String::new();
    for (noun, more, columns, rows) in [
        ("custom image", "", &IMAGES[..], &images),
        ("instance", "", &INSTANCES[..], &instances),
        ("image", " of others, there from the start", &OFFERS[..], &offers),
    ] {
        if rows.is_empty() {
            continue;
        }
        if !text.is_empty() {
            text.push('\n');
        }
        let mut title = Page::new(style);
        title.wrap(0, 0, &Line::new().add(Ink::Strong, format!("{}{more}:", words::plural(rows.len(), noun))));
        text.push_str(&title.finish());
        text.push_str(&table(columns, rows, style));
    }
    if text.is_empty() { "The cloud holds nothing.\n".to_owned() } else { text }
}

/// The same as JSON.
#[must_use]
pub fn json(held: &Inspect) -> String {
    let Inspect { instances, images, offers } = held;
    let owned = |owner: &str| if owner.is_empty() { Node::Null } else { owner.into() };
    let maybe = |text: &Option<String>| owned(text.as_deref().unwrap_or_default());
    let images = images.iter().map(|image| {
        let InspectImage {
            account,
            id,
            name,
            region,
            state,
            size_gib,
            shared_with,
            family,
            deprecated,
            imported,
            encrypted,
            error,
            fee_micros_per_hour,
            owner,
        } = image;
        object! {
            "id" => id,
            "account" => account,
            "name" => name,
            "region" => region,
            "state" => state,
            "size_gib" => *size_gib,
            "shared_with" => Node::list(shared_with),
            "family" => owned(family),
            "deprecated" => *deprecated,
            "imported" => *imported,
            "encrypted" => *encrypted,
            "error" => maybe(error),
            "fee_micros_per_hour" => Node::Number(*fee_micros_per_hour),
            "owner" => owned(owner),
        }
    });
    let instances = instances.iter().map(|instance| {
        let InspectInstance {
            account,
            id,
            name,
            zone,
            state,
            instance_type,
            image,
            addresses,
            charge_type,
            protected,
            hostname,
            placement_group,
            cam_role,
            fee_micros_per_hour,
            owner,
        } = instance;
        object! {
            "id" => id,
            "account" => account,
            "name" => name,
            "zone" => zone,
            "state" => state,
            "type" => instance_type,
            "image" => image,
            "addresses" => Node::list(addresses),
            "charge_type" => charge_type,
            "protected" => *protected,
            "hostname" => hostname,
            "placement_group" => maybe(placement_group),
            "cam_role" => maybe(cam_role),
            "fee_micros_per_hour" => Node::Number(*fee_micros_per_hour),
            "owner" => owned(owner),
        }
    });
    let offers = offers.iter().map(|offer| {
        let InspectOffer { id, kind, owner, name, region, fee_micros_per_hour } = offer;
        object! {
            "id" => id,
            "kind" => kind,
            "account" => owned(owner),
            "name" => name,
            "region" => region,
            "fee_micros_per_hour" => Node::Number(*fee_micros_per_hour),
        }
    });
    object! {
        "format" => FORMAT,
        "images" => Node::list(images),
        "instances" => Node::list(instances),
        "offers" => Node::list(offers),
    }
    .pretty()
}
