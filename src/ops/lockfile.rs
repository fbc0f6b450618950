//! `fleetwright.lock`: the look-ups that were made once, beside the config, for version control.
//!
//! Entries are keyed by endpoint, account, region and look-up, so that environments do not overwrite each other. It
//! is written whole: to a file beside it, and then renamed.

use std::io::{ErrorKind, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Problem, Site};
use crate::diagnostic::{Diagnostic, codes};
use crate::model::Millis;
use crate::model::ids::{ImageId, Name, Region, Uin, Version};
use crate::model::pins::{Pin, PinKey, Pins};
use crate::model::promotion::{Edition, PromotedFrom, PromotedKey, PromotedPin, PromotedPins};

/// The name of the file.
const FILE: &str = "fleetwright.lock";
/// The version of its form.
const FORMAT: u32 = 2;
/// The version of its form where nothing is promoted: whoever knows nothing of promotions can read it, too.
const WITHOUT_PROMOTIONS: u32 = 1;
/// Far more than the pins of any project.
const MOST_BYTES: u64 = 64 << 20;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: u32,
    about: String,
    public_images: Vec<Entry>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    promoted_images: Vec<PromotedEntry>,
}

/// What the file keeps.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Lock {
    /// Look-ups of public images.
    pub(super) public: Pins,
    /// What was promoted from other environments.
    pub(super) promoted: PromotedPins,
}

/// What a file of any format has.
#[derive(Deserialize)]
struct Format {
    format: u32,
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

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PromotedEntry {
    endpoint: String,
    account: Uin,
    env: Name,
    region: Region,
    from: PromotedFrom,
    version: Version,
    generation: u32,
    id: ImageId,
    owner: Uin,
    created_ms: Millis,
}

const ABOUT: &str = "Images that look-ups are pinned to. Written by fleetwright apply; commit it.";

/// Reads the pins; none where there is no such file.
pub(super) fn read(site: &Site) -> Result<Lock, Problem> {
    let path = site.dir.join(FILE);
    let text = match read_text(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound && std::fs::symlink_metadata(&path).is_err() => {
            return Ok(Lock::default());
        }
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            let shown = site.show(&path);
            return Err(Problem::of(
                Diagnostic::error(codes::BAD_LOCK_FILE, format!("{shown} cannot be read: {error}"))
                    .why("it says which images look-ups are pinned to")
                    .help("check its owner and its permissions"),
            ));
        }
        Err(error) => return Err(bad(site, &format!("it cannot be read: {error}"))),
    };
    if let Some(line) = text.lines().position(|line| line.starts_with("<<<<<<<") || line.starts_with(">>>>>>>")) {
        return Err(bad(site, &format!("line {} is a mark of a merge that was not finished", line + 1)));
    }
    if let Ok(Format { format }) = serde_json::from_str(&text)
        && format > FORMAT
    {
        return Err(bad(site, &format!("its format is {format}, and this build knows {FORMAT}")));
    }
    let file: File = serde_json::from_str(&text).map_err(|error| bad(site, &error.to_string()))?;
    if file.format != FORMAT && file.format != WITHOUT_PROMOTIONS {
        return Err(bad(site, &format!("its format is {}, and this build knows {FORMAT}", file.format)));
    }
    let pin = |entry: Entry| {
        let Entry { endpoint, account, region, name, id, created_ms } = entry;
        (PinKey { endpoint, account, region, name }, Pin { id, created_ms })
    };
    let promoted = |entry: PromotedEntry| {
        let PromotedEntry { endpoint, account, env, region, from, version, generation, id, owner, created_ms } = entry;
        let edition = Edition { version, generation };
        (PromotedKey { endpoint, account, env, region, from }, PromotedPin { edition, id, owner, created_ms })
    };
    Ok(Lock {
        public: file.public_images.into_iter().map(pin).collect(),
        promoted: file.promoted_images.into_iter().map(promoted).collect(),
    })
}

/// The text of a file; what is no file, such as a pipe, might never end.
fn read_text(path: &Path) -> std::io::Result<String> {
    let meta = std::fs::metadata(path)?;
    if !meta.is_file() {
        let what = if meta.is_dir() { "it is a directory" } else { "it is not a file" };
        return Err(std::io::Error::other(what));
    }
    if meta.len() > MOST_BYTES {
        return Err(std::io::Error::other("it is larger than 64 MiB"));
    }
    std::fs::read_to_string(path)
}

fn bad(site: &Site, why: &str) -> Problem {
    Problem::of(
        Diagnostic::error(codes::BAD_LOCK_FILE, format!("{} cannot be used: {why}", site.show(&site.dir.join(FILE))))
            .why("it says which images look-ups are pinned to")
            .help("restore it from version control; without the file, the newest matches are pinned"),
    )
}

/// Adds pins to the file; what other environments pinned stays.
pub(super) fn add(site: &Site, new: Lock) -> Result<(), Problem> {
    let mut lock = read(site)?;
    lock.public.extend(new.public);
    lock.promoted.extend(new.promoted);
    let entry = |(key, pin): (&PinKey, &Pin)| Entry {
        endpoint: key.endpoint.clone(),
        account: key.account.clone(),
        region: key.region.clone(),
        name: key.name.clone(),
        id: pin.id.clone(),
        created_ms: pin.created_ms,
    };
    let promoted = |(key, pin): (PromotedKey, PromotedPin)| {
        let PromotedKey { endpoint, account, env, region, from } = key;
        let PromotedPin { edition: Edition { version, generation }, id, owner, created_ms } = pin;
        PromotedEntry { endpoint, account, env, region, from, version, generation, id, owner, created_ms }
    };
    let file = File {
        format: if lock.promoted.is_empty() { WITHOUT_PROMOTIONS } else { FORMAT },
        about: ABOUT.into(),
        public_images: lock.public.iter().map(entry).collect(),
        promoted_images: lock.promoted.into_iter().map(promoted).collect(),
    };
    let mut text = serde_json::to_string_pretty(&file).map_err(|error| bad(site, &error.to_string()))?;
    text.push('\n');
    let path = site.dir.join(FILE);
    let beside = site.dir.join(format!(".{FILE}.{}", site.holder.pid));
    let written = std::fs::File::create(&beside).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.and_then(|()| std::fs::rename(&beside, &path)).map_err(|error| {
        drop(std::fs::remove_file(&beside));
        Problem::of(
            Diagnostic::error(codes::UNWRITABLE, format!("{} cannot be written: {error}", site.show(&path)))
                .why("look-ups are pinned there before anything is made with them; nothing was changed in the cloud")
                .help("check the owner and the permissions of its directory, and whether the disk is full"),
        )
    })
}
