//! All that can be sent, made on purpose: it is as the API text has it, and the embedded cloud understands it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fleetwright::cloud::call::{Call, Class};
use fleetwright::cloud::clock::{Clock, VirtualClock};
use fleetwright::cloud::cvm::client::CvmClient;
use fleetwright::cloud::cvm::sign::{Credentials, SecretText};
use fleetwright::cloud::embedded::{self, Embedded, Loopback};
use fleetwright::cloud::{Cloud, Secrets};
use fleetwright::model::digest::SecretRef;
use fleetwright::model::ids::Uin;

use super::calls::{SCRIPT, all};
use super::{Checked, Seen, Signer};
use crate::crash::print;
use crate::kit::{GZ, quick};
use crate::rig::{NOON_MS, OWNER};

/// User data, whoever asks.
pub(crate) struct Script;

impl Secrets for Script {
    fn read(&self, _: &SecretRef) -> Result<Vec<u8>, String> {
        Ok(SCRIPT.as_bytes().to_vec())
    }
}

/// Codes that say that a request was not understood (1.7); a refusal of what it says is another thing.
fn not_understood(code: &str) -> bool {
    code.starts_with("AuthFailure")
        || matches!(
            code,
            "UnknownParameter"
                | "MissingParameter"
                | "InvalidParameter"
                | "InvalidAction"
                | "NoSuchVersion"
                | "NoSuchProduct"
        )
}

#[test]
fn every_call_is_sent_as_the_api_text_says() {
    const TOKEN: &str = "a-session-token";
    let clock = Arc::new(VirtualClock::at(NOON_MS));
    let temporary = embedded::Credentials {
        account: Uin::new(OWNER),
        secret_id: "AKIDtemporary".to_owned(),
        secret_key: "temporary-secret".to_owned(),
        token: Some(TOKEN.to_owned()),
    };
    let mut settings = quick();
    settings.credentials.push(temporary.clone());
    let cloud = Arc::new(Embedded::open(None, settings).expect("a cloud"));
    let (mut requests, mut actions) = (0, BTreeSet::new());
    let calls = all();
    for keys in [embedded::credentials(OWNER).expect("keys"), temporary] {
        let seen = Arc::new(Seen::default());
        let signer = Signer { token: keys.token.clone(), secrets: vec![keys.secret_key.clone(), "hunter2".to_owned()] };
        let inner = Loopback { cloud: Arc::clone(&cloud), clock: Arc::clone(&clock) as Arc<dyn Clock> };
        let clock = Arc::clone(&clock) as Arc<dyn Clock>;
        let checked = Checked { inner: Arc::new(inner), clock: Arc::clone(&clock), signer, seen: Arc::clone(&seen) };
        let credentials = Credentials {
            secret_id: keys.secret_id,
            secret_key: SecretText::new(keys.secret_key),
            token: keys.token.map(SecretText::new),
        };
        let keys = BTreeMap::from([(Uin::new(OWNER), credentials)]);
        let client = CvmClient::new(Arc::new(checked), "cvm.embedded", keys, Arc::new(Script));
        for (kind, samples) in &calls {
            for body in samples {
                let call = Call { account: OWNER.into(), region: GZ.into(), body: body.clone() };
                if let Err(fault) = client.call(&call, clock.now_ms()) {
                    let code = fault.code.as_deref().unwrap_or("no code");
                    assert!(!not_understood(code), "{kind}: {fault}: {body:?}");
                    assert!(fault.class != Class::Auth && fault.code.is_some(), "{kind}: {fault}: {body:?}");
                }
            }
        }
        seen.expect_right();
        let sent = seen.requests();
        requests += sent.values().sum::<usize>();
        actions.extend(sent.into_keys());
    }
    let samples: usize = calls.values().map(Vec::len).sum();
    assert_eq!(requests, 2 * samples, "each call is a request");
    print(&format!("requests: {} variants, {} actions, {requests} requests\n", calls.len(), actions.len()));
}
