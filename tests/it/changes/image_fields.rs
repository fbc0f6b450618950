//! Every attribute of an image, by the table of `docs/changes.md`: what the config changes, and what somebody else does.

use std::path::Path;

use fleetwright::cli::Exit;
use fleetwright::diff::{ImageField, OnChange, OnDrift, image_field, image_table};
use fleetwright::model::attrs::ImageAttr;
use serde_json::json;

use crate::kit::{BOOT, Changed, GZ, IMAGE, SH, says};
use crate::rig::{OWNER, Rig};

const SHOP: &str = "shop.yaml";
const BLOCK: &str = "    description: \"the shop\"\n";

/// An image with everything declared, its second version, and the first one kept.
fn world() -> Rig {
    let more = "    description: \"the shop\"\n    name: \"acme-{version}\"\n    version: \"1\"\n    family: acme\n    \
                keep: 1\n    deprecate_kept: true\n";
    let rig = Rig::new(&[(SHOP, &IMAGE.replace(BLOCK, more)), ("boot.sh", BOOT)]);
    rig.settle();
    rig.edit(SHOP, "version: \"1\"", "version: \"2\"");
    rig.settle();
    rig
}

/// Changes an attribute in the config.
fn change(rig: &Rig, attr: ImageAttr) {
    match attr {
        ImageAttr::Source => {
            rig.write("boot.sh", &BOOT.replace("echo shop", "echo store"));
            rig.edit(SHOP, "    version: \"2\"\n", "");
        }
        ImageAttr::Version => rig.edit(SHOP, "version: \"2\"", "version: \"3\""),
        ImageAttr::Name => rig.edit(SHOP, "acme-{version}", "ajax-{version}"),
        ImageAttr::Regions => {
            rig.edit(SHOP, "[ap-guangzhou, ap-shanghai]", "[ap-guangzhou, ap-shanghai, ap-beijing]");
        }
        ImageAttr::Description => rig.edit(SHOP, "the shop", "the store"),
        ImageAttr::Family => rig.edit(SHOP, "family: acme", "family: ajax"),
        ImageAttr::Deprecated => rig.edit(SHOP, "    deprecate_kept: true\n", ""),
        ImageAttr::Keep => rig.edit(SHOP, "    keep: 1\n    deprecate_kept: true\n", "    keep: 0\n"),
        ImageAttr::Protect => rig.edit(SHOP, "    keep: 1\n", "    keep: 1\n    protect: true\n"),
        ImageAttr::Tags => rig.edit(SHOP, "tags: { app: web }", "tags: { app: store }"),
    }
}

/// Changes it by hand; `false`: nobody can.
fn by_hand(rig: &Rig, attr: ImageAttr) -> bool {
    let current = rig.images(SH)["acme-2"].clone();
    let kept = rig.images(SH)["acme-1"].clone();
    let modify = |body| drop(rig.by_hand(SH, "ModifyImageAttribute", &body));
    let delete = |id: &str| {
        let accounts = rig.shared(SH, id);
        if !accounts.is_empty() {
            let cancel = json!({"ImageId": id, "AccountIds": accounts, "Permission": "CANCEL"});
            rig.by_hand(SH, "ModifyImageSharePermission", &cancel);
        }
        rig.by_hand(SH, "DeleteImages", &json!({"ImageIds": [id], "DeleteBindedSnap": true}));
        rig.wait_ms(5_000);
    };
    match attr {
        ImageAttr::Source | ImageAttr::Version | ImageAttr::Protect => return false,
        ImageAttr::Name => modify(json!({"ImageId": current, "ImageName": "mine"})),
        ImageAttr::Regions => delete(&current),
        ImageAttr::Description => modify(json!({"ImageId": current, "ImageDescription": "mine"})),
        ImageAttr::Family => modify(json!({"ImageId": current, "ImageFamily": "mine"})),
        ImageAttr::Deprecated => modify(json!({"ImageId": kept, "ImageDeprecated": false})),
        ImageAttr::Keep => delete(&kept),
        ImageAttr::Tags => {
            let resource = format!("qcs::cvm:{SH}:uin/{OWNER}:image/{current}");
            rig.by_hand(SH, "UnTagResources", &json!({"ResourceList": [resource], "TagKeys": ["app"]}));
        }
    }
    true
}

const MAKING: [&str; 3] = ["CreateImage", "ImportImage", "RunInstances"];

#[track_caller]
fn changes_as_told(attr: ImageAttr, told: OnChange, changed: &Changed) {
    let calls = &changed.calls;
    let takes = |actions: &[&str]| actions.iter().any(|action| calls.contains_key(*action));
    match told {
        OnChange::InPlace => {
            assert!(takes(&["ModifyImageAttribute", "TagResources", "UnTagResources"]), "{attr}: {calls:?}");
            assert!(!takes(&MAKING) && !takes(&["SyncImages", "DeleteImages"]), "{attr}: {calls:?}");
        }
        OnChange::NewVersion => assert_eq!(calls.get("CreateImage"), Some(&1), "{attr}: {calls:?}"),
        OnChange::Copies => {
            assert!(takes(&["SyncImages", "DeleteImages"]) && !takes(&MAKING), "{attr}: {calls:?}");
        }
        OnChange::State => {
            assert!(calls.is_empty(), "{attr}: {calls:?}");
            changed.says("only the state learns it");
        }
        OnChange::Later => assert!(calls.is_empty(), "{attr}: {calls:?}"),
    }
}

#[test]
fn every_attribute_changes_as_the_table_says() {
    let world = world();
    for attr in ImageAttr::ALL.iter().copied() {
        let rig = world.fork();
        change(&rig, attr);
        if image_field(attr).change == OnChange::Later {
            says(&rig.run("plan").expect(Exit::Done).err, "note[name-later]");
        }
        changes_as_told(attr, image_field(attr).change, &rig.change());
    }
}

#[test]
fn every_attribute_drifts_as_the_table_says() {
    let world = world();
    for attr in ImageAttr::ALL.iter().copied() {
        let ImageField { drift, .. } = image_field(attr);
        let rig = world.fork();
        if !by_hand(&rig, attr) {
            assert_eq!(drift, OnDrift::Never, "{attr}");
            continue;
        }
        let before = (rig.images(GZ), rig.images(SH));
        match drift {
            OnDrift::Repaired => {
                let changed = rig.change();
                assert!(!changed.calls.is_empty(), "{attr}: {}", changed.plan);
                changed.says("outside");
            }
            OnDrift::Shown => {
                let shown = rig.run("plan").expect(Exit::Done).out;
                says(&shown, if attr == ImageAttr::Keep { "deleted outside" } else { "acme-2" });
                rig.change().took(&[]);
                assert_eq!((rig.images(GZ), rig.images(SH)), before, "{attr}");
            }
            OnDrift::Never => panic!("{attr} can be changed by hand"),
        }
    }
}

/// `UPDATE_DOCS=1` writes it anew.
#[test]
#[expect(clippy::disallowed_methods, reason = "documents are written anew on request")]
fn the_documentation_has_the_table() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/changes.md");
    let text = std::fs::read_to_string(&file).expect("docs/changes.md");
    let (head, rest) = text.split_once("<!-- made from src/diff/image_fields.rs").expect("the beginning of the table");
    let (first, rest) = rest.split_once("-->\n").expect("the end of the line");
    let (_, tail) = rest.split_once("<!-- end -->").expect("the end of the table");
    let marker = format!("<!-- made from src/diff/image_fields.rs{first}-->");
    let wanted = format!("{head}{marker}\n{}<!-- end -->{tail}", image_table());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&file, &wanted).expect("written");
        return;
    }
    assert_eq!(text, wanted, "run with UPDATE_DOCS=1");
}
