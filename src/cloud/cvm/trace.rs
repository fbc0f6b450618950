//! What was said to the cloud, request by request, as lines of JSON: for whoever has to find out why something is slow, or
//! was refused.
//!
//! Keys, signatures and tokens are in no line, for headers are not written. Bodies are written only where that is asked
//! for, and even then without what is secret in them ([`masked`]).

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use super::transport::{HttpResponse, NoAnswer};
use crate::cloud::call::{Answer, Call, Executed, Fault};
use crate::cloud::clock::Clock;
use crate::model::Millis;

/// A request, and what came of it.
pub struct Exchange<'a> {
    /// What it asked for.
    pub call: &'a Call,
    /// Whom it went to.
    pub host: &'a str,
    /// Its body.
    pub body: &'a [u8],
    /// When it left, by the tracer's clock.
    pub began_ms: Millis,
    /// What came back.
    pub response: Result<&'a HttpResponse, &'a NoAnswer>,
    /// What that means.
    pub result: &'a Result<Answer, Fault>,
}

/// Writes a line for each request.
pub struct Tracer {
    clock: Arc<dyn Clock>,
    bodies: bool,
    out: Mutex<Out>,
}

struct Out {
    write: Box<dyn Write + Send>,
    fault: Option<io::Error>,
    /// How often a request was made since it last worked, by what it asks for.
    tries: BTreeMap<[u8; 32], u32>,
}

impl Tracer {
    /// A tracer that writes to `write`; bodies only where they are wanted.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, bodies: bool, write: Box<dyn Write + Send>) -> Self {
        Self { clock, bodies, out: Mutex::new(Out { write, fault: None, tries: BTreeMap::new() }) }
    }

    /// The time that exchanges begin by.
    #[must_use]
    pub fn now_ms(&self) -> Millis {
        self.clock.now_ms()
    }

    /// Writes down a request. What cannot be written is kept for [`fault`](Self::fault), and holds nothing up.
    pub fn note(&self, exchange: &Exchange<'_>) {
        let Exchange { call, host, body, began_ms, response, result } = exchange;
        let action = call.body.action();
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        let asks = asks(call, body);
        let attempt = out.tries.get(&asks).copied().unwrap_or(0) + 1;
        let (outcome, request_id, executed) = match result {
            Ok(answer) => ("ok", Some(answer.request_id.as_str()), None),
            Err(fault) => {
                let in_doubt = (fault.executed == Executed::Unknown).then_some("unknown");
                let told = fault.code.as_deref().unwrap_or(if response.is_ok() { "unreadable" } else { "no answer" });
                (told, fault.request_id.as_ref().map(|id| id.as_str()), in_doubt)
            }
        };
        match result {
            Ok(_) => out.tries.remove(&asks),
            Err(_) => out.tries.insert(asks, attempt),
        };
        let mut line = json!({
            "time": jiff::Timestamp::from_millisecond(*began_ms).unwrap_or(jiff::Timestamp::UNIX_EPOCH).to_string(),
            "action": action,
            "region": call.region.as_str(),
            "account": call.account.as_str(),
            "host": host,
            "attempt": attempt,
            "ms": self.clock.now_ms() - began_ms,
            "outcome": outcome,
            "request_id": request_id,
        });
        let mut add = |key: &str, value: Value| {
            if let Some(line) = line.as_object_mut() {
                line.insert(key.to_owned(), value);
            }
        };
        if let Some(executed) = executed {
            add("executed", executed.into());
        }
        if let Err(fault) = result {
            add("message", fault.message.clone().into());
        }
        if self.bodies {
            add("request", shown(body));
            if let Ok(response) = response {
                add("status", response.status.into());
                add("answer", shown(&response.body));
            }
        }
        if let Err(error) = out.write.write_all(format!("{line}\n").as_bytes()).and_then(|()| out.write.flush()) {
            out.fault.get_or_insert(error);
        }
    }

    /// Why not everything could be written, where that is so.
    pub fn fault(&self) -> Option<io::Error> {
        self.out.lock().unwrap_or_else(PoisonError::into_inner).fault.take()
    }
}

/// What makes two requests attempts at one thing.
fn asks(call: &Call, body: &[u8]) -> [u8; 32] {
    let mut asks = blake3::Hasher::new();
    for part in [call.account.as_str(), call.region.as_str(), call.body.action()] {
        asks.update(part.as_bytes()).update(&[0]);
    }
    *asks.update(body).finalize().as_bytes()
}

/// A body as it may be seen.
fn shown(body: &[u8]) -> Value {
    /// Of an answer that is not JSON, a proxy's page perhaps.
    const MOST_TEXT: usize = 1000;
    match serde_json::from_slice(body) {
        Ok(mut value) => {
            masked(&mut value);
            value
        }
        Err(_) => String::from_utf8_lossy(body).chars().take(MOST_TEXT).collect::<String>().into(),
    }
}

/// Hides what is secret in a body: user data and passwords, wherever they stand, and what follows `?` in the address of a
/// file, which may be a signature.
pub fn masked(value: &mut Value) {
    const SECRET: [&str; 3] = ["UserData", "Password", "SecretKey"];
    const ADDRESS: [&str; 2] = ["ImageUrl", "Url"];
    const HIDDEN: &str = "(hidden)";
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let empty = value.is_null() || value.as_str().is_some_and(str::is_empty);
                if SECRET.contains(&key.as_str()) && !empty && !value.is_object() {
                    *value = HIDDEN.into();
                } else if ADDRESS.contains(&key.as_str())
                    && let Some((place, _)) = value.as_str().and_then(|text| text.split_once('?'))
                {
                    *value = format!("{place}?{HIDDEN}").into();
                } else {
                    masked(value);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(masked),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_wherever_they_stand() {
        let mut body = json!({
            "UserData": "aHVudGVyMg==",
            "LoginSettings": {"Password": "hunter2", "KeyIds": ["skey-1"]},
            "InstanceSet": [{"InstanceId": "ins-1", "Attributes": {"UserData": "aHVudGVyMg=="}}],
            "ImageUrl": "https://bucket/file.qcow2?sign=hunter2",
            "Empty": {"UserData": "", "Password": null},
        });
        masked(&mut body);
        let text = body.to_string();
        assert!(!text.contains("hunter2") && !text.contains("aHVudGVyMg"), "{text}");
        assert_eq!(body["ImageUrl"], "https://bucket/file.qcow2?(hidden)");
        assert_eq!(body["LoginSettings"]["KeyIds"][0], "skey-1");
        assert_eq!(body["Empty"], json!({"UserData": "", "Password": null}));
    }

    #[test]
    fn what_is_not_json_is_cut() {
        assert_eq!(shown(b"<html>"), json!("<html>"));
        assert_eq!(shown(&[b'x'; 5000]).as_str().map(str::len), Some(1000));
    }
}
