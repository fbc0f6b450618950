//! The words of the language: what may stand where, and what is known but not supported yet. Whatever is not in these
//! tables is a fault.

/// The keys of one kind of mapping.
#[derive(Debug)]
pub(super) struct Keys {
    /// What it is, with its article.
    pub(super) what: &'static str,
    /// What it may hold.
    pub(super) known: &'static [&'static str],
    /// What it may hold one day.
    pub(super) later: &'static [&'static str],
    /// Words that people bring along from elsewhere, and what to do instead.
    pub(super) hints: &'static [(&'static str, &'static str)],
    /// The mapping around it, and the key that this one is the value of.
    pub(super) around: Option<&'static Self>,
    /// Mappings in it, by their key.
    pub(super) inside: &'static [(&'static str, &'static Self)],
}

const NONE: Keys = Keys { what: "", known: &[], later: &[], hints: &[], around: None, inside: &[] };

pub(super) static TOP: Keys = Keys {
    what: "a config",
    known: &["project", "cloud", "trusted_owners", "images", "shares", "fleets"],
    later: &["backups", "variables", "modules", "policies"],
    hints: &[
        ("name", "the name of it all is `project`"),
        ("provider", "`provider` belongs inside `cloud`"),
        ("region", "`region` belongs inside `cloud`"),
        ("account", "`account` belongs inside `cloud`"),
    ],
    ..NONE
};

pub(super) static CLOUD: Keys = Keys {
    what: "`cloud`",
    known: &[
        "provider",
        "region",
        "account",
        "latency",
        "limits",
        "endpoint",
        "profile",
        "signature_window_s",
        "settle_s",
    ],
    hints: &[
        ("secret_id", "credentials never stand in a config: anyone who reads it could use them"),
        ("secret_key", "credentials never stand in a config: anyone who reads it could use them"),
    ],
    inside: &[("limits", &LIMITS)],
    ..NONE
};

pub(super) static LIMITS: Keys = Keys {
    what: "`limits`",
    known: &["images_per_region", "accounts_per_image", "instances_per_zone"],
    around: Some(&CLOUD),
    ..NONE
};

pub(super) static IMAGE: Keys = Keys {
    what: "an image",
    known: &[
        "public",
        "shared",
        "marketplace",
        "from_instance",
        "import",
        "copy",
        "build",
        "version",
        "name",
        "family",
        "keep",
        "deprecate_kept",
        "share_kept",
        "revoke",
        "protect",
        "description",
        "tags",
        "regions",
    ],
    hints: &[
        ("deprecated", "with `deprecate_kept: true` the older versions that `keep` leaves are marked as deprecated"),
        ("encrypt", "an encrypted image is a copy of another one: `copy: { image: NAME, encrypt: true }`"),
    ],
    inside: &[
        ("from_instance", &FROM_INSTANCE),
        ("public", &PUBLIC),
        ("shared", &SHARED),
        ("marketplace", &MARKETPLACE),
        ("import", &IMPORT),
        ("copy", &COPY),
        ("build", &BUILD),
    ],
    ..NONE
};

/// The keys of an image that say where it comes from, of which one is needed.
pub(super) const SOURCES: [&str; 7] = ["public", "shared", "marketplace", "from_instance", "import", "copy", "build"];

/// What can be said of a custom image only, because nobody but its owner can change it.
pub(super) const OURS_ONLY: [&str; 11] = [
    "version",
    "name",
    "family",
    "keep",
    "deprecate_kept",
    "share_kept",
    "revoke",
    "protect",
    "description",
    "tags",
    "regions",
];

pub(super) static PUBLIC: Keys = Keys {
    what: "`public`",
    known: &["name"],
    hints: &[("id", "a public image is found by its exact `name`; the id that it has is pinned in fleetwright.lock")],
    around: Some(&IMAGE),
    ..NONE
};

pub(super) static SHARED: Keys = Keys {
    what: "`shared`",
    known: &["id", "owner", "from"],
    hints: &[
        ("name", "a shared image is named by its `id`: its owner may call it anything, at any time"),
        ("account", "it is called `owner`"),
    ],
    around: Some(&IMAGE),
    inside: &[("from", &PROMOTED)],
    ..NONE
};

pub(super) static PROMOTED: Keys = Keys {
    what: "`from`",
    known: &["project", "env", "image", "dir"],
    hints: &[
        ("environment", "it is called `env`"),
        ("version", "what is promoted is pinned in fleetwright.lock; `plan --upgrade` moves it on"),
        ("account", "the state of that environment tells whose its images are"),
    ],
    around: Some(&SHARED),
    ..NONE
};

pub(super) static MARKETPLACE: Keys = Keys {
    what: "`marketplace`",
    known: &["id", "accept_fee"],
    hints: &[("name", "a marketplace image is named by its `id`")],
    around: Some(&IMAGE),
    ..NONE
};

pub(super) static IMPORT: Keys = Keys {
    what: "`import`",
    known: &["url", "os", "os_version", "architecture", "boot_mode", "force", "license"],
    hints: &[("file", "the cloud fetches the file itself: put it into a bucket, and name it with `url`")],
    around: Some(&IMAGE),
    ..NONE
};

pub(super) static COPY: Keys = Keys {
    what: "`copy`",
    known: &["image", "encrypt", "kms_key"],
    hints: &[("regions", "`regions` stands one level up, beside `copy`")],
    around: Some(&IMAGE),
    ..NONE
};

pub(super) static FROM_INSTANCE: Keys = Keys {
    what: "`from_instance`",
    known: &["instance", "power_off", "ready", "timeout"],
    around: Some(&IMAGE),
    ..NONE
};

pub(super) static BUILD: Keys = Keys {
    what: "`build`",
    known: &[
        "base",
        "type",
        "zone",
        "system_disk",
        "data_disks",
        "network",
        "internet",
        "login",
        "user_data",
        "ready",
        "timeout",
        "on_failure",
    ],
    hints: &[
        ("image", "it is called `base`"),
        ("instance_type", "it is called `type`"),
        ("region", "the image is made in the region of `zone`, or in that of `cloud`"),
        ("power_off", "a builder is always shut down for its capture"),
        ("password", "there are no passwords in a config; use `login: { key_ids: [skey-…] }`"),
    ],
    around: Some(&IMAGE),
    inside: &[
        ("network", &NETWORK),
        ("internet", &INTERNET),
        ("login", &LOGIN),
        ("user_data", &USER_DATA),
        ("ready", &READY),
    ],
    ..NONE
};

pub(super) static READY: Keys = Keys {
    what: "`ready`",
    known: &["after", "tag"],
    hints: &[("stopped", "write `ready: stopped`"), ("running", "write `ready: running`")],
    around: Some(&FROM_INSTANCE),
    ..NONE
};

pub(super) static SHARE: Keys =
    Keys { what: "a share", known: &["image", "accounts", "undeclared"], later: &["revoke"], ..NONE };

pub(super) static FLEET: Keys = Keys {
    what: "a fleet",
    known: &[
        "image",
        "count",
        "region",
        "zones",
        "type",
        "system_disk",
        "data_disks",
        "network",
        "internet",
        "login",
        "tags",
        "user_data",
        "update",
        "hostname",
        "charge_type",
        "prepaid",
        "spot",
        "placement_group",
        "cam_role",
        "state",
        "protect",
        "ignore_changes",
        "health",
    ],
    hints: &[
        ("instance_type", "it is called `type`"),
        ("image_id", "name an image block with `image`; a public image is looked up by its name"),
        ("password", "there are no passwords in a config; use `login: { key_ids: [skey-…] }`"),
        ("version", "a version belongs to an image"),
    ],
    inside: &[
        ("network", &NETWORK),
        ("internet", &INTERNET),
        ("login", &LOGIN),
        ("update", &UPDATE),
        ("health", &HEALTH),
        ("user_data", &USER_DATA),
        ("prepaid", &PREPAID),
        ("spot", &SPOT),
    ],
    ..NONE
};

pub(super) static DISK: Keys = Keys {
    what: "a disk",
    known: &["type", "size"],
    later: &["encrypt", "snapshot", "delete_with_instance"],
    around: Some(&FLEET),
    ..NONE
};

pub(super) static NETWORK: Keys = Keys {
    what: "`network`",
    known: &["vpc", "subnets", "security_groups"],
    hints: &[("subnet", "write one subnet a zone: `subnets: { ap-guangzhou-3: subnet-… }`")],
    around: Some(&FLEET),
    ..NONE
};

pub(super) static INTERNET: Keys =
    Keys { what: "`internet`", known: &["charge", "bandwidth_mbps", "public_ip"], around: Some(&FLEET), ..NONE };

pub(super) static LOGIN: Keys = Keys {
    what: "`login`",
    known: &["key_ids", "keep_image_login"],
    hints: &[("password", "there are no passwords in a config; use `key_ids` or `keep_image_login: true`")],
    around: Some(&FLEET),
    ..NONE
};

pub(super) static USER_DATA: Keys =
    Keys { what: "`user_data`", known: &["file", "text"], around: Some(&FLEET), ..NONE };

pub(super) static PREPAID: Keys = Keys { what: "`prepaid`", known: &["months", "renew"], around: Some(&FLEET), ..NONE };

pub(super) static SPOT: Keys = Keys { what: "`spot`", known: &["max_price"], around: Some(&FLEET), ..NONE };

pub(super) static UPDATE: Keys = Keys {
    what: "`update`",
    known: &[
        "strategy",
        "max_surge",
        "max_unavailable",
        "batch",
        "canary",
        "pause",
        "bake",
        "min_ready",
        "hooks",
        "max_failures",
        "on_failure",
        "order",
        "min_available",
    ],
    hints: &[("health", "`health` stands one level up, beside `update`")],
    around: Some(&FLEET),
    inside: &[("hooks", &HOOKS)],
    ..NONE
};

pub(super) static HOOKS: Keys = Keys {
    what: "`hooks`",
    known: &["before_stop", "after_ready"],
    around: Some(&UPDATE),
    inside: &[("before_stop", &HOOK), ("after_ready", &HOOK)],
    ..NONE
};

pub(super) static HOOK: Keys = Keys {
    what: "a hook",
    known: &["command", "webhook", "timeout"],
    hints: &[("url", "it is called `webhook`"), ("run", "it is called `command`")],
    around: Some(&HOOKS),
    ..NONE
};

pub(super) static HEALTH: Keys = Keys {
    what: "`health`",
    known: &["tcp", "http", "address", "interval", "threshold", "deadline"],
    hints: &[("timeout", "it is called `deadline`: how long it may take until an instance is healthy")],
    around: Some(&FLEET),
    inside: &[("tcp", &TCP), ("http", &HTTP)],
    ..NONE
};

pub(super) static TCP: Keys = Keys { what: "`tcp`", known: &["port"], around: Some(&HEALTH), ..NONE };

pub(super) static HTTP: Keys =
    Keys { what: "`http`", known: &["port", "path", "status", "body"], around: Some(&HEALTH), ..NONE };

/// All tables.
#[cfg(test)]
pub(super) static TABLES: [&Keys; 28] = [
    &TOP,
    &CLOUD,
    &LIMITS,
    &IMAGE,
    &PUBLIC,
    &SHARED,
    &PROMOTED,
    &MARKETPLACE,
    &IMPORT,
    &COPY,
    &FROM_INSTANCE,
    &BUILD,
    &READY,
    &SHARE,
    &FLEET,
    &DISK,
    &NETWORK,
    &INTERNET,
    &LOGIN,
    &USER_DATA,
    &PREPAID,
    &SPOT,
    &UPDATE,
    &HOOKS,
    &HOOK,
    &HEALTH,
    &TCP,
    &HTTP,
];

/// Disk types that can be chosen (API text, enumerations of disks).
pub(super) const DISK_TYPES: &[&str] = &[
    "CLOUD_BASIC",
    "CLOUD_PREMIUM",
    "CLOUD_SSD",
    "CLOUD_BSSD",
    "CLOUD_HSSD",
    "CLOUD_TSSD",
    "LOCAL_BASIC",
    "LOCAL_SSD",
];

pub(super) use crate::diagnostic::nearest;

/// `a`, `b` and `c`.
pub(super) fn listed<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    joined(words, "and")
}

/// `a`, `b` or `c`.
pub(super) fn either<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    joined(words, "or")
}

fn joined<'a>(words: impl IntoIterator<Item = &'a str>, last_word: &str) -> String {
    let words: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    match words.as_slice() {
        [] => "nothing".to_owned(),
        [one] => one.clone(),
        [many @ .., last] => format!("{} {last_word} {last}", many.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_near_words_are_suggested() {
        assert_eq!(nearest("zone", FLEET.known.iter().copied()), Some("zones"));
        assert_eq!(nearest("iamge", FLEET.known.iter().copied()), Some("image"));
        assert_eq!(nearest("max_unavailible", UPDATE.known.iter().copied()), Some("max_unavailable"));
        assert_eq!(nearest("colour", FLEET.known.iter().copied()), None);
        assert_eq!(nearest("x", ["y", "web"]), Some("y"));
    }

    #[test]
    fn the_case_of_the_whole_language_shows_every_key() {
        let texts = [
            include_str!("../../tests/cases/config/ok-whole-language/a_images.yaml"),
            include_str!("../../tests/cases/config/ok-whole-language/b_fleets.yaml"),
            include_str!("../../tests/cases/config/ok-tencent/main.yaml"),
        ];
        let shown = |key: &str| {
            let key = format!("{key}:");
            texts.iter().any(|text| text.split([' ', '\n', '{']).any(|word| word == key))
        };
        for keys in TABLES {
            let missing: Vec<_> = keys.known.iter().filter(|key| !shown(key)).collect();
            assert!(missing.is_empty(), "{} with {missing:?}", keys.what);
        }
    }

    #[test]
    fn no_key_is_both_known_and_later() {
        for keys in TABLES {
            assert!(keys.later.iter().all(|later| !keys.known.contains(later)), "{}", keys.what);
            assert!(keys.inside.iter().all(|(key, _)| keys.known.contains(key)), "{}", keys.what);
        }
    }
}
