//! TC3-HMAC-SHA256, from the server's side (API text 1.4). Written on its own, not shared with the client's signer, so
//! that one mistake cannot hide in both.

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::accounts::{self, Credentials};
use super::refusal::{Done, refuse};
use super::settings::Settings;
use crate::cloud::cvm::transport::HttpRequest;
use crate::model::Millis;

const ALGORITHM: &str = "TC3-HMAC-SHA256";

/// What the Authorization header says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Claim<'a> {
    pub(crate) secret_id: &'a str,
    pub(crate) date: &'a str,
    pub(crate) service: &'a str,
    signed: &'a str,
    signature: &'a str,
}

/// Reads the header's shape: `TC3-HMAC-SHA256 Credential=…/date/service/tc3_request, SignedHeaders=…, Signature=…`.
pub(crate) fn claim(request: &HttpRequest) -> Done<Claim<'_>> {
    let Some(header) = request.header("Authorization") else {
        return refuse("AuthFailure.InvalidAuthorization", "there is no Authorization header");
    };
    match parse(header) {
        Some(claim) => Ok(claim),
        None => refuse("AuthFailure.InvalidAuthorization", "the Authorization header has the wrong shape"),
    }
}

fn parse(header: &str) -> Option<Claim<'_>> {
    let mut items = header.strip_prefix(ALGORITHM)?.strip_prefix(' ')?.split(',').map(str::trim);
    let credential = items.next()?.strip_prefix("Credential=")?;
    let signed = items.next()?.strip_prefix("SignedHeaders=")?;
    let signature = items.next()?.strip_prefix("Signature=")?;
    let mut scope = credential.rsplitn(4, '/');
    let ends = scope.next()? == "tc3_request";
    let service = scope.next()?;
    let date = scope.next()?;
    let secret_id = scope.next()?;
    let names: Vec<&str> = signed.split(';').collect();
    let whole = ends
        && items.next().is_none()
        && !secret_id.is_empty()
        && names.contains(&"content-type")
        && names.contains(&"host")
        && names.is_sorted()
        && signature.len() == 64;
    whole.then_some(Claim { secret_id, date, service, signed, signature })
}

/// Checks a claim, in the order of the API text: date, time, secret id, signature, token.
pub(crate) fn verify(claim: &Claim<'_>, request: &HttpRequest, now: Millis, settings: &Settings) -> Done<Credentials> {
    let Some(seconds) = request.header("X-TC-Timestamp").and_then(|text| text.parse::<i64>().ok()) else {
        return refuse("MissingParameter", "the header X-TC-Timestamp is required, in seconds");
    };
    let date = jiff::Timestamp::from_second(seconds).map(|t| t.strftime("%Y-%m-%d").to_string()).unwrap_or_default();
    if claim.date != date {
        return refuse("AuthFailure.InvalidAuthorization", "the scope's date is not the UTC date of X-TC-Timestamp");
    }
    let window_s = settings.signature_window_ms / 1000;
    if (now.div_euclid(1000) - seconds).abs() > window_s {
        return refuse("AuthFailure.SignatureExpire", format!("X-TC-Timestamp is more than {window_s} seconds off"));
    }
    let Some(known) = accounts::find(&settings.credentials, claim.secret_id) else {
        return refuse("AuthFailure.SecretIdNotFound", "the SecretId is not known");
    };
    let lowered = signature_fits(claim, request, seconds, &known, true);
    if !lowered && !signature_fits(claim, request, seconds, &known, false) {
        return refuse("AuthFailure.SignatureFailure", "the signature does not match");
    }
    // Permanent keys have no token: whichever comes along with them is a wrong one.
    let token = request.header("X-TC-Token").filter(|token| !token.is_empty());
    if known.token.as_deref() != token {
        return refuse("AuthFailure.TokenFailure", "the session token is wrong or missing");
    }
    Ok(known)
}

/// The specification lower-cases header values; the official SDKs leave them as they are. Both are accepted.
fn signature_fits(claim: &Claim<'_>, request: &HttpRequest, seconds: i64, known: &Credentials, lower: bool) -> bool {
    let unsigned = request.header("X-TC-Content-SHA256") == Some("UNSIGNED-PAYLOAD");
    let payload = match (unsigned, request.method.as_str()) {
        (true, _) => hex(&Sha256::digest(b"UNSIGNED-PAYLOAD")),
        (false, "GET") => hex(&Sha256::digest(b"")),
        (false, _) => hex(&Sha256::digest(&request.body)),
    };
    let query = if request.method == "GET" { request.query.as_str() } else { "" };
    let mut canonical = format!("{}\n{}\n{query}\n", request.method, request.path);
    for name in claim.signed.split(';') {
        let value = request.header(name).unwrap_or_default().trim();
        let value = if lower { value.to_lowercase() } else { value.to_owned() };
        canonical.push_str(&format!("{name}:{value}\n"));
    }
    canonical.push_str(&format!("\n{}\n{payload}", claim.signed));
    let text = format!(
        "{ALGORITHM}\n{seconds}\n{}/{}/tc3_request\n{}",
        claim.date,
        claim.service,
        hex(&Sha256::digest(canonical.as_bytes()))
    );
    let mut key = format!("TC3{}", known.secret_key).into_bytes();
    for part in [claim.date, claim.service, "tc3_request"] {
        let Some(next) = mac(&key, part.as_bytes()) else { return false };
        key = next.finalize().into_bytes().to_vec();
    }
    let (Some(mac), Some(given)) = (mac(&key, text.as_bytes()), unhex(claim.signature)) else { return false };
    mac.verify_slice(&given).is_ok()
}

fn mac(key: &[u8], text: &[u8]) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(text);
    Some(mac)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").ok();
        text
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
        return None;
    }
    text.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}
