//! What a cloud account holds, ours or not: tables and JSON.

use super::node::{Node, object};
use super::style::{Ink, Line, Page, Style};
use super::table::{Column, table};
use super::words;

/// What `format` says in the JSON of what a cloud holds.
pub const FORMAT: &str = "fleetwright-inspect/1";

/// What an account holds in all its regions, in the order in which it is shown.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Inspect {
    /// Instances.
    pub instances: Vec<InspectInstance>,
    /// Custom images.
    pub images: Vec<InspectImage>,
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
    /// The block that its tag names; empty: it is not ours.
    pub owner: String,
}

/// Both tables; the account is shown where there are several.
#[must_use]
pub fn text(held: &Inspect, style: Style) -> String {
    const INSTANCES: [Column; 9] = [
        Column::whole("ID"),
        Column::whole("ACCOUNT"),
        Column::wraps("NAME"),
        Column::whole("ZONE"),
        Column::whole("STATE"),
        Column::whole("TYPE"),
        Column::whole("IMAGE"),
        Column::wraps("ADDRESSES").optional(),
        Column::wraps("OWNER").optional(),
    ];
    const IMAGES: [Column; 8] = [
        Column::whole("ID"),
        Column::whole("ACCOUNT"),
        Column::wraps("NAME"),
        Column::whole("REGION"),
        Column::whole("STATE"),
        Column::whole("SIZE"),
        Column::wraps("SHARED WITH"),
        Column::wraps("OWNER").optional(),
    ];
    let Inspect { instances, images } = held;
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
                row.owner.clone(),
            ]
        })
        .collect();
    let mut text = String::new();
    for (noun, columns, rows) in [("custom image", &IMAGES[..], &images), ("instance", &INSTANCES[..], &instances)] {
        if rows.is_empty() {
            continue;
        }
        if !text.is_empty() {
            text.push('\n');
        }
        let mut title = Page::new(style);
        title.wrap(0, 0, &Line::new().add(Ink::Strong, format!("{}:", words::plural(rows.len(), noun))));
        text.push_str(&title.finish());
        text.push_str(&table(columns, rows, style));
    }
    if text.is_empty() { "The cloud holds nothing.\n".to_owned() } else { text }
}

/// The same as JSON.
#[must_use]
pub fn json(held: &Inspect) -> String {
    let Inspect { instances, images } = held;
    let owned = |owner: &str| if owner.is_empty() { Node::Null } else { owner.into() };
    let images = images.iter().map(|image| {
        let InspectImage { account, id, name, region, state, size_gib, shared_with, owner } = image;
        object! {
            "id" => id,
            "account" => account,
            "name" => name,
            "region" => region,
            "state" => state,
            "size_gib" => *size_gib,
            "shared_with" => Node::list(shared_with),
            "owner" => owned(owner),
        }
    });
    let instances = instances.iter().map(|instance| {
        let InspectInstance { account, id, name, zone, state, instance_type, image, addresses, owner } = instance;
        object! {
            "id" => id,
            "account" => account,
            "name" => name,
            "zone" => zone,
            "state" => state,
            "type" => instance_type,
            "image" => image,
            "addresses" => Node::list(addresses),
            "owner" => owned(owner),
        }
    });
    object! { "format" => FORMAT, "images" => Node::list(images), "instances" => Node::list(instances) }.pretty()
}
