//! A client that signs what it asks, and keeps its connection.

#![expect(clippy::disallowed_methods, reason = "a bench looks at the clock")]

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, SystemTime};

use fleetwright::cloud::cvm::sign::{Credentials, Envelope, SecretText, headers};
use fleetwright::cloud::embedded::{credentials, public_image_id};
use serde_json::Value;

const REGION: &str = "ap-guangzhou";
const ACCOUNT: &str = "100000000001";
/// Longer than any answer takes.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Client {
    stream: TcpStream,
    host: String,
    keys: Credentials,
    answer: Vec<u8>,
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> io::Result<Self> {
        let keys = credentials(ACCOUNT).ok_or_else(|| io::Error::other("the embedded cloud has no keys"))?;
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self {
            stream,
            host: address.to_string(),
            keys: Credentials { secret_id: keys.secret_id, secret_key: SecretText::new(keys.secret_key), token: None },
            answer: Vec::new(),
        })
    }

    /// The body of the answer.
    ///
    /// # Errors
    ///
    /// There is none, or it is a refusal.
    pub(crate) fn ask(&mut self, action: &str, body: &str) -> io::Result<&[u8]> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_err(io::Error::other)?;
        let now_s = i64::try_from(now.as_secs()).map_err(io::Error::other)?;
        let (host, version) = (self.host.as_str(), "2017-03-12");
        let envelope = Envelope { service: "cvm", host, action, version, region: Some(REGION), body: body.as_bytes() };
        let mut request = format!("POST / HTTP/1.1\r\nContent-Length: {}\r\n", body.len());
        for (name, value) in headers(&self.keys, now_s, &envelope) {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("\r\n");
        request.push_str(body);
        self.stream.write_all(request.as_bytes())?;
        let start = self.read()?;
        let body = &self.answer[start..];
        // A refusal is short, and says so first.
        let begin = String::from_utf8_lossy(&body[..body.len().min(80)]);
        if begin.contains("\"Error\"") {
            return Err(io::Error::other(format!("{action} was refused: {}", String::from_utf8_lossy(body))));
        }
        Ok(body)
    }

    /// Reads a whole answer; says where its body begins.
    fn read(&mut self) -> io::Result<usize> {
        let mut some = [0; 64 * 1024];
        self.answer.clear();
        let mut whole = None;
        loop {
            if whole.is_none()
                && let Some(end) = self.answer.windows(4).position(|four| four == b"\r\n\r\n")
            {
                let head = String::from_utf8_lossy(&self.answer[..end]).to_lowercase();
                let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
                let length: usize =
                    length.ok_or_else(|| io::Error::other(format!("an answer of no length: {head}")))?;
                whole = Some((end + 4, end + 4 + length));
            }
            if let Some((start, end)) = whole
                && self.answer.len() >= end
            {
                return Ok(start);
            }
            match self.stream.read(&mut some)? {
                0 => return Err(io::Error::other("the connection was closed without an answer")),
                read => self.answer.extend_from_slice(&some[..read]),
            }
        }
    }

    /// Launches instances, and answers their ids.
    pub(crate) fn launch(&mut self, count: usize, zone: &str) -> io::Result<Vec<String>> {
        let answer = self.ask("RunInstances", &launch(count, zone))?;
        let answer: Value = serde_json::from_slice(answer)?;
        let ids = answer["Response"]["InstanceIdSet"].as_array().into_iter().flatten();
        Ok(ids.filter_map(|id| id.as_str().map(str::to_owned)).collect())
    }
}

/// A request for instances.
pub(crate) fn launch(count: usize, zone: &str) -> String {
    serde_json::json!({
        "Placement": {"Zone": zone},
        "ImageId": public_image_id(REGION, "Ubuntu Server 22.04 LTS 64bit"),
        "InstanceType": "S5.MEDIUM4",
        "InstanceCount": count,
        "InstanceName": "bench",
        "LoginSettings": {"KeyIds": ["skey-8a7c6b5d"]},
        "TagSpecification": [{"ResourceType": "instance", "Tags": [{"Key": "app", "Value": "web"}]}],
    })
    .to_string()
}

/// A question for so many of all instances, the first of them by the number of the question, and spread over all.
pub(crate) fn question(ids: &[String], count: usize, n: usize) -> String {
    let count = count.min(ids.len());
    let step = ids.len().checked_div(count).unwrap_or(1);
    let start = n.wrapping_mul(7_919);
    let asked: Vec<&String> = (0..count).map(|k| &ids[start.wrapping_add(k * step) % ids.len()]).collect();
    serde_json::json!({ "InstanceIds": asked, "Limit": count }).to_string()
}
