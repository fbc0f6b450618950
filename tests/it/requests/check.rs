//! Whether a request is one as the API text has it: by the table that requests to the embedded cloud are made from, which
//! is written from the text and from no code. The signature itself is not looked at here: the embedded cloud verifies it,
//! with code of its own, and refuses what does not fit.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use fleetwright::cloud::clock::Clock;
use fleetwright::cloud::cvm::transport::{HttpRequest, HttpResponse, NoAnswer, Transport};
use fleetwright::cloud::embedded::credentials;
use serde_json::{Map, Value};

use super::table::{Action, Kind, Parameter, Table, Try, table};

static TABLE: LazyLock<Table> = LazyLock::new(table);

/// How far a signature's time may be off (1.4).
const WINDOW_S: i64 = 300;
/// The most bytes of a body (1.2).
const MOST_BYTES: usize = 10_000_000;
/// The secret keys of the accounts that have any.
static KEYS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let account = |n: u64| format!("{}", 100_000_000_000 + n);
    (1..=4).filter_map(|n| credentials(&account(n))).map(|key| key.secret_key).collect()
});
/// The services, and the version of each (1.1).
const VERSIONS: [(&str, &str); 2] = [("cvm", "2017-03-12"), ("tag", "2018-08-13")];
/// Every header that a request may have (1.3), and whether it has to.
const HEADERS: [(&str, bool); 10] = [
    ("Authorization", true),
    ("Content-Type", true),
    ("Host", true),
    ("X-TC-Action", true),
    ("X-TC-Version", true),
    ("X-TC-Timestamp", true),
    ("X-TC-Language", false),
    ("X-TC-RequestClient", false),
    ("X-TC-Region", false),
    ("X-TC-Token", false),
];

/// Parameters of which an action takes one (4.6, 5.9), or at least one (7.3).
const ONE_OF: [(&str, bool, &[&str]); 3] = [
    ("CreateImage", true, &["InstanceId", "SnapshotIds"]),
    (
        "ModifyInstancesAttribute",
        true,
        &[
            "InstanceName",
            "UserData",
            "SecurityGroups",
            "CamRoleName",
            "HostName",
            "DisableApiTermination",
            "EnableJumboFrame",
        ],
    ),
    ("ModifyResourceTags", false, &["ReplaceTags", "DeleteTags"]),
];

/// Whose requests they are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Signer {
    /// The session token of temporary keys.
    pub(crate) token: Option<String>,
    /// What must not be read in a header.
    pub(crate) secrets: Vec<String>,
}

/// What was sent, by action, and what was wrong about it. Whoever drops it without having looked is told.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    inner: Mutex<Told>,
}

#[derive(Debug, Default)]
struct Told {
    requests: BTreeMap<String, usize>,
    faults: Vec<String>,
    excused: bool,
    late: bool,
}

impl Seen {
    fn told(&self) -> MutexGuard<'_, Told> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many requests there were, by service and action.
    pub(crate) fn requests(&self) -> BTreeMap<String, usize> {
        self.told().requests.clone()
    }

    /// Whoever asks has a state that is nonsense: what comes of it is asked all the same, and the cloud's to refuse.
    pub(crate) fn excuse(&self) {
        self.told().excused = true;
    }

    /// Whoever asks is held up on purpose: a signature may have grown old when it leaves, which is the cloud's to refuse.
    pub(crate) fn may_be_late(&self) {
        self.told().late = true;
    }

    /// Nothing was wrong.
    #[track_caller]
    pub(crate) fn expect_right(&self) {
        let faults = std::mem::take(&mut self.told().faults);
        assert!(faults.is_empty(), "{} faults of requests:\n{}", faults.len(), faults.join("\n"));
    }
}

impl Drop for Seen {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.expect_right();
        }
    }
}

/// A way to a cloud on which every request is looked at.
pub(crate) struct Checked {
    pub(crate) inner: Arc<dyn Transport>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) signer: Signer,
    pub(crate) seen: Arc<Seen>,
}

impl Transport for Checked {
    fn send(&self, request: &HttpRequest, changes: bool) -> Result<HttpResponse, NoAnswer> {
        let signed_s = request.header("X-TC-Timestamp").and_then(|text| text.parse::<i64>().ok());
        let signed_ms = signed_s.filter(|_| self.seen.told().late).map(|seconds| seconds * 1000);
        let found = faults(request, signed_ms.unwrap_or_else(|| self.clock.now_ms()), &self.signer);
        {
            let header = |name| request.header(name).unwrap_or_default();
            let mut told = self.seen.told();
            let service = if header("X-TC-Version") == VERSIONS[1].1 { VERSIONS[1].0 } else { VERSIONS[0].0 };
            *told.requests.entry(format!("{service}:{}", header("X-TC-Action"))).or_default() += 1;
            let excused = told.excused;
            told.faults.extend(found.into_iter().filter(|_| !excused));
        }
        self.inner.send(request, changes)
    }

    fn outlives_us(&self) -> bool {
        self.inner.outlives_us()
    }
}

/// All that is wrong about a request.
pub(crate) fn faults(request: &HttpRequest, now_ms: i64, signer: &Signer) -> Vec<String> {
    let mut out = Vec::new();
    let name = request.header("X-TC-Action").unwrap_or_default().to_owned();
    match TABLE.actions.iter().find(|action| action.name == name) {
        None => out.push("there is no such action".to_owned()),
        Some(action) => {
            out.extend(envelope(request, &action.service, now_ms, signer));
            out.extend(body(action, &request.body));
        }
    }
    out.into_iter().map(|fault| format!("{name}: {fault}")).collect()
}

/// What is wrong around the body.
fn envelope(request: &HttpRequest, service: &str, now_ms: i64, signer: &Signer) -> Vec<String> {
    let mut out = Vec::new();
    let mut must = |holds: bool, what: &str| {
        if !holds {
            out.push(format!("{what}: {:?}", request.headers));
        }
    };
    let header = |name: &str| request.header(name);
    must(
        (request.method.as_str(), request.path.as_str(), request.query.as_str()) == ("POST", "/", ""),
        "it is no POST of /",
    );
    for (name, _) in &request.headers {
        must(HEADERS.iter().any(|(known, _)| known == name), "a header that there is not");
    }
    for (name, required) in HEADERS {
        let times = request.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name)).count();
        must(times == 1 || (times == 0 && !required), &format!("{name} is there {times} times"));
    }
    for (name, value) in &request.headers {
        must(value.chars().all(|c| c.is_ascii_graphic() || c == ' '), &format!("{name} has strange characters"));
        let secret =
            KEYS.iter().any(|key| value.contains(key)) || signer.secrets.iter().any(|secret| value.contains(secret));
        must(!secret, &format!("{name} has a secret in it"));
        let token = signer.token.as_ref().is_some_and(|token| value.contains(token));
        must(!token || name == "X-TC-Token", &format!("{name} has the token in it"));
    }
    must(header("Content-Type") == Some("application/json"), "the content type");
    let host = header("Host").unwrap_or_default();
    must(!host.is_empty() && !host.contains([' ', '/']) && host == host.to_lowercase(), "the host");
    let version = VERSIONS.iter().find(|(of, _)| *of == service).map(|(_, version)| *version);
    must(header("X-TC-Version") == version, "the version");
    must(matches!(header("X-TC-Language"), None | Some("zh-CN" | "en-US")), "the language");
    let label =
        |text: &str| text.len() <= 128 && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_,;.".contains(c));
    must(header("X-TC-RequestClient").is_none_or(label), "the client's label");
    // Current pages require one of every action of this service; those of tags have none (1.3, 7).
    must(
        if service == "tag" { header("X-TC-Region").is_none() } else { header("X-TC-Region").is_some_and(is_region) },
        "the region",
    );
    must(header("X-TC-Token") == signer.token.as_deref(), "the token, which temporary keys have and no others");
    let sent = header("X-TC-Timestamp").unwrap_or_default();
    let seconds = sent.parse::<i64>().ok().filter(|seconds| seconds.to_string() == sent);
    must(seconds.is_some_and(|seconds| (now_ms.div_euclid(1000) - seconds).abs() <= WINDOW_S), "the timestamp");
    let day = seconds.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    let day = day.map(|time| time.strftime("%Y-%m-%d").to_string()).unwrap_or_default();
    must(is_authorization(header("Authorization").unwrap_or_default(), &day, service), "the authorization");
    must(request.body.len() <= MOST_BYTES, "the size");
    out
}

fn is_region(text: &str) -> bool {
    let mut words = text.split('-');
    words.next().is_some_and(|word| word.len() == 2)
        && words.clone().next().is_some()
        && words.all(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase()))
}

/// `TC3-HMAC-SHA256 Credential=ID/DAY/SERVICE/tc3_request, SignedHeaders=content-type;host, Signature=HEX` (1.4).
fn is_authorization(text: &str, day: &str, service: &str) -> bool {
    let parts = || {
        let rest = text.strip_prefix("TC3-HMAC-SHA256 Credential=")?;
        let (id, rest) = rest.split_once(&format!("/{day}/{service}/tc3_request, "))?;
        let signature = rest.strip_prefix("SignedHeaders=content-type;host, Signature=")?;
        Some((id, signature))
    };
    parts().is_some_and(|(id, signature)| {
        !id.is_empty()
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
            && signature.len() == 64
            && signature.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

/// What is wrong with the parameters of an action.
pub(crate) fn body(action: &Action, bytes: &[u8]) -> Vec<String> {
    let Ok(Value::Object(body)) = serde_json::from_slice(bytes) else {
        return vec![format!("no JSON object: {}", String::from_utf8_lossy(bytes))];
    };
    let mut look = Look { action, out: Vec::new() };
    look.object(&action.parameters, &body, "");
    look.out.into_iter().map(|fault| format!("{fault}: {}", Value::Object(body.clone()))).collect()
}

/// A look at one body.
struct Look<'a> {
    action: &'a Action,
    out: Vec<String>,
}

impl Look<'_> {
    fn object(&mut self, parameters: &[Parameter], object: &Map<String, Value>, inside: &str) {
        let path = |name: &str| if inside.is_empty() { name.to_owned() } else { format!("{inside}.{name}") };
        for (name, value) in object {
            match parameters.iter().find(|parameter| parameter.name == *name) {
                None => self.out.push(format!("{} is no parameter", path(name))),
                Some(parameter) => {
                    let told = self.action.inside.get(&path(name)).map(Vec::as_slice).unwrap_or_default();
                    let tries: Vec<&Try> = parameter.tries.iter().chain(told).collect();
                    self.value(&parameter.kind, &tries, value, &path(name));
                }
            }
        }
        let one_of = ONE_OF.iter().find(|(action, ..)| inside.is_empty() && *action == self.action.name);
        let one_of = one_of.map(|(_, alone, names)| (*alone, *names));
        for parameter in parameters {
            let among = one_of.is_some_and(|(_, names)| names.contains(&parameter.name.as_str()));
            if parameter.required.is_some() && !among && !object.contains_key(&parameter.name) {
                self.out.push(format!("{} is required", path(&parameter.name)));
            }
        }
        if let Some((alone, names)) = one_of {
            let there = names.iter().filter(|name| object.contains_key(**name)).count();
            if there == 0 || (alone && there > 1) {
                self.out.push(format!("{there} of {}", names.join(", ")));
            }
        }
    }

    fn value(&mut self, kind: &Kind, tries: &[&Try], value: &Value, path: &str) {
        let fits = match kind {
            Kind::Text => value.is_string(),
            Kind::Int => value.is_i64(),
            Kind::Uint => value.is_u64(),
            Kind::Bool => value.is_boolean(),
            Kind::Shape(_) => value.is_object(),
            Kind::List(_) => value.is_array(),
        };
        if !fits {
            // An explicit null is no value of any type (1.2).
            self.out.push(format!("{path} is {value}, and no {kind:?}"));
            return;
        }
        for tried in tries {
            if breaks(tried, value) {
                self.out.push(format!("{path} is {value}, which is not {tried:?}"));
            }
        }
        match (kind, value) {
            (Kind::Shape(shape), Value::Object(object)) => {
                let fields = TABLE.shapes.get(shape).unwrap_or_else(|| panic!("there is no shape {shape}"));
                self.object(fields, object, path);
            }
            (Kind::List(inner), Value::Array(entries)) => {
                for entry in entries {
                    self.value(inner, &[], entry, path);
                }
            }
            _ => {}
        }
    }
}

/// Whether a value is outside of its bounds. Of values that are wrong, only the empty ones are so in any world.
fn breaks(tried: &Try, value: &Value) -> bool {
    let chars = value.as_str().map(|text| text.chars().count());
    let entries = value.as_array().map(Vec::len);
    match tried {
        Try::Chars(most, _) => chars.is_some_and(|chars| chars > *most),
        Try::Count(most, _) => entries.is_some_and(|entries| entries > *most),
        Try::Range(least, most, _) => value.as_i64().is_none_or(|number| !(*least..=*most).contains(&number)),
        Try::Wrong(wrong, _) => wrong == value && (chars == Some(0) || entries == Some(0)),
        Try::Right(_) | Try::Absent(..) => false,
    }
}

/// The rules are those of the table: every request that it makes is looked at, right and wrong ones.
#[test]
fn what_is_wrong_is_seen_and_what_is_right_is_not() {
    let mut tried: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let mut wrong = BTreeSet::new();
    for action in &TABLE.actions {
        let (cases, _) = super::cases::cases(&TABLE, action);
        for case in cases {
            let found = body(action, case.body.to_string().as_bytes());
            let seen = tried.entry(case.kind).or_default();
            seen.0 += 1;
            seen.1 += usize::from(!found.is_empty());
            // Whether a value is wrong otherwise than by its bounds is for the cloud to say.
            let ok = match case.kind {
                "right" => found.is_empty(),
                "wrong value" => true,
                _ => !found.is_empty(),
            };
            if !ok {
                wrong.insert(format!("{} {}, {}: {found:?}: {}", action.name, case.about, case.kind, case.body));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let bounds = tried["wrong value"].1;
    assert!(bounds >= 100, "{tried:?}");
}
