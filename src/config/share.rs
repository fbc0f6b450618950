//! `shares`.

use std::collections::BTreeMap;

use super::context::Context;
use super::index::ImageKind;
use super::language;
use super::read::Value;
use crate::diagnostic::{Place, Span, codes};
use crate::model::addr::Block;
use crate::model::desired::{Share, Undeclared};
use crate::model::ids::{Name, Uin};

pub(super) fn share(
    cx: &mut Context<'_>,
    name: &Name,
    value: &Value<'_>,
    shared: &mut BTreeMap<Name, (Name, Span)>,
) -> Option<Share> {
    let fields = cx.faults.fields(value, &language::SHARE)?;
    let image = fields.need("image", "NAME", &mut cx.faults).and_then(|value| {
        let (image, kind) = cx.image_ref(&value, Block::share(name))?;
        check_image(cx, &value, &image, kind);
        if let Some((other, span)) = shared.get(&image).filter(|(other, _)| other != name) {
            cx.tell(
                value
                    .fault(codes::SECOND_SHARE, format!("image `{image}` has two shares"))
                    .label("again")
                    .related(Place::Span(*span), format!("share `{other}` is for it already"))
                    .help(format!("put all accounts into share `{other}`")),
            );
        } else {
            shared.insert(image.clone(), (name.clone(), value.node.span));
        }
        Some(image)
    });
    let accounts = fields.need("accounts", "[\"100000000002\"]", &mut cx.faults).and_then(|value| accounts(cx, &value));
    let undeclared = match fields.get("undeclared") {
        None => Some(Undeclared::default()),
        Some(value) => cx.faults.word(&value, &["keep", "cancel"], &[]).map(|word| match word {
            "cancel" => Undeclared::Cancel,
            _ => Undeclared::Keep,
        }),
    };
    Some(Share { image: image?, accounts: accounts?.into_iter().collect(), undeclared: undeclared? })
}

/// Whether the cloud shares an image of this kind (API text 4.8).
fn check_image(cx: &mut Context<'_>, value: &Value<'_>, image: &Name, kind: ImageKind) {
    let wrong_kind = |what: &str| value.fault(codes::WRONG_KIND, format!("`{image}` is a {what} and cannot be shared"));
    match kind {
        ImageKind::Public => cx.tell(
            wrong_kind("public image")
                .why("everybody has the public images already; only custom images are shared")
                .help("name an image of your own, such as one with `from_instance`"),
        ),
        ImageKind::Shared => cx.tell(
            wrong_kind("received image")
                .why("only its owner shares it; whoever receives it can only launch instances from it")
                .help(format!("make a copy of your own, `copy: {{ image: {image} }}`, and share that one")),
        ),
        ImageKind::Promoted => cx.tell(
            wrong_kind("promoted image")
                .why("it is the environment that made it which says whom it is shared with")
                .help("add the accounts to the share of that environment's config"),
        ),
        ImageKind::Marketplace => cx.tell(
            wrong_kind("marketplace image")
                .why("everybody gets it at the marketplace; only custom images are shared")
                .help("name an image of your own, such as one with `from_instance`"),
        ),
        ImageKind::Captured | ImageKind::Imported | ImageKind::Copied | ImageKind::Built => {
            let Some(facts) = cx.index.images.get(image.as_str()) else { return };
            if let Some(at) = facts.encrypted {
                cx.tell(
                    value
                        .fault(codes::ENCRYPTED_IMAGE, format!("`{image}` is encrypted and cannot be shared"))
                        .related(Place::Span(at), "encrypted here")
                        .why("nobody else has the key that it is encrypted with")
                        .help("share the image that it is a copy of"),
                );
            } else if let Some(at) = facts.byol {
                cx.tell(
                    value
                        .fault(codes::BYOL_IMAGE, format!("`{image}` runs under your own licence and cannot be shared"))
                        .related(Place::Span(at), "your own licence")
                        .why("the cloud shares no image whose licence is its owner's")
                        .help("remove the share, or import the image with `license: TencentCloud`"),
                );
            }
        }
        ImageKind::Unclear => {}
    }
}

fn accounts(cx: &mut Context<'_>, value: &Value<'_>) -> Option<Vec<Uin>> {
    cx.set(value, |cx, item| {
        let account =
            cx.main_account(item, "images are shared with main accounts; all their sub-accounts see them then")?;
        if cx.cloud.account.as_ref() == Some(&account) {
            cx.tell(
                item.fault(codes::OWN_ACCOUNT, format!("`{account}` owns the image"))
                    .label("this is `cloud.account`")
                    .why("an image is shared with other accounts only")
                    .help("remove it from the list"),
            );
        }
        Some(account)
    })
}
