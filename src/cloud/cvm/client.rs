//! The client: calls in, signed requests out, answers in.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::cloud::call::{Answer, Call, Class, Fault};
use crate::cloud::{Cloud, Secrets};
use crate::model::Millis;
use crate::model::endpoint::Endpoint;
use crate::model::ids::{Region, Uin};

use super::decode::decode;
use super::encode::encode;
use super::fault;
use super::sign::{Credentials, Envelope, headers};
use super::trace::{Exchange, Tracer};
use super::transport::{HttpRequest, Transport};

/// A client of a CVM endpoint.
///
/// # Guarantees
/// - One call is one request; nothing is retried here.
/// - Keys are used to sign and nothing else; no fault holds one.
pub struct CvmClient {
    transport: Arc<dyn Transport>,
    hosts: Hosts,
    credentials: BTreeMap<Uin, Credentials>,
    secrets: Arc<dyn Secrets>,
    tracer: Option<Arc<Tracer>>,
}

/// Who is asked.
pub enum Hosts {
    /// One host, for every service and region.
    One(String),
    /// Those of an endpoint.
    Of(Endpoint),
}

impl From<&str> for Hosts {
    fn from(host: &str) -> Self {
        Self::One(host.to_owned())
    }
}

impl Hosts {
    fn host(&self, service: &str, region: Option<&Region>) -> String {
        match self {
            Self::One(host) => host.clone(),
            Self::Of(endpoint) => endpoint.host(service, region),
        }
    }
}

impl CvmClient {
    /// A client of the hosts behind `transport`. Calls are signed with their account's credentials.
    pub fn new(
        transport: Arc<dyn Transport>,
        hosts: impl Into<Hosts>,
        credentials: BTreeMap<Uin, Credentials>,
        secrets: Arc<dyn Secrets>,
    ) -> Self {
        Self { transport, hosts: hosts.into(), credentials, secrets, tracer: None }
    }

    /// The same, and each request is told to `tracer`.
    #[must_use]
    pub fn traced(self, tracer: Option<Arc<Tracer>>) -> Self {
        Self { tracer, ..self }
    }
}

impl Cloud for CvmClient {
    fn call(&self, call: &Call, signed_ms: Millis) -> Result<Answer, Fault> {
        const MS_PER_S: Millis = 1000;
        let Some(credentials) = self.credentials.get(&call.account) else {
            let message = format!("there are no credentials of account {}", call.account);
            return Err(fault::unsendable(Class::Auth, message));
        };
        let out = encode(call, &*self.secrets)?;
        let host = self.hosts.host(out.service, out.region.as_ref());
        let envelope = Envelope {
            service: out.service,
            host: &host,
            action: out.action,
            version: out.version,
            region: out.region.as_ref().map(|region| region.as_str()),
            body: &out.body,
        };
        let headers = headers(credentials, signed_ms.div_euclid(MS_PER_S), &envelope);
        let request = HttpRequest {
            method: "POST".to_owned(),
            path: "/".to_owned(),
            query: String::new(),
            headers,
            body: out.body,
        };
        let changes = call.body.mutates();
        let began_ms = self.tracer.as_ref().map(|tracer| tracer.now_ms());
        let response = self.transport.send(&request, changes);
        let result = match &response {
            Ok(response) => decode(call, response, signed_ms),
            Err(error) => Err(fault::no_answer(changes, error)),
        };
        if let (Some(tracer), Some(began_ms)) = (&self.tracer, began_ms) {
            let (host, body, response) = (host.as_str(), request.body.as_slice(), response.as_ref());
            tracer.note(&Exchange { call, host, body, began_ms, response, result: &result });
        }
        result
    }

    fn outlives_us(&self) -> bool {
        self.transport.outlives_us()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Mutex;

    use super::*;
    use crate::cloud::call::{Arg, Body, Executed, Query, Reply};
    use crate::cloud::cvm::sign::SecretText;
    use crate::cloud::cvm::transport::{HttpResponse, NoAnswer};
    use crate::model::digest::SecretRef;

    struct Script {
        answer: Result<HttpResponse, NoAnswer>,
        sent: Mutex<Vec<HttpRequest>>,
    }

    impl Transport for Script {
        fn send(&self, request: &HttpRequest, _: bool) -> Result<HttpResponse, NoAnswer> {
            self.sent.lock().unwrap().push(request.clone());
            self.answer.clone()
        }

        fn outlives_us(&self) -> bool {
            false
        }
    }

    struct NoSecrets;

    impl Secrets for NoSecrets {
        fn read(&self, _: &SecretRef) -> Result<Vec<u8>, String> {
            Err("none".to_owned())
        }
    }

    fn ask(call: &Call, answer: Result<HttpResponse, NoAnswer>) -> (Result<Answer, Fault>, Vec<HttpRequest>) {
        let script = Arc::new(Script { answer, sent: Mutex::default() });
        let key = Credentials { secret_id: "AKID".to_owned(), secret_key: SecretText::new("hunter2"), token: None };
        let credentials = BTreeMap::from([(Uin::new("100000000001"), key)]);
        let client =
            CvmClient::new(Arc::clone(&script) as Arc<dyn Transport>, "localhost", credentials, Arc::new(NoSecrets));
        let result = client.call(call, 1_700_000_000_999);
        let sent = script.sent.lock().unwrap().clone();
        (result, sent)
    }

    fn call(account: &str, body: Body) -> Call {
        Call { account: account.into(), region: "ap-guangzhou".into(), body }
    }

    fn share() -> Body {
        Body::ShareImage { image: Arg::Known("img-1".into()), accounts: BTreeSet::new(), cancel: false }
    }

    #[test]
    fn one_call_is_one_signed_request() {
        let body = br#"{"Response":{"ImageNumQuota":10,"RequestId":"r"}}"#.to_vec();
        let response = HttpResponse { status: 200, headers: Vec::new(), body, cloud_ms: Some(5) };
        let (result, sent) = ask(&call("100000000001", Body::Describe(Query::ImageQuota)), Ok(response));
        let answer = result.expect("an answer");
        assert_eq!((answer.reply, answer.request_id.as_str(), answer.cloud_ms), (Reply::ImageQuota(10), "r", 5));
        assert_eq!(sent.len(), 1);
        let header = |name: &str| sent[0].header(name).unwrap_or_default();
        assert_eq!(header("X-TC-Timestamp"), "1700000000");
        assert_eq!((header("X-TC-Action"), header("X-TC-Region")), ("DescribeImageQuota", "ap-guangzhou"));
        assert_eq!((header("X-TC-RequestClient"), header("X-TC-Language")), ("fleetwright", "en-US"));
        assert!(header("Authorization").starts_with("TC3-HMAC-SHA256 Credential=AKID/2023-11-14/cvm/tc3_request, "));
    }

    #[test]
    fn what_is_lost_on_the_way_is_in_doubt_only_if_it_left() {
        for (sent, executed) in [(true, Executed::Unknown), (false, Executed::No)] {
            let (result, _) = ask(&call("100000000001", share()), Err(NoAnswer::failed("reset", sent)));
            let fault = result.expect_err("no answer");
            assert_eq!((fault.class, fault.executed), (Class::Transport, executed));
        }
    }

    #[test]
    fn an_account_without_credentials_sends_nothing() {
        let (result, sent) = ask(&call("100000000009", share()), Err(NoAnswer::failed("", true)));
        let fault = result.expect_err("no credentials");
        assert_eq!((fault.class, fault.executed), (Class::Auth, Executed::No));
        assert!(sent.is_empty());
    }
}
