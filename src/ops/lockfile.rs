//! `fleetwright.lock`: the look-ups that were made once, beside the config, for version control.
//!
//! Entries are keyed by endpoint, account, region and look-up, so that environments do not overwrite each other. It
//! is written whole: to a file beside it, and then renamed.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Write};

use serde::{Deserialize, Serialize};

use super::{Problem, Site};
use crate::diagnostic::{Diagnostic, codes};
use crate::model::Millis;
use crate::model::ids::{ImageId, Region, Uin};
use crate::model::pins::{Pin, PinKey, Pins};

/// The name of the file.
const NAME: &str = "fleetwright.lock";
/// The version of its form.
const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: u32,
    about: String,
    public_images: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    endpoint: String,
    account: Uin,
    region: Region,
    name: String,
    id: ImageId,
    created_ms: Millis,
}

const ABOUT: &str = "Images that look-ups are pinned to. Written by fleetwright apply; commit it.";

/// Reads the pins; none where there is no such file.
pub(super) fn read(site: &Site) -> Result<Pins, Problem> {
    let path = site.dir.join(NAME);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(bad(site, &format!("it cannot be read: {error}"))),
    };
    let file: File = serde_json::from_str(&text).map_err(|error| bad(site, &error.to_string()))?;
    if file.format != FORMAT {
        return Err(bad(site, &format!("its format is {}, and this build knows {FORMAT}", file.format)));
    }
    let pin = |entry: Entry| {
        let Entry { endpoint, account, region, name, id, created_ms } = entry;
        (PinKey { endpoint, account, region, name }, Pin { id, created_ms })
    };
    Ok(file.public_images.into_iter().map(pin).collect())
}

fn bad(site: &Site, why: &str) -> Problem {
    Problem::of(
        Diagnostic::error(codes::BAD_LOCK_FILE, format!("{} cannot be used: {why}", site.show(&site.dir.join(NAME))))
            .why("it says which images look-ups are pinned to")
            .help("restore it from version control; without the file, the newest matches are pinned"),
    )
}

/// Adds pins to the file; what other environments pinned stays.
pub(super) fn add(site: &Site, new: &Pins) -> Result<(), Problem> {
    let mut pins = read(site)?;
    pins.extend(new.iter().map(|(key, pin)| (key.clone(), pin.clone())));
    let entry = |(key, pin): (&PinKey, &Pin)| Entry {
        endpoint: key.endpoint.clone(),
        account: key.account.clone(),
        region: key.region.clone(),
        name: key.name.clone(),
        id: pin.id.clone(),
        created_ms: pin.created_ms,
    };
    let file = File { format: FORMAT, about: ABOUT.into(), public_images: pins.iter().map(entry).collect() };
    let mut text = serde_json::to_string_pretty(&file).map_err(|error| bad(site, &error.to_string()))?;
    text.push('\n');
    let path = site.dir.join(NAME);
    let beside = site.dir.join(format!(".{NAME}.{}", site.holder.pid));
    let written = std::fs::File::create(&beside).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written
        .and_then(|()| std::fs::rename(&beside, &path))
        .map_err(|error| bad(site, &format!("it cannot be written: {error}")))
}
