//! TC3-HMAC-SHA256, the signature of a request (API text 1.4). Pure: time and keys come in as values.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest as _, Sha256};

/// The name of the algorithm, the first word of an `Authorization` header.
pub const ALGORITHM: &str = "TC3-HMAC-SHA256";
/// The content type that every request of this client carries. It is signed, so nothing may add a charset to it.
pub const CONTENT_TYPE: &str = "application/json";
/// What ends a credential scope.
const SCOPE_END: &str = "tc3_request";

/// A text that never shows in debug output.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(String);

impl SecretText {
    /// Wraps the text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text; for signing and for sending, nothing else.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

/// Who signs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Credentials {
    /// The key's id; not a secret.
    pub secret_id: String,
    /// The key.
    pub secret_key: SecretText,
    /// The session token of temporary credentials. Sent, never signed (API text 1.5).
    pub token: Option<SecretText>,
}

/// What a signature covers.
#[derive(Clone, Copy, Debug)]
pub struct Signable<'a> {
    /// `POST` or `GET`.
    pub method: &'a str,
    /// The path, `/` for every action.
    pub path: &'a str,
    /// What follows `?`, exactly as sent; empty for POST.
    pub query: &'a str,
    /// The headers to be signed, names in any case and order; `content-type` and `host` among them.
    pub headers: &'a [(&'a str, &'a str)],
    /// What is hashed: the body as sent, or the text of an `X-TC-Content-SHA256` header.
    pub payload: &'a [u8],
}

/// A signature, with everything that it was computed from but the keys.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Signature {
    /// Hexadecimal SHA-256 of the payload.
    pub payload_hash: String,
    /// The request in its canonical form.
    pub canonical_request: String,
    /// The names of the signed headers, in lower case, sorted, joined by `;`.
    pub signed_headers: String,
    /// `<date>/<service>/tc3_request`.
    pub scope: String,
    /// What the last HMAC is taken of.
    pub string_to_sign: String,
    /// The signature, hexadecimal.
    pub signature: String,
}

impl Signature {
    /// The value of the `Authorization` header.
    #[must_use]
    pub fn authorization(&self, secret_id: &str) -> String {
        format!(
            "{ALGORITHM} Credential={secret_id}/{}, SignedHeaders={}, Signature={}",
            self.scope, self.signed_headers, self.signature
        )
    }
}

/// The keys between a secret key and a signature.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyChain {
    /// The secret key's, for a date.
    pub date: [u8; 32],
    /// The date key's, for a service.
    pub service: [u8; 32],
    /// The one that signs.
    pub signing: [u8; 32],
}

impl KeyChain {
    /// The keys for a date (`YYYY-MM-DD`) and a service.
    #[must_use]
    pub fn of(secret_key: &str, date: &str, service: &str) -> Self {
        let date = hmac(format!("TC3{secret_key}").as_bytes(), date.as_bytes());
        let service = hmac(&date, service.as_bytes());
        let signing = hmac(&service, SCOPE_END.as_bytes());
        Self { date, service, signing }
    }
}

impl fmt::Debug for KeyChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyChain(hidden)")
    }
}

/// Signs. `timestamp_s` is the Unix time that `X-TC-Timestamp` carries; a time that no calendar has counts as the
/// nearest one that has.
#[must_use]
pub fn sign(secret_key: &str, timestamp_s: i64, service: &str, request: &Signable<'_>) -> Signature {
    let mut headers: Vec<(String, String)> =
        request.headers.iter().map(|(name, value)| (name.to_lowercase(), value.trim().to_lowercase())).collect();
    headers.sort();
    let signed_headers = headers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(";");
    let payload_hash = sha256_hex(request.payload);
    let mut canonical_request = format!("{}\n{}\n{}\n", request.method, request.path, request.query);
    for (name, value) in &headers {
        canonical_request.push_str(name);
        canonical_request.push(':');
        canonical_request.push_str(value);
        canonical_request.push('\n');
    }
    canonical_request.push('\n');
    canonical_request.push_str(&signed_headers);
    canonical_request.push('\n');
    canonical_request.push_str(&payload_hash);

    let date = utc_date(timestamp_s);
    let scope = format!("{date}/{service}/{SCOPE_END}");
    let string_to_sign = format!("{ALGORITHM}\n{timestamp_s}\n{scope}\n{}", sha256_hex(canonical_request.as_bytes()));
    let keys = KeyChain::of(secret_key, &date, service);
    let signature = hex(&hmac(&keys.signing, string_to_sign.as_bytes()));
    Signature { payload_hash, canonical_request, signed_headers, scope, string_to_sign, signature }
}

/// What a request of this client says about itself.
#[derive(Clone, Copy, Debug)]
pub struct Envelope<'a> {
    /// `cvm` or `tag`.
    pub service: &'a str,
    /// The host, with its port where that is not the scheme's own.
    pub host: &'a str,
    /// The action.
    pub action: &'a str,
    /// The API version of the service.
    pub version: &'a str,
    /// The region; `None` for services that have none.
    pub region: Option<&'a str>,
    /// The body, as it will be sent.
    pub body: &'a [u8],
}

/// The headers of a POST, `Authorization` among them. `timestamp_s` is Unix time.
#[must_use]
pub fn headers(credentials: &Credentials, timestamp_s: i64, envelope: &Envelope<'_>) -> Vec<(String, String)> {
    let Envelope { service, host, action, version, region, body } = *envelope;
    let signed = [("content-type", CONTENT_TYPE), ("host", host)];
    let signable = Signable { method: "POST", path: "/", query: "", headers: &signed, payload: body };
    let signature = sign(credentials.secret_key.reveal(), timestamp_s, service, &signable);
    let mut headers = vec![
        ("Content-Type", CONTENT_TYPE.to_owned()),
        ("Host", host.to_owned()),
        ("X-TC-Action", action.to_owned()),
        ("X-TC-Timestamp", timestamp_s.to_string()),
        ("X-TC-Version", version.to_owned()),
        ("X-TC-Language", "en-US".to_owned()),
        ("X-TC-RequestClient", "fleetwright".to_owned()),
    ];
    headers.extend(region.map(|region| ("X-TC-Region", region.to_owned())));
    headers.extend(credentials.token.as_ref().map(|token| ("X-TC-Token", token.reveal().to_owned())));
    headers.push(("Authorization", signature.authorization(&credentials.secret_id)));
    headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn utc_date(timestamp_s: i64) -> String {
    let time = jiff::Timestamp::from_second(timestamp_s).unwrap_or(if timestamp_s < 0 {
        jiff::Timestamp::MIN
    } else {
        jiff::Timestamp::MAX
    });
    time.strftime("%Y-%m-%d").to_string()
}

/// A key longer than a block is hashed first, a shorter one is filled up with zeros (RFC 2104); done here so that no
/// length is an error.
fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    const BLOCK: usize = 64;
    let mut block = [0; BLOCK];
    if key.len() > BLOCK {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let mut mac = Hmac::<Sha256>::new(&block.into());
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// Hexadecimal SHA-256, in lower case.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Hexadecimal digits, in lower case.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    bytes.iter().flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn text<'v>(value: &'v Value, key: &str) -> &'v str {
        value[key].as_str().unwrap_or_else(|| panic!("{key} in {value}"))
    }

    fn payload(input: &Value) -> Vec<u8> {
        if let Some(payload) = input["payload"].as_str() {
            return payload.as_bytes().to_vec();
        }
        let parts = input["payload_parts"].as_array().expect("parts");
        let repeat = |part: &Value| {
            text(part, "text").repeat(usize::try_from(part["repeat"].as_u64().expect("a number")).expect("few"))
        };
        parts.iter().map(repeat).collect::<String>().into_bytes()
    }

    #[test]
    fn every_published_vector_holds_step_by_step() {
        let vectors: Value =
            serde_json::from_str(include_str!("../../../tests/fixtures/tc3-vectors.json")).expect("JSON");
        let vectors = vectors["vectors"].as_array().expect("vectors");
        assert!(vectors.len() >= 19);
        for vector in vectors {
            let (name, input, expected) = (text(vector, "name"), &vector["input"], &vector["expected"]);
            let sent = payload(input);
            assert_eq!(Some(sent.len() as u64), input["payload_bytes"].as_u64(), "{name}");
            let unsigned = vector["request_headers"]["X-TC-Content-SHA256"].as_str();
            let signed: Vec<(&str, &str)> = input["signed_headers"]
                .as_array()
                .expect("names")
                .iter()
                .map(|signed| {
                    let signed = signed.as_str().expect("a name");
                    let mut sent = vector["request_headers"].as_object().expect("headers").iter();
                    let found = sent.find(|(key, _)| key.eq_ignore_ascii_case(signed)).expect("a signed header");
                    (found.0.as_str(), found.1.as_str().expect("text"))
                })
                .collect();
            let signable = Signable {
                method: text(input, "method"),
                path: text(input, "path"),
                query: text(input, "query"),
                headers: &signed,
                payload: unsigned.map_or(sent.as_slice(), str::as_bytes),
            };
            let timestamp_s = input["timestamp"].as_i64().expect("a time");
            let service = text(input, "service");
            let key = text(input, "secret_key");
            let signature = sign(key, timestamp_s, service, &signable);
            assert_eq!(signature.payload_hash, text(expected, "hashed_payload"), "{name}");
            assert_eq!(signature.canonical_request, text(expected, "canonical_request"), "{name}");
            let hashed = sha256_hex(signature.canonical_request.as_bytes());
            assert_eq!(hashed, text(expected, "hashed_canonical_request"), "{name}");
            assert_eq!(signature.scope, text(expected, "credential_scope"), "{name}");
            assert_eq!(signature.string_to_sign, text(expected, "string_to_sign"), "{name}");
            assert_eq!(utc_date(timestamp_s), text(expected, "date"), "{name}");
            let keys = KeyChain::of(key, text(expected, "date"), service);
            assert_eq!(hex(&keys.date), text(expected, "secret_date_hex"), "{name}");
            assert_eq!(hex(&keys.service), text(expected, "secret_service_hex"), "{name}");
            assert_eq!(hex(&keys.signing), text(expected, "secret_signing_hex"), "{name}");
            assert_eq!(signature.signature, text(expected, "signature"), "{name}");
            let authorization = signature.authorization(text(input, "secret_id"));
            assert_eq!(authorization, text(expected, "authorization"), "{name}");
        }
    }

    #[test]
    fn headers_carry_the_token_and_no_key() {
        let credentials = Credentials {
            secret_id: "AKID".to_owned(),
            secret_key: SecretText::new("hunter2"),
            token: Some(SecretText::new("session")),
        };
        let envelope = Envelope {
            service: "tag",
            host: "tag.tencentcloudapi.com",
            action: "TagResources",
            version: "2018-08-13",
            region: None,
            body: b"{}",
        };
        let headers = headers(&credentials, 1_700_000_000, &envelope);
        let value = |name: &str| headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        assert_eq!(value("X-TC-Token"), Some("session"));
        assert_eq!(value("X-TC-Region"), None);
        assert_eq!(value("X-TC-Timestamp"), Some("1700000000"));
        assert!(!format!("{headers:?}").contains("hunter2"));
        let shown = format!("{credentials:?}");
        assert!(!shown.contains("hunter2") && !shown.contains("session"), "{shown}");
    }

    proptest! {
        #[test]
        fn signing_never_panics(key in ".*", timestamp_s: i64, service in ".*", name in ".*", value in ".*",
                                query in ".*", payload: Vec<u8>) {
            let headers = [(name.as_str(), value.as_str()), ("host", "h")];
            let request = Signable { method: "GET", path: "/", query: &query, headers: &headers, payload: &payload };
            let signature = sign(&key, timestamp_s, &service, &request);
            prop_assert_eq!(signature.signature.len(), 64);
        }
    }
}
