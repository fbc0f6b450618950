//! TC3 signatures, by the vectors that the official SDK made.

use std::collections::BTreeMap;

use fleetwright::cloud::cvm::transport::HttpRequest;
use fleetwright::cloud::embedded::{Credentials, Embedded, Settings};
use fleetwright::model::ids::Uin;
use serde_json::Value;

use crate::world::{answer, code};

fn vectors() -> Value {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tc3-vectors.json"));
    serde_json::from_str(&text.expect("the vectors")).expect("JSON")
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn request(vector: &Value) -> HttpRequest {
    let input = &vector["input"];
    let body = match input["payload"].as_str() {
        Some(payload) => payload.to_owned(),
        None => input["payload_parts"]
            .as_array()
            .expect("parts")
            .iter()
            .map(|part| text(part, "text").repeat(part["repeat"].as_u64().unwrap_or(1) as usize))
            .collect(),
    };
    assert_eq!(Some(body.len() as u64), input["payload_bytes"].as_u64());
    let headers = vector["request_headers"].as_object().expect("headers");
    HttpRequest {
        method: text(input, "method").to_owned(),
        path: text(input, "path").to_owned(),
        query: text(input, "query").to_owned(),
        headers: headers.iter().map(|(k, v)| (k.clone(), v.as_str().unwrap_or_default().to_owned())).collect(),
        body: body.into_bytes(),
    }
}

fn credentials(vector: &Value) -> Credentials {
    let input = &vector["input"];
    Credentials {
        account: Uin::new("100000000001"),
        secret_id: text(input, "secret_id").to_owned(),
        secret_key: text(input, "secret_key").to_owned(),
        token: input["token"].as_str().map(str::to_owned),
    }
}

fn ask(request: &HttpRequest, known: Vec<Credentials>, seconds: i64) -> String {
    let settings = Settings { credentials: known, ..Settings::default() };
    let cloud = Embedded::open(None, settings).expect("a cloud");
    code(&answer(&cloud.handle(seconds * 1000, request)))
}

#[test]
fn every_vector_is_let_in() {
    let file = vectors();
    let all = file["vectors"].as_array().expect("vectors");
    assert!(all.len() >= 19);
    for vector in all {
        let seconds = vector["input"]["timestamp"].as_i64().expect("a time");
        let code = ask(&request(vector), vec![credentials(vector)], seconds);
        assert!(!code.starts_with("AuthFailure") && code != "MissingParameter", "{}: {code}", vector["name"]);
    }
}

#[test]
fn every_negative_is_refused_with_its_code() {
    let file = vectors();
    let by_name: BTreeMap<&str, &Value> =
        file["vectors"].as_array().expect("vectors").iter().map(|vector| (text(vector, "name"), vector)).collect();
    let all = file["negative"].as_array().expect("negatives");
    assert!(all.len() >= 9);
    for case in all {
        let vector = by_name[text(case, "base")];
        let mut request = request(vector);
        let mut known = vec![credentials(vector)];
        let mut set = |name: &str, value: &str| {
            for header in request.headers.iter_mut().filter(|(key, _)| key == name) {
                value.clone_into(&mut header.1);
            }
        };
        match text(case, "name") {
            "body-changed" => request.body.push(b' '),
            "wrong-secret-key" => known[0].secret_key.push('x'),
            "host-changed" => set("Host", "127.0.0.1:8081"),
            "unknown-secret-id" => known.clear(),
            "bad-authorization-shape" => set("Authorization", "Bearer x"),
            "token-wrong" => set("X-TC-Token", "another"),
            "clock-plus-300" | "clock-plus-301" | "clock-minus-301" => {}
            other => panic!("{other} is new"),
        }
        let seen = ask(&request, known, case["server_time"].as_i64().expect("a time"));
        match case["expected_error"].as_str() {
            Some(expected) => assert_eq!(seen, expected, "{}", case["name"]),
            None => assert!(!seen.starts_with("AuthFailure"), "{}: {seen}", case["name"]),
        }
    }
}

#[test]
fn a_header_of_another_shape_is_no_authorization() {
    let file = vectors();
    let vector = &file["vectors"][0];
    let good = request(vector);
    let header = text(&vector["request_headers"], "Authorization").to_owned();
    for (from, to) in [
        ("tc3_request", "tc4_request"),
        ("2023-11-14", "2023-11-15"),
        ("content-type;host", "host;content-type"),
        ("content-type;host", "content-type"),
        ("TC3-HMAC-SHA256", "TC3-HMAC-SHA1"),
        (", Signature", "; Signature"),
        ("Signature=", "Signature="),
    ] {
        let mut request = good.clone();
        for entry in request.headers.iter_mut().filter(|(key, _)| key == "Authorization") {
            entry.1 = header.replace(from, to);
        }
        let expected = if from == to { "ok" } else { "AuthFailure.InvalidAuthorization" };
        assert_eq!(ask(&request, vec![credentials(vector)], 1_700_000_000), expected, "{from} -> {to}");
    }
}
