//! Images that are only looked up: `public`, `shared` and `marketplace`. Others own them, or another environment does.

use super::context::Context;
use super::language;
use super::read::Value;
use crate::diagnostic::{Diagnostic, Place, codes};
use crate::model::desired::Image;
use crate::model::ids::{ImageId, Uin};

pub(super) fn public(cx: &mut Context<'_>, value: &Value<'_>) -> Option<Image> {
    let fields = cx.faults.fields(value, &language::PUBLIC)?;
    let name = fields.need("name", "\"Ubuntu Server 22.04 LTS 64bit\"", &mut cx.faults)?;
    let name = cx.faults.shaped(&name, codes::INVALID_VALUE, "the exact name of a public image", |text| {
        !text.trim().is_empty() && text.chars().count() <= 128
    })?;
    Some(Image::Public { name: name.to_owned() })
}

pub(super) fn shared(cx: &mut Context<'_>, value: &Value<'_>) -> Option<Image> {
    let fields = cx.faults.fields(value, &language::SHARED)?;
    if let Some(value) = fields.get("from") {
        return super::promoted::from(cx, &fields, &value);
    }
    let id = fields.need("id", "img-8toqc6s3", &mut cx.faults).and_then(|value| image_id(cx, &value));
    let owner = fields.need("owner", "\"100000000002\"", &mut cx.faults).and_then(|value| {
        let owner = cx.main_account(&value, "an image belongs to a main account")?;
        trusted(cx, &value, &owner);
        Some(owner)
    });
    Some(Image::Shared { id: id?, owner: owner? })
}

pub(super) fn marketplace(cx: &mut Context<'_>, value: &Value<'_>) -> Option<Image> {
    let fields = cx.faults.fields(value, &language::MARKETPLACE)?;
    let id = fields.need("id", "img-kx1vn3zd", &mut cx.faults).and_then(|value| image_id(cx, &value));
    let unaccepted = |fault: Diagnostic| {
        fault
            .why("each instance of a marketplace image costs its fee, on top of what the instance itself costs")
            .why("custom images that are made from it inherit the fee, and so do their instances")
            .help("if that is meant, write `accept_fee: true`")
    };
    let accepted = match fields.get("accept_fee") {
        None => {
            if !fields.misspelt("accept_fee") {
                let fault = Diagnostic::error(codes::FEE_NOT_ACCEPTED, "the fee of this image is not accepted");
                cx.tell(unaccepted(fault.at_span(value.key).label("without `accept_fee: true`")));
            }
            None
        }
        Some(value) => cx.faults.boolean(&value).filter(|accepted| {
            if !accepted {
                cx.tell(unaccepted(value.fault(codes::FEE_NOT_ACCEPTED, "the fee of this image is not accepted")));
            }
            *accepted
        }),
    };
    accepted?;
    Some(Image::Marketplace { id: id? })
}

fn image_id(cx: &mut Context<'_>, value: &Value<'_>) -> Option<ImageId> {
    cx.id(value, "img-").map(ImageId::new)
}

/// The cloud does not vet what is shared: the config says whom it trusts.
fn trusted(cx: &mut Context<'_>, value: &Value<'_>, owner: &Uin) {
    if cx.cloud.account.as_ref() == Some(owner) {
        cx.tell(
            value
                .fault(codes::OWN_ACCOUNT, format!("`{owner}` is the account that this config is for"))
                .label("this is `cloud.account`")
                .why("`shared` looks up an image that another account shares with this one")
                .help("name the account that owns the image"),
        );
        return;
    }
    let trusted = &cx.trusted;
    if trusted.partial || cx.index.partial || trusted.owners.contains(owner) {
        return;
    }
    let fault = value
        .fault(codes::UNTRUSTED_OWNER, format!("account `{owner}` is not among the trusted owners"))
        .why("the cloud does not check what others share: whoever owns an image decides what runs on your instances");
    let fault = match trusted.at {
        Some(span) => fault
            .related(Place::Span(span), "these are trusted")
            .help(format!("if you trust that account, add \"{owner}\" to `trusted_owners`")),
        None => fault.help(format!("if you trust that account, add `trusted_owners: [\"{owner}\"]` to the config")),
    };
    cx.tell(fault);
}
