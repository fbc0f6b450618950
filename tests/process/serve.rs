//! The embedded cloud as a server: what other programs may do to it.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use fleetwright::cloud::cvm::sign::{Credentials, Envelope, SecretText, headers};
use fleetwright::cloud::embedded::{credentials, public_image_id};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::place::{Dice, OWNER, Place, Running, Wish, now_ms};

const GZ: &str = "ap-guangzhou";
/// Longer than anything takes here.
const PATIENCE: Duration = Duration::from_secs(60);

/// A cloud that is served, and where.
struct Served {
    running: Running,
    address: SocketAddr,
}

impl Served {
    fn start(place: &Place, options: &str) -> Self {
        let mut running = place.start(&format!("cloud serve --profile instant {options}"));
        assert!(running.until(|said| said.contains("listening on http://")), "{}", running.said());
        let said = running.said();
        let address = said.lines().find_map(|line| line.strip_prefix("listening on http://")).expect("an address");
        let address = address.parse().expect("an address and a port");
        Self { running, address }
    }

    /// Stops it as a service manager does.
    fn stop(mut self) -> String {
        self.running.signal(Signal::TERM);
        let status = self.running.end();
        assert_eq!(status.code(), Some(0), "{}", self.running.said());
        self.running.said()
    }

    /// The answer to a signed request of this account, by a connection of its own.
    fn ask(&self, account: u32, action: &str, body: &Value) -> Value {
        let request = signed(account, &self.address.to_string(), "/", action, &body.to_string());
        let answer = exchange(self.address, &request);
        assert!(!answer.is_empty(), "no answer to {action}");
        response(&answer)
    }
}

/// A signed request: its target as it stands in its first line.
fn signed(account: u32, host: &str, target: &str, action: &str, body: &str) -> Vec<u8> {
    let keys = credentials(&format!("10000000{account:04}")).expect("keys");
    let keys = Credentials { secret_id: keys.secret_id, secret_key: SecretText::new(keys.secret_key), token: None };
    let envelope =
        Envelope { service: "cvm", host, action, version: "2017-03-12", region: Some(GZ), body: body.as_bytes() };
    let mut text = format!("POST {target} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers(&keys, now_ms() / 1000, &envelope) {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    (text + "\r\n" + body).into_bytes()
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    stream.set_write_timeout(Some(PATIENCE)).expect("set");
    stream
}

/// What comes back, until the other side closes.
fn exchange(address: SocketAddr, request: &[u8]) -> Vec<u8> {
    let mut stream = connect(address);
    // A server may have closed before it has read everything.
    drop(stream.write_all(request));
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer));
    answer
}

/// What follows `"Response":`, of an answer as official tools take one.
fn response(answer: &[u8]) -> Value {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n").expect("headers");
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let kind = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-type:").map(str::to_owned));
    assert_eq!(kind.as_deref().map(str::trim), Some("application/json"), "{head}");
    let answer: Value = serde_json::from_str(body).expect("JSON");
    answer["Response"].clone()
}

fn launch(account: u32, count: u32) -> Value {
    json!({
        "Placement": {"Zone": "ap-guangzhou-3"},
        "ImageId": public_image_id(GZ, "Ubuntu Server 22.04 LTS 64bit"),
        "InstanceType": "S5.MEDIUM4",
        "InstanceCount": count,
        // A key belongs to whoever used it first.
        "LoginSettings": {"KeyIds": [format!("skey-8a7c6b5{account}")]},
    })
}

fn place() -> Place {
    Place::new(&Wish::new("instant"))
}

#[test]
fn a_served_cloud_answers_notes_what_was_asked_and_stops_when_it_is_told_to() {
    let place = place();
    let served = Served::start(&place, "--data cloud.db --log requests.log");
    let made = served.ask(1, "RunInstances", &launch(1, 3));
    assert_eq!(made["InstanceIdSet"].as_array().map(Vec::len), Some(3), "{made}");
    assert_eq!(served.ask(1, "Dance", &json!({}))["Error"]["Code"], "InvalidAction");
    let said = served.stop();
    assert!(said.contains("Stopped."), "{said}");
    let log = std::fs::read_to_string(place.dir().join("requests.log")).expect("a log");
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let told = |line: &Value| {
        ["account", "region", "action", "outcome"].map(|key| line[key].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(told(&lines[0]), [OWNER, GZ, "RunInstances", "ok"]);
    assert_eq!(told(&lines[1]), [OWNER, GZ, "Dance", "InvalidAction"]);
    assert_eq!(lines.len(), 2);
    assert!(!log.contains("skey-") && !log.contains("Signature") && !log.contains("AKID"), "{log}");

    // What is in a file is there again, and its keys are told.
    let served = Served::start(&place, "--data cloud.db");
    assert_eq!(served.ask(1, "DescribeInstances", &json!({}))["TotalCount"], 3);
    served.stop();
    assert!(place.expect("cloud credentials --data cloud.db --account 100000000002", 0).contains("export TENCENT"));
    assert!(place.expect("cloud credentials --data nowhere.db", 64).contains("there is no nowhere.db"));
}

#[test]
fn a_served_cloud_takes_requests_as_official_tools_and_proxies_send_them() {
    let place = place();
    let served = Served::start(&place, "");
    let address = served.address;
    // As through a forward proxy; as the official command line client sends an endpoint that was given as a URL; and to
    // the name of the real host.
    for (host, target) in [
        ("cvm.tencentcloudapi.com", "http://cvm.tencentcloudapi.com/"),
        ("http://127.0.0.1:8080", "/"),
        ("cvm.ap-guangzhou.tencentcloudapi.com", "/"),
    ] {
        let answer = response(&exchange(address, &signed(1, host, target, "DescribeRegions", "{}")));
        assert!(answer["TotalCount"].as_u64() > Some(10), "{host} {target}: {answer}");
    }
    // One connection, several requests.
    let mut stream = connect(address);
    let once = String::from_utf8(signed(1, "localhost", "/", "DescribeZones", "{}")).expect("a text");
    let again = once.replace("Connection: close", "Connection: keep-alive");
    stream.write_all(format!("{again}{again}{once}").as_bytes()).expect("sent");
    let mut answers = String::new();
    stream.read_to_string(&mut answers).expect("answers");
    assert_eq!(answers.matches("\"ZoneSet\"").count(), 3, "{answers}");
    served.stop();
}

#[test]
fn nobody_serves_beyond_this_machine_unasked() {
    let place = place();
    let said = place.expect("cloud serve --listen 0.0.0.0:0", 64);
    assert!(said.contains("--allow-remote"), "{said}");
    let taken = Served::start(&place, "");
    let said = place.expect(&format!("cloud serve --listen {}", taken.address), 1);
    assert!(said.contains("choose another port"), "{said}");
    std::fs::write(place.dir().join("limits.cfg"), "images_per_regoin: 3\n").expect("written");
    let said = place.expect("cloud serve --limits limits.cfg", 65);
    assert!(said.contains("limits.cfg:1:1") && said.contains("images_per_region"), "{said}");
    taken.stop();
}

#[test]
fn broken_requests_neither_crash_nor_hang_a_served_cloud() {
    let place = place();
    let served = Served::start(&place, "");
    let address = served.address;
    // They hold their connections, and say nothing, or not all.
    let whole = signed(1, "localhost", "/", "DescribeZones", "{}");
    let silent: Vec<TcpStream> = (0..20).map(|_| connect(address)).collect();
    let slow: Vec<TcpStream> = (1..=20)
        .map(|n| {
            let mut stream = connect(address);
            stream.write_all(&whole[..whole.len() * n / 21]).expect("sent");
            stream
        })
        .collect();
    let mut dice = Dice::new(7);
    let mut answered = 0;
    for _ in 0..1_000 {
        let mut request = whole.clone();
        match dice.roll(4) {
            0 => request.truncate(usize::try_from(dice.roll(request.len() as u64)).expect("small")),
            1 => request = (0..dice.roll(300)).map(|_| u8::try_from(dice.roll(256)).expect("a byte")).collect(),
            _ => {
                for _ in 0..=dice.roll(5) {
                    let at = usize::try_from(dice.roll(request.len() as u64)).expect("small");
                    request[at] = u8::try_from(dice.roll(256)).expect("a byte");
                }
            }
        }
        let mut stream = connect(address);
        drop(stream.write_all(&request));
        drop(stream.shutdown(std::net::Shutdown::Write));
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer));
        answered += usize::from(answer.starts_with(b"HTTP/1.1 "));
    }
    assert!(answered > 500, "{answered} of 1000 were told what is wrong with them");
    // More than a body may have.
    let large = signed(1, "localhost", "/", "DescribeZones", &" ".repeat(10 * 1024 * 1024 + 10));
    let refused = exchange(address, &large);
    assert_eq!(response(&refused)["Error"]["Code"], "RequestSizeLimitExceeded");
    assert!(served.ask(1, "DescribeZones", &json!({}))["TotalCount"].as_u64() > Some(1));
    // They do not keep it from stopping, either.
    served.stop();
    drop((silent, slow));
}

#[test]
fn sixty_four_clients_at_once_find_one_consistent_cloud() {
    let place = place();
    let served = Served::start(&place, "--data cloud.db");
    let ids: Vec<Vec<String>> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..64)
            .map(|n| {
                let served = &served;
                scope.spawn(move || {
                    let made = served.ask(1 + n % 4, "RunInstances", &launch(1 + n % 4, 1 + n % 3));
                    let made = made["InstanceIdSet"].as_array().unwrap_or_else(|| panic!("{made}")).clone();
                    let ids: Vec<String> = made.iter().filter_map(|id| id.as_str().map(str::to_owned)).collect();
                    let seen = served.ask(1 + n % 4, "DescribeInstances", &json!({"InstanceIds": ids}));
                    assert_eq!(seen["TotalCount"].as_u64(), Some(ids.len() as u64), "{seen}");
                    ids
                })
            })
            .collect();
        clients.into_iter().map(|client| client.join().expect("a client")).collect()
    });
    let made: usize = ids.iter().map(Vec::len).sum();
    let different: BTreeSet<&String> = ids.iter().flatten().collect();
    assert_eq!((made, different.len()), (127, 127));
    let counts = (1..=4).map(|account| served.ask(account, "DescribeInstances", &json!({}))["TotalCount"].as_u64());
    assert_eq!(counts.map(Option::unwrap_or_default).sum::<u64>(), 127);
    served.stop();
}

#[test]
fn faults_are_met_as_often_as_asked_for_and_the_log_tells_them() {
    let place = place();
    let served = Served::start(&place, "--faults 7:50% --log requests.log");
    let mut unanswered = 0;
    let mut outcomes = BTreeSet::new();
    for n in 0..200 {
        let request = signed(1, "localhost", "/", "RunInstances", &launch(1, 1 + n % 2).to_string());
        let answer = exchange(served.address, &request);
        if answer.is_empty() {
            unanswered += 1;
        } else {
            outcomes.insert(response(&answer)["Error"]["Code"].as_str().unwrap_or("ok").to_owned());
        }
    }
    let expected = ["InternalError", "RequestLimitExceeded", "ok"].map(str::to_owned);
    assert_eq!(outcomes, BTreeSet::from(expected));
    assert!((15..60).contains(&unanswered), "{unanswered} of 200 got no answer");
    served.stop();
    let log = std::fs::read_to_string(place.dir().join("requests.log")).expect("a log");
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let of = |answered: bool, outcome: &str| {
        lines.iter().filter(|line| line["answered"] == answered && line["outcome"] == outcome).count()
    };
    // What was lost was not refused: either nothing was done, or what the log says.
    assert_eq!((lines.len(), of(false, "lost") + of(false, "ok")), (200, unanswered));
    assert!(of(false, "lost") > 0 && of(false, "ok") > 0 && of(true, "lost") == 0, "{log}");
}
