//! `project`, `cloud` and `trusted_owners`.

use super::context::Context;
use super::language;
use super::node::Pair;
use super::read::{Faults, Fields, Value, shown};
use crate::diagnostic::{Diagnostic, codes};
use crate::model::Millis;
use crate::model::desired::{CloudSpec, Latency, Provider, Tencent};
use crate::model::endpoint::{Endpoint, Origin};
use crate::model::ids::{Name, Uin};
use crate::model::limits::LimitOverrides;
use crate::model::path::Path;

/// The account that the embedded cloud is used as, where the config names none.
const DEFAULT_ACCOUNT: &str = "100000000001";
/// The accounts that have keys in the embedded cloud.
const WITH_KEYS: [&str; 4] = ["100000000001", "100000000002", "100000000003", "100000000004"];

/// How long the cloud accepts a signature (API text 1.4), in seconds.
const SIGNATURE_WINDOW_S: u32 = 300;
/// The longest that a server may be said to take until it lists what it accepted, in seconds.
const MOST_SETTLE_S: u32 = 600;
const MS_PER_S: Millis = 1000;

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
    let word = fields
        .need("provider", "embedded", &mut cx.faults)
        .and_then(|value| cx.faults.word(&value, &["embedded", "tencent"], &[]));
    let latency = match fields.get("latency") {
        None => Some(None),
        Some(value) => cx.faults.word(&value, &["instant", "quick", "realistic"], &[]).map(|word| {
            Some(match word {
                "instant" => Latency::Instant,
                "realistic" => Latency::Realistic,
                _ => Latency::Quick,
            })
        }),
    };
    let provider = match word {
        Some("embedded") => {
            only_tencent(cx, &fields);
            latency.map(|latency| Provider::Embedded { latency: latency.unwrap_or_default() })
        }
        Some(_) => tencent(cx, &fields, latency).map(Provider::Tencent),
        None => None,
    };
    if let Some(Provider::Tencent(Tencent { endpoint, .. })) = &provider {
        cx.cloud.endpoint = Some(endpoint.clone());
    }
    let region = fields.need("region", "ap-guangzhou", &mut cx.faults).and_then(|value| cx.region(&value));
    let account = account(cx, &fields, word);
    let limits = match fields.get("limits") {
        None => Some(LimitOverrides::default()),
        Some(value) => limits(cx, &value),
    };
    cx.cloud.region = region.clone();
    cx.cloud.account = account.clone();
    Some(CloudSpec { provider: provider?, region: region?, account: account?, limits: limits? })
}

/// Who owns what is made.
fn account(cx: &mut Context<'_>, fields: &Fields<'_>, provider: Option<&str>) -> Option<Uin> {
    if provider == Some("tencent") {
        let value = fields.need("account", "\"100000000001\"", &mut cx.faults)?;
        return cx.main_account(&value, "what is made belongs to a main account, whoever makes it");
    }
    let Some(value) = fields.get("account") else { return Some(Uin::new(DEFAULT_ACCOUNT)) };
    let account = cx.account(&value)?;
    if provider == Some("embedded") && !WITH_KEYS.contains(&account.as_str()) {
        let fault = value
            .fault(codes::INVALID_VALUE, format!("the embedded cloud has no keys for account `{account}`"))
            .help(format!("write one of \"{}\"", WITH_KEYS.join("\", \"")));
        cx.tell(fault);
        return None;
    }
    Some(account)
}

/// What says how the real cloud is reached, and says nothing of the embedded one.
fn only_tencent(cx: &mut Context<'_>, fields: &Fields<'_>) {
    for key in ["endpoint", "profile", "signature_window_s", "settle_s"] {
        if let Some(value) = fields.get(key) {
            let fault = value
                .fault(
                    codes::CONFLICT,
                    format!("`{key}` says how Tencent Cloud is reached, and the provider is `embedded`"),
                )
                .why("the embedded cloud is in this program: there is no way to it, and it has keys of its own")
                .help(format!("remove `{key}`, or write `provider: tencent`"));
            cx.tell(fault);
        }
    }
}

/// How the real cloud is reached. `latency`: what the config says of it, where that can be read.
fn tencent(cx: &mut Context<'_>, fields: &Fields<'_>, latency: Option<Option<Latency>>) -> Option<Tencent> {
    let endpoint = match fields.get("endpoint") {
        None => Some(Endpoint::default()),
        Some(value) => endpoint(cx, &value),
    };
    let profile = match fields.get("profile") {
        None => Some(None),
        Some(value) => {
            let rule = "the name of a profile of tccli: letters, digits, `_`, `-` and `.`";
            cx.faults.shaped(&value, codes::INVALID_VALUE, rule, is_profile).map(|name| Some(name.to_owned()))
        }
    };
    let window_s = match fields.get("signature_window_s") {
        None => Some(None),
        Some(value) => cx.faults.number(&value, 1, SIGNATURE_WINDOW_S).map(Some),
    };
    let settle_s = match fields.get("settle_s") {
        None => Some(None),
        Some(value) => cx.faults.number(&value, 0, MOST_SETTLE_S).map(Some),
    };
    if let Some(endpoint) = &endpoint
        && !matches!(endpoint, Endpoint::Own(_))
    {
        for (key, what) in [
            ("latency", "how long operations take"),
            ("signature_window_s", "how long a signature holds"),
            ("settle_s", "how soon something new is listed"),
        ] {
            if let Some(value) = fields.get(key) {
                let fault = value
                    .fault(codes::CONFLICT, format!("`{key}` goes with an `endpoint` of your own"))
                    .why(format!("{what} is Tencent Cloud's to say"))
                    .help(format!("remove `{key}`, or name a server: `endpoint: http://127.0.0.1:8080`"));
                cx.tell(fault);
            }
        }
    }
    let window_s = i64::from(window_s?.unwrap_or(SIGNATURE_WINDOW_S));
    Some(Tencent {
        endpoint: endpoint?,
        profile: profile?,
        latency: latency?.unwrap_or(Latency::Realistic),
        signature_window_ms: window_s * MS_PER_S,
        settle_ms: settle_s?.map(|settle_s| i64::from(settle_s) * MS_PER_S),
    })
}

fn endpoint(cx: &mut Context<'_>, value: &Value<'_>) -> Option<Endpoint> {
    let text = cx.faults.text(value)?;
    if let Some((_, endpoint)) = Endpoint::WORDS.into_iter().find(|(word, _)| *word == text) {
        return Some(endpoint);
    }
    if let Some(origin) = Origin::parse(text).filter(|origin| !origin.is_the_vendors()) {
        return Some(Endpoint::Own(origin));
    }
    if Origin::parse(text).is_some() {
        let fault = value
            .fault(codes::INVALID_VALUE, format!("`{}` is a host of Tencent Cloud's own", shown(text)))
            .why("each of its services has hosts of its own: tags would be asked of this one, which knows none")
            .help("write `mainland`, `regional`, `international` or `finance`: the hosts follow from that");
        cx.tell(fault);
        return None;
    }
    let words = || Endpoint::WORDS.iter().map(|(word, _)| *word);
    let fault = value.fault(codes::INVALID_VALUE, format!("`{}` is no endpoint", shown(text)));
    let help = match language::nearest(text, words()) {
        Some(word) => format!("did you mean `{word}`?"),
        None => {
            "write `mainland`, `regional`, `international` or `finance`; or scheme, host and port of a server, such as \
                 `http://127.0.0.1:8080`, without a path"
                .to_owned()
        }
    };
    cx.tell(fault.help(help));
    None
}

/// What may be part of the name of a file without leading elsewhere.
fn is_profile(text: &str) -> bool {
    let plain = |c: char| c.is_alphanumeric() || "_-.".contains(c);
    !text.is_empty() && !text.starts_with('.') && text.chars().all(plain)
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
