//! `copy`: a copy of another image of the config, in the region of that one (API text 4.9).

use super::context::Context;
use super::index::ImageKind;
use super::language;
use super::read::{Fields, Value};
use crate::diagnostic::{Diagnostic, Place, codes};
use crate::model::addr::Block;
use crate::model::desired::CopySource;
use crate::model::ids::{KmsKeyId, Name};
use crate::model::spec::Encryption;

/// `image` is the block around it.
pub(super) fn copy(cx: &mut Context<'_>, name: &Name, image: &Fields<'_>, value: &Value<'_>) -> Option<CopySource> {
    let fields = cx.faults.fields(value, &language::COPY)?;
    let encrypt = fields.get("encrypt").map_or(Some(false), |value| cx.faults.boolean(&value));
    let key = fields.get("kms_key").map_or(Some(None), |value| {
        if encrypt == Some(false) && !fields.misspelt("encrypt") {
            cx.tell(
                Diagnostic::error(codes::CONFLICT, "a key is named, but the copy is not encrypted")
                    .at_span(value.key)
                    .help("add `encrypt: true`, or remove `kms_key`"),
            );
        }
        kms_key(cx, &value).map(Some)
    });
    let source = fields.need("image", "NAME", &mut cx.faults).and_then(|value| source(cx, name, &value, encrypt));
    if encrypt == Some(true) {
        stays_at_home(cx, name, image, &fields);
    }
    let key = key?;
    Some(CopySource { image: source?, encryption: encrypt?.then_some(Encryption { kms_key: key }) })
}

/// What can be copied, and how.
fn source(cx: &mut Context<'_>, name: &Name, value: &Value<'_>, encrypt: Option<bool>) -> Option<Name> {
    if value.node.raw() == Some(name.as_str()) {
        cx.tell(
            value
                .fault(codes::COPY_NOT_POSSIBLE, format!("image `{name}` would be a copy of itself"))
                .help("name the image that it is made from; copies in other regions are asked for with `regions`"),
        );
        return None;
    }
    let (source, kind) = cx.image_ref(value, Block::image(name))?;
    let fault = |message: String| value.fault(codes::COPY_NOT_POSSIBLE, message);
    match kind {
        ImageKind::Unclear => {}
        // The circle is told as a whole.
        _ if cx.index.copied_in_a_circle(name.as_str()) => {}
        ImageKind::Public => cannot_be_copied(
            cx,
            value,
            &format!("`{source}` is a public image and cannot be copied"),
            "public images are in every region already, and belong to the cloud",
        ),
        ImageKind::Marketplace => cannot_be_copied(
            cx,
            value,
            &format!("`{source}` is a marketplace image and cannot be copied"),
            "the cloud copies custom images, and images that another account shares",
        ),
        ImageKind::Shared if encrypt == Some(true) => cx.tell(
            fault(format!("`{source}` is a shared image and cannot be encrypted in one step"))
                .why("only a custom image can be copied encrypted")
                .help(format!("make a plain copy of `{source}` first, and an encrypted copy of that copy")),
        ),
        // Whose it is, and so how it can be copied, the state of its environment tells.
        ImageKind::Shared | ImageKind::Promoted => {}
        ImageKind::Captured | ImageKind::Imported | ImageKind::Copied | ImageKind::Built => {
            if let Some(at) = cx.index.images.get(source.as_str()).and_then(|facts| facts.encrypted) {
                cx.tell(
                    value
                        .fault(codes::ENCRYPTED_IMAGE, format!("`{source}` is encrypted and cannot be copied"))
                        .related(Place::Span(at), "encrypted here")
                        .why("the cloud neither copies nor shares an encrypted image")
                        .help(format!("copy the image that `{source}` is a copy of")),
                );
            } else if encrypt == Some(false) {
                cx.tell(
                    fault(format!("custom image `{source}` cannot be copied as it is within its region"))
                        .why("within a region the cloud copies a shared image as it is, and a custom image encrypted")
                        .help(format!(
                            "add `encrypt: true`; if it is other regions that are meant, add them to `regions` of `{source}`"
                        )),
                );
            }
        }
    }
    Some(source)
}

fn cannot_be_copied(cx: &mut Context<'_>, value: &Value<'_>, message: &str, why: &str) {
    cx.tell(
        value
            .fault(codes::COPY_NOT_POSSIBLE, message)
            .why(why)
            .help("run a fleet of one instance from it, and make an image `from_instance` of that"),
    );
}

/// An encrypted copy is where its source is made, and nowhere else.
fn stays_at_home(cx: &mut Context<'_>, name: &Name, image: &Fields<'_>, copy: &Fields<'_>) {
    let (Some(home), Some(regions)) = (cx.home(name.as_str()), image.get("regions")) else { return };
    let Some(items) = cx.faults.list(&regions) else { return };
    for item in items {
        let Some(region) = item.node.raw().filter(|region| *region != home) else { continue };
        let mut fault = item
            .fault(codes::ENCRYPTED_IMAGE, format!("an encrypted image cannot be in `{region}`"))
            .why(format!("it is made in `{home}`, and the cloud copies no encrypted image to another region"))
            .help(format!("remove the region, or encrypt a copy that is made in `{region}`"));
        if let Some(encrypt) = copy.key("encrypt") {
            fault = fault.related(Place::Span(encrypt), "encrypted here");
        }
        cx.tell(fault);
    }
}

/// A key of the key management service (API text 3.4).
fn kms_key(cx: &mut Context<'_>, value: &Value<'_>) -> Option<KmsKeyId> {
    let rule = "a key's id: a UUID, or `kms-` and letters or digits";
    let hex = |part: &str, length: usize| part.len() == length && part.chars().all(|c| c.is_ascii_hexdigit());
    let text = cx.faults.shaped(value, codes::INVALID_VALUE, rule, |text| match text.strip_prefix("kms-") {
        Some(tail) => (1..=40).contains(&tail.len()) && tail.chars().all(|c| c.is_ascii_alphanumeric()),
        None => {
            let parts: Vec<&str> = text.split('-').collect();
            let lengths = [8, 4, 4, 4, 12];
            parts.len() == lengths.len() && parts.iter().zip(lengths).all(|(part, length)| hex(part, length))
        }
    })?;
    Some(KmsKeyId::new(text))
}
