//! `project`, `cloud` and `trusted_owners`.

use super::context::Context;
use super::language;
use super::node::Pair;
use super::read::{Faults, Value};
use crate::diagnostic::{Diagnostic, codes};
use crate::model::desired::{CloudSpec, Latency, Provider};
use crate::model::ids::{Name, Uin};
use crate::model::limits::LimitOverrides;
use crate::model::path::Path;

/// The account that the embedded cloud is used as, where the config names none.
const DEFAULT_ACCOUNT: &str = "100000000001";
/// The accounts that have keys in the embedded cloud.
const WITH_KEYS: [&str; 4] = ["100000000001", "100000000002", "100000000003", "100000000004"];

fn top_value<'n>(cx: &mut Context<'_>, top: &'n [Pair], key: &str, example: &str) -> Option<Value<'n>> {
    let mut pairs = top.iter().filter(|pair| pair.key == key && !pair.void);
    let pair = if cx.faults.last { pairs.next_back() } else { pairs.next() };
    if pair.is_none() && !cx.index.partial && !misspelt(top, key) {
        let place = cx.files.yaml.first().map_or("fleet.yaml", |(path, _)| path.as_str());
        let fault = Diagnostic::error(codes::MISSING_KEY, format!("`{key}` is missing: no file of the config has it"))
            .help(format!("add `{key}: {example}` to {place}"));
        cx.tell(fault);
    }
    pair.map(|pair| Value { node: &pair.value, key: pair.key_span, path: Path::of(&[key]) })
}

fn misspelt(top: &[Pair], key: &str) -> bool {
    let known = || language::TOP.known.iter().chain(language::TOP.later).copied();
    top.iter().any(|pair| known().all(|known| known != pair.key) && language::nearest(&pair.key, known()) == Some(key))
}

pub(super) fn project(cx: &mut Context<'_>, top: &[Pair]) -> Option<Name> {
    let value = top_value(cx, top, "project", "NAME")?;
    let text = cx.faults.text(&value)?;
    cx.check_name(text, value.node.span).then(|| Name::new(text))
}

/// The accounts whose images may be used; whether all of them could be read stands in the context.
pub(super) fn trusted_owners(cx: &mut Context<'_>, top: &[Pair]) {
    let mut pairs = top.iter().filter(|pair| pair.key == "trusted_owners" && !pair.void);
    let pair = if cx.faults.last { pairs.next_back() } else { pairs.next() };
    let Some(pair) = pair else {
        cx.trusted.partial = misspelt(top, "trusted_owners");
        return;
    };
    let value = Value { node: &pair.value, key: pair.key_span, path: Path::of(&["trusted_owners"]) };
    let owners = cx.set(&value, |cx, item| {
        let owner = cx.main_account(item, "an image belongs to a main account");
        cx.trusted.partial |= owner.is_none();
        owner
    });
    cx.trusted.at = Some(value.place());
    cx.trusted.partial |= owners.is_none();
    cx.trusted.owners = owners.into_iter().flatten().collect();
}

pub(super) fn cloud(cx: &mut Context<'_>, top: &[Pair]) -> Option<CloudSpec> {
    let value = top_value(cx, top, "cloud", "{ provider: embedded, region: ap-guangzhou }")?;
    let fields = cx.faults.fields(&value, &language::CLOUD)?;
    let provider = fields
        .need("provider", "embedded", &mut cx.faults)
        .and_then(|value| cx.faults.word(&value, &["embedded"], &["tencent"]));
    let region = fields.need("region", "ap-guangzhou", &mut cx.faults).and_then(|value| cx.region(&value));
    let account = match fields.get("account") {
        None => Some(Uin::new(DEFAULT_ACCOUNT)),
        Some(value) => cx.account(&value).filter(|account| {
            let fits = provider != Some("embedded") || WITH_KEYS.contains(&account.as_str());
            if !fits {
                let fault = value
                    .fault(codes::INVALID_VALUE, format!("the embedded cloud has no keys for account `{account}`"))
                    .help(format!("write one of \"{}\"", WITH_KEYS.join("\", \"")));
                cx.tell(fault);
            }
            fits
        }),
    };
    let latency = match fields.get("latency") {
        None => Some(Latency::default()),
        Some(value) => cx.faults.word(&value, &["instant", "quick", "realistic"], &[]).map(|word| match word {
            "instant" => Latency::Instant,
            "realistic" => Latency::Realistic,
            _ => Latency::Quick,
        }),
    };
    let limits = match fields.get("limits") {
        None => Some(LimitOverrides::default()),
        Some(value) => limits(cx, &value),
    };
    cx.cloud.region = region.clone();
    cx.cloud.account = account.clone();
    Some(CloudSpec {
        provider: Provider::Embedded { latency: latency? },
        region: region?,
        account: account?,
        limits: limits?,
    })
}

/// Limits that are a file by themselves.
pub(super) fn limits_file(faults: &mut Faults, top: &[Pair]) -> LimitOverrides {
    faults.check_keys(top, &language::LIMITS, &Path::default());
    overrides(|key| {
        let pair = top.iter().find(|pair| pair.key == key && !pair.void)?;
        let value = Value { node: &pair.value, key: pair.key_span, path: Path::of(&[key]) };
        faults.number(&value, 1, u32::MAX)
    })
}

fn overrides(mut limit: impl FnMut(&'static str) -> Option<u32>) -> LimitOverrides {
    LimitOverrides {
        images_per_region: limit("images_per_region"),
        accounts_per_image: limit("accounts_per_image"),
        instances_per_zone: limit("instances_per_zone"),
    }
}

fn limits(cx: &mut Context<'_>, value: &Value<'_>) -> Option<LimitOverrides> {
    let fields = cx.faults.fields(value, &language::LIMITS)?;
    Some(overrides(|key| fields.get(key).and_then(|value| cx.faults.number(&value, 1, u32::MAX))))
}
