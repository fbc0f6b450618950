//! A cloud to ask, and a signer of our own.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use fleetwright::cloud::cvm::transport::{HttpRequest, HttpResponse};
use fleetwright::cloud::embedded::{self, Embedded, Settings};
use fleetwright::model::desired::Latency;
use fleetwright::model::limits::Limits;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// 2026-11-23T12:00:00Z.
pub(crate) const START: i64 = 1_795_435_200_000;
pub(crate) const GZ: &str = "ap-guangzhou";
pub(crate) const SH: &str = "ap-shanghai";
pub(crate) const ZONE: &str = "ap-guangzhou-3";
pub(crate) const UBUNTU: &str = "Ubuntu Server 22.04 LTS 64bit";

pub(crate) fn quick() -> Settings {
    Settings::new(Latency::Quick, Limits::EMBEDDED, 7)
}

pub(crate) fn instant() -> Settings {
    Settings::new(Latency::Instant, Limits::EMBEDDED, 7)
}

pub(crate) struct World {
    pub(crate) cloud: Embedded,
    pub(crate) now: Cell<i64>,
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any key");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// The headers of a signed request, the way the official SDK makes them.
pub(crate) fn sign(
    secret: (&str, &str),
    ms: i64,
    service: &str,
    (method, query, body): (&str, &str, &[u8]),
    kind: &str,
) -> Vec<(String, String)> {
    let seconds = ms / 1000;
    let days = seconds.div_euclid(86_400);
    // The civil date of a day number, by Howard Hinnant's algorithm.
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let (day, month) = (doy - (153 * mp + 2) / 5 + 1, if mp < 10 { mp + 3 } else { mp - 9 });
    let year = yoe + era * 400 + i64::from(month <= 2);
    let date = format!("{year:04}-{month:02}-{day:02}");
    let host = format!("{service}.tencentcloudapi.com");
    let canonical = format!(
        "{method}\n/\n{query}\ncontent-type:{kind}\nhost:{host}\n\ncontent-type;host\n{}",
        hex(&Sha256::digest(body))
    );
    let scope = format!("{date}/{service}/tc3_request");
    let text = format!("TC3-HMAC-SHA256\n{seconds}\n{scope}\n{}", hex(&Sha256::digest(canonical.as_bytes())));
    let key = hmac(format!("TC3{}", secret.1).as_bytes(), &date);
    let key = hmac(&hmac(&key, service), "tc3_request");
    let signature = hex(&hmac(&key, &text));
    let header = |name: &str, value: String| (name.to_owned(), value);
    vec![
        header(
            "Authorization",
            format!(
                "TC3-HMAC-SHA256 Credential={}/{scope}, SignedHeaders=content-type;host, Signature={signature}",
                secret.0
            ),
        ),
        header("Content-Type", kind.to_owned()),
        header("Host", host),
        header("X-TC-Timestamp", seconds.to_string()),
    ]
}

impl World {
    pub(crate) fn new(settings: Settings) -> Self {
        Self::of(Embedded::open(None, settings).expect("a cloud in memory"))
    }

    pub(crate) fn of(cloud: Embedded) -> Self {
        Self { cloud, now: Cell::new(START) }
    }

    pub(crate) fn wait(&self, ms: i64) {
        self.now.set(self.now.get() + ms);
    }

    /// A signed POST of account 1000000000`account`.
    pub(crate) fn request(&self, account: u32, region: &str, action: &str, body: &str) -> HttpRequest {
        let known = embedded::credentials(&uin(account)).expect("a fixed key");
        let service = match action {
            "TagResources" | "UnTagResources" | "ModifyResourceTags" | "DescribeResourceTagsByResourceIds" => "tag",
            "DescribeDisks" | "DescribeSnapshots" => "cbs",
            "DescribeUsedIpAddress" => "vpc",
            _ => "cvm",
        };
        let version = if service == "tag" { "2018-08-13" } else { "2017-03-12" };
        let secret = (known.secret_id.as_str(), known.secret_key.as_str());
        let mut headers = sign(secret, self.now.get(), service, ("POST", "", body.as_bytes()), "application/json");
        headers.push(("X-TC-Action".to_owned(), action.to_owned()));
        headers.push(("X-TC-Version".to_owned(), version.to_owned()));
        if !region.is_empty() {
            headers.push(("X-TC-Region".to_owned(), region.to_owned()));
        }
        HttpRequest {
            method: "POST".to_owned(),
            path: "/".to_owned(),
            query: String::new(),
            headers,
            body: body.as_bytes().to_vec(),
        }
    }

    pub(crate) fn send(&self, request: &HttpRequest) -> Value {
        answer(&self.cloud.handle(self.now.get(), request))
    }

    /// What follows `"Response":`. Whatever the code of a refusal, the action's list of codes has it.
    pub(crate) fn ask_as(&self, account: u32, region: &str, action: &str, body: Value) -> Value {
        let answer = self.send(&self.request(account, region, action, &body.to_string()));
        let asked_for = answer["Error"]["Message"] == "injected";
        assert!(asked_for || may_answer(action, &code(&answer)), "{action} has no such code: {answer}, {body}");
        answer
    }

    /// The answer of a request that has to succeed.
    pub(crate) fn must_as(&self, account: u32, region: &str, action: &str, body: Value) -> Value {
        let answer = self.ask_as(account, region, action, body);
        assert!(answer.get("Error").is_none(), "{action}: {answer}");
        answer
    }

    pub(crate) fn must(&self, action: &str, body: Value) -> Value {
        self.must_as(1, GZ, action, body)
    }

    /// The code of an answer, or `ok`.
    pub(crate) fn code_as(&self, account: u32, region: &str, action: &str, body: Value) -> String {
        code(&self.ask_as(account, region, action, body))
    }

    pub(crate) fn code(&self, action: &str, body: Value) -> String {
        self.code_as(1, GZ, action, body)
    }

    /// Each row is a body and the code that it gets.
    pub(crate) fn table(&self, action: &str, rows: &[(Value, &str)]) {
        for (body, expected) in rows {
            assert_eq!(self.code(action, body.clone()), *expected, "{action} {body}");
        }
    }

    /// Launches instances, and waits until they run.
    pub(crate) fn launch(&self, count: u32, more: Value) -> Vec<String> {
        let ids = texts(&self.must("RunInstances", merged(base(count), more))["InstanceIdSet"]);
        self.wait(self.cloud.settings().pace.launch_ms);
        ids
    }

    /// Captures an image from an instance, and waits until it is NORMAL.
    pub(crate) fn capture(&self, instance: &str, name: &str) -> String {
        let answer = self.must("CreateImage", json!({"InstanceId": instance, "ImageName": name}));
        self.wait(self.cloud.settings().pace.capture_ms);
        answer["ImageId"].as_str().expect("an id").to_owned()
    }

    pub(crate) fn image(&self, id: &str) -> Value {
        self.must("DescribeImages", json!({"ImageIds": [id]}))["ImageSet"][0].clone()
    }

    pub(crate) fn instance(&self, id: &str) -> Value {
        self.must("DescribeInstances", json!({"InstanceIds": [id]}))["InstanceSet"][0].clone()
    }

    pub(crate) fn state(&self, id: &str) -> String {
        self.instance(id)["InstanceState"].as_str().unwrap_or("gone").to_owned()
    }
}

pub(crate) fn answer(response: &HttpResponse) -> Value {
    assert_eq!(response.status, 200);
    let value: Value = serde_json::from_slice(&response.body).expect("JSON");
    let answer = value["Response"].clone();
    assert_eq!(answer["RequestId"].as_str().map(str::len), Some(36), "{value}");
    answer
}

pub(crate) fn code(answer: &Value) -> String {
    answer["Error"]["Code"].as_str().unwrap_or("ok").to_owned()
}

/// Whether the vendor's lists (API text 10) name a code for an action; those of actions that have none say nothing.
pub(crate) fn may_answer(action: &str, code: &str) -> bool {
    static LISTED: LazyLock<BTreeMap<&str, Vec<&str>>> = LazyLock::new(|| {
        let lines = include_str!("../fixtures/cvm-action-codes.txt").lines();
        let words = lines.filter(|line| !line.starts_with('#')).map(|line| line.split(' '));
        words.filter_map(|mut words| Some((words.next()?, words.collect()))).collect()
    });
    let has_list = LISTED.values().any(|actions| actions.contains(&action));
    code == "ok" || !has_list || LISTED.get(code).is_some_and(|actions| actions.is_empty() || actions.contains(&action))
}

pub(crate) fn uin(account: u32) -> String {
    format!("{}", 100_000_000_000_u64 + u64::from(account))
}

pub(crate) fn texts(list: &Value) -> Vec<String> {
    list.as_array().expect("a list").iter().map(|text| text.as_str().expect("a text").to_owned()).collect()
}

/// The least that a launch needs.
pub(crate) fn base(count: u32) -> Value {
    json!({
        "Placement": {"Zone": ZONE},
        "ImageId": embedded::public_image_id(GZ, UBUNTU),
        "InstanceType": "S5.MEDIUM4",
        "InstanceCount": count,
        "InstanceName": "web",
    })
}

/// A body with something else in it, or otherwise.
pub(crate) fn merged(mut body: Value, more: Value) -> Value {
    if let (Some(fields), Value::Object(more)) = (body.as_object_mut(), more) {
        fields.extend(more);
    }
    body
}

/// A launch with something else in it.
pub(crate) fn with(more: Value) -> Value {
    merged(base(1), more)
}
