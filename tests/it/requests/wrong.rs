//! A request that is right, and each thing about it wrong once.

use fleetwright::cloud::cvm::sign::{Credentials, Envelope, SecretText, headers};
use fleetwright::cloud::cvm::transport::HttpRequest;

use super::check::{Signer, faults};
use crate::rig::NOON_MS;

const TOKEN: &str = "a-session-token";

/// A request with temporary keys, or with those of old.
fn request(service: &str, temporary: bool) -> (HttpRequest, Signer) {
    let (action, version, region, body): (_, _, _, &[u8]) = match service {
        "tag" => (
            "UnTagResources",
            "2018-08-13",
            None,
            br#"{"ResourceList":["qcs::cvm:ap-guangzhou:uin/100000000001:image/img-00000000"],"TagKeys":["a"]}"#,
        ),
        _ => ("DescribeImages", "2017-03-12", Some("ap-guangzhou"), br#"{"Limit":100}"#),
    };
    let credentials = Credentials {
        secret_id: "AKID7".to_owned(),
        secret_key: SecretText::new("hunter2"),
        token: temporary.then(|| SecretText::new(TOKEN)),
    };
    let host = "cvm.embedded";
    let headers = headers(&credentials, NOON_MS / 1000, &Envelope { service, host, action, version, region, body });
    let (method, path) = ("POST".to_owned(), "/".to_owned());
    let request = HttpRequest { method, path, query: String::new(), headers, body: body.to_vec() };
    let signer = Signer { token: temporary.then(|| TOKEN.to_owned()), secrets: vec!["hunter2".to_owned()] };
    (request, signer)
}

/// Replaces the value of a header, or takes it away.
fn put(request: &mut HttpRequest, name: &str, value: Option<&str>) {
    request.headers.retain(|(key, _)| key != name);
    request.headers.extend(value.map(|value| (name.to_owned(), value.to_owned())));
}

#[test]
fn each_thing_that_is_wrong_around_a_body_is_seen() {
    for service in ["cvm", "tag"] {
        for temporary in [false, true] {
            let (right, signer) = request(service, temporary);
            let found = |request: &HttpRequest, now_ms| faults(request, now_ms, &signer);
            assert_eq!(found(&right, NOON_MS), Vec::<String>::new());
            for ms in [-300_000, 300_000] {
                assert_eq!(found(&right, NOON_MS + ms), Vec::<String>::new());
                assert_eq!(found(&right, NOON_MS + ms + ms.signum() * 1000).len(), 1, "{ms}");
            }
            let authorization = right.header("Authorization").expect("a signature");
            let authorizations = [
                authorization.replace("Signature=", "Signature=0"),
                authorization.replace("content-type;host", "host"),
                authorization.replace("/tc3_request", ""),
                authorization.replace("2026-11-23", "2026-11-24"),
                authorization.replace(&format!("/{service}/"), "/cbs/"),
                authorization.replace("AKID7", ""),
            ];
            let other = if service == "cvm" { None } else { Some("ap-guangzhou") };
            let token = if temporary { None } else { Some(TOKEN) };
            let mut wrong: Vec<(&str, Option<&str>)> = vec![
                ("Content-Type", Some("application/json; charset=utf-8")),
                ("Content-Type", None),
                ("Host", Some("http://cvm.embedded")),
                ("Host", None),
                ("X-TC-Action", Some("describeImages")),
                ("X-TC-Version", Some("2017-03-13")),
                ("X-TC-Timestamp", Some("1795435200000")),
                ("X-TC-Timestamp", Some("")),
                ("X-TC-Language", Some("de-DE")),
                ("X-TC-RequestClient", Some("fleetwright/1")),
                ("X-TC-Region", other),
                ("X-TC-Region", Some("guangzhou")),
                ("X-TC-Token", token),
                ("X-TC-Token", Some("another")),
                ("X-TC-Secret", Some("x")),
                ("X-TC-RequestClient", Some("hunter2")),
                ("Authorization", None),
            ];
            wrong.extend(authorizations.iter().map(|text| ("Authorization", Some(text.as_str()))));
            for (name, value) in wrong {
                let mut request = right.clone();
                put(&mut request, name, value);
                assert!(!found(&request, NOON_MS).is_empty(), "{service}: {name}: {value:?}");
            }
            let mut twice = right.clone();
            twice.headers.push(("host".to_owned(), "cvm.embedded".to_owned()));
            assert!(!found(&twice, NOON_MS).is_empty());
            let [mut get, mut nulls, mut none] = [(); 3].map(|()| right.clone());
            get.method = "GET".to_owned();
            nulls.body = String::from_utf8_lossy(&right.body).replace('}', ",\"Filters\":null}").into_bytes();
            none.body = b"[]".to_vec();
            for request in [get, nulls, none] {
                assert!(!found(&request, NOON_MS).is_empty(), "{request:?}");
            }
        }
    }
}
