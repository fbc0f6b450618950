//! The way to the real cloud: TLS and its certificates, proxies, time-outs; to a served cloud on this machine.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::channel;
use std::time::Duration;

use fleetwright::cloud::cvm::http::{Http, Way};
use fleetwright::cloud::cvm::transport::{HttpRequest, Transport as _};
use fleetwright::cloud::embedded::credentials;

use crate::lines::{Authority, Forward, Host, Tls, message};
use crate::place::{OWNER, Place, Wish};

/// The years in which certificates are good, unless that is what is wrong with them.
const GOOD: (i32, i32) = (2000, 2100);
/// A host that only a proxy knows.
const ELSEWHERE: &str = "cvm.example.test";
const PASSWORD: &str = "hunter2";

fn wish() -> Wish {
    Wish { copied: false, partners: 0, count: 2, ..Wish::new("instant") }
}

/// A cloud behind TLS, and a place whose config names it as `host`; `names` stand in its certificate.
fn behind_tls(host: &str, names: &[&str], years: (i32, i32), once: bool) -> (Place, Tls) {
    let mut place = Place::served(&wish());
    let behind: SocketAddr = place.endpoint().trim_start_matches("http://").parse().expect("an address");
    let authority = Authority::new("ours");
    let tls = Tls::new(authority.vouch(names, years), behind, once);
    let roots = place.dir().join("roots.pem");
    std::fs::write(&roots, authority.pem()).expect("written");
    place.set("SSL_CERT_FILE", roots.to_str().expect("a path"));
    place.reach(&wish(), &format!("https://{host}:{}", tls.host.port()));
    (place, tls)
}

/// Runs a command that fails, says all of this, and no secret.
#[track_caller]
fn fails(place: &Place, args: &str, words: &[&str]) {
    let said = place.expect(args, 1);
    let flat = said.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in words {
        assert!(flat.contains(words), "{words}: {said}");
    }
    let keys = credentials(OWNER).expect("keys");
    for secret in [keys.secret_key.as_str(), keys.secret_id.as_str(), PASSWORD] {
        assert!(!said.contains(secret), "{said}");
    }
    assert_eq!(said.matches("error[").count(), 1, "one reason is told once: {said}");
    assert!(!place.state_file().exists(), "nothing was begun: {said}");
}

#[test]
fn over_tls_a_plan_and_an_apply_do_what_they_do_without() {
    for once in [false, true] {
        let (place, tls) = behind_tls("localhost", &["localhost"], GOOD, once);
        let said = place.expect("plan", 0);
        assert!(said.contains("Plan: 4 to add, 0 to change, 0 to reset, 0 to destroy."), "{said}");
        place.expect("apply --auto-approve", 0);
        place.expect("plan --detailed-exitcode", 0);
        assert_eq!(place.wrong(false), Vec::<String>::new());
        let (came, asked) = (tls.host.came(), tls.asked());
        // Reads share connections, as far as the server lets them.
        assert!(if once { came >= asked } else { came < asked }, "{asked} requests by {came} connections");
    }
}

#[test]
fn a_certificate_that_cannot_be_trusted_is_told_and_nothing_is_sent() {
    let (mut place, tls) = behind_tls("localhost", &["localhost"], GOOD, false);
    let host = format!("localhost:{}", tls.host.port());
    let help = "where a server or a proxy has a root certificate of its own, put it there";
    // Somebody else's root.
    std::fs::write(place.dir().join("roots.pem"), Authority::new("theirs").pem()).expect("written");
    let nobody = format!("nobody whom this machine trusts vouches for the certificate of {host}");
    for args in ["plan", "apply --auto-approve"] {
        fails(&place, args, &[&nobody, "nothing was changed", help]);
    }
    // None at all.
    std::fs::write(place.dir().join("roots.pem"), "").expect("written");
    std::fs::create_dir(place.dir().join("roots")).expect("a directory");
    place.set("SSL_CERT_DIR", "roots");
    fails(&place, "plan", &[&format!("there is no root certificate to trust {host} by"), help]);
    assert_eq!(tls.asked(), 0);

    for (names, years, words) in [
        (["other.test"], GOOD, "is one of other.test, and not of that name"),
        (
            ["localhost"],
            (2000, 2020),
            "was good until 2020-01-01T00:00:00Z, and by the clock of this machine that is over",
        ),
        (
            ["localhost"],
            (2090, 2100),
            "is good from 2090-01-01T00:00:00Z on, and by the clock of this machine that is to come",
        ),
    ] {
        let (place, tls) = behind_tls("localhost", &names, years, false);
        let host = format!("localhost:{}", tls.host.port());
        fails(&place, "plan", &[&format!("the certificate of {host} {words}"), help]);
        assert!(tls.host.came() > 0);
        assert_eq!(tls.asked(), 0, "{words}");
    }
}

#[test]
fn https_to_a_server_that_speaks_http_is_told() {
    let way = Way::default();
    let http = Http::new(&way).expect("a way");
    let plain = Host::new(|mut stream| stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"));
    let lost = http.send(&request(plain.address), true).expect_err("no TLS");
    // Where nobody is trusted, nobody is spoken to.
    let expected = [format!("what {} says is not TLS", plain.address), "there is no root certificate".to_owned()];
    assert!(expected.iter().any(|expected| lost.message.contains(expected)), "{lost}");
    assert!(!lost.sent, "it is sent after a handshake");
    // A handshake that ends before its end.
    let rude = Host::new(|mut stream| stream.read(&mut [0]).map(drop));
    let lost = http.send(&request(rude.address), true).expect_err("no TLS");
    assert!(!lost.sent, "{lost}");
}

#[test]
fn a_proxy_leads_to_a_host_that_only_it_knows() {
    let (mut place, tls) = behind_tls(ELSEWHERE, &[ELSEWHERE], GOOD, false);
    let proxy = Forward::to(tls.host.address);
    for (login, told) in [("", None), ("me:hunter2@", Some("Proxy-Authorization: Basic bWU6aHVudGVyMg=="))] {
        let before = (proxy.heads().len(), tls.host.came());
        place.set("HTTPS_PROXY", format!("http://{login}{}", proxy.host.address));
        let said = place.expect("plan", 0);
        assert!(!said.contains(PASSWORD), "{said}");
        let heads = proxy.heads().split_off(before.0);
        assert!(!heads.is_empty());
        assert_eq!(heads.len(), tls.host.came() - before.1, "no connection but through the proxy");
        for head in &heads {
            assert!(head.starts_with(&format!("CONNECT {ELSEWHERE}:{} HTTP/1.1\r\n", tls.host.port())), "{head}");
            let login = head.lines().find(|line| line.starts_with("Proxy-Authorization"));
            assert_eq!(login, told);
            assert!(!head.contains("X-TC-"), "{head}");
        }
    }
    place.expect("apply --auto-approve", 0);
    place.expect("plan --detailed-exitcode", 0);
}

#[test]
fn hosts_that_are_reached_without_the_proxy_and_this_machine_never_go_through_it() {
    // An address of this machine that does not say so.
    let (mut place, tls) = behind_tls("0.0.0.0", &["0.0.0.0", "localhost", "127.0.0.1"], GOOD, false);
    let proxy = Forward::to(tls.host.address);
    place.set("HTTPS_PROXY", format!("http://{}", proxy.host.address));
    place.expect("plan", 0);
    let through = proxy.host.came();
    assert!(through > 0);
    for around in ["0.0.0.0", "example.com, 0.0.0.0 ,example.org", "*"] {
        place.set("NO_PROXY", around);
        place.expect("plan", 0);
        assert_eq!(proxy.host.came(), through, "{around}");
    }
    place.set("NO_PROXY", "");
    for host in ["localhost", "127.0.0.1"] {
        place.reach(&wish(), &format!("https://{host}:{}", tls.host.port()));
        place.expect("plan", 0);
        assert_eq!(proxy.host.came(), through, "{host}");
    }
}

#[test]
fn a_proxy_that_refuses_is_told_without_its_login() {
    let (mut place, tls) = behind_tls(ELSEWHERE, &[ELSEWHERE], GOOD, false);
    for (status, words) in [
        ("407 Proxy Authentication Required", "wants a login, or another one (407)".to_owned()),
        ("403 Forbidden", format!("does not let anybody through to {ELSEWHERE}:{} (403)", tls.host.port())),
    ] {
        let proxy = Forward::refusing(status);
        place.set("HTTPS_PROXY", format!("http://me:{PASSWORD}@{}", proxy.host.address));
        let words = format!("the proxy {} {words}", proxy.host.address);
        fails(&place, "plan", &[&words, "put right what HTTPS_PROXY, HTTP_PROXY or ALL_PROXY says"]);
        fails(&place, "apply --auto-approve", &[&words, "nothing was changed"]);
    }
    let wrong = "the proxy that the environment names cannot be used";
    for (scheme, words) in [("gopher", "it is no address of a proxy"), ("socks5", "only HTTP proxies are used")] {
        place.set("HTTPS_PROXY", format!("{scheme}://me:{PASSWORD}@127.0.0.1:1"));
        fails(&place, "plan", &[wrong, words]);
    }
    assert_eq!(tls.host.came(), 0);
}

/// A question to a server.
fn request(address: SocketAddr) -> HttpRequest {
    HttpRequest {
        method: "POST".to_owned(),
        path: "/".to_owned(),
        query: String::new(),
        headers: vec![("Host".to_owned(), address.to_string())],
        body: b"{}".to_vec(),
    }
}

fn plain() -> Way {
    Way { scheme: "http".to_owned(), ..Way::default() }
}

const SHORT: Duration = Duration::from_millis(200);

#[test]
fn a_server_that_never_answers_is_not_awaited_for_ever() {
    // It is read, and nothing comes; or not all.
    let mute = Host::new(|mut stream| {
        message(&mut stream)?;
        message(&mut stream).map(drop)
    });
    let stuck = Host::new(|mut stream| {
        message(&mut stream)?;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"Resp")?;
        message(&mut stream).map(drop)
    });
    let http = Http::new(&Way { call: SHORT, ..plain() }).expect("a way");
    for host in [&mute, &stuck] {
        for changes in [false, true] {
            let lost = http.send(&request(host.address), changes).expect_err("no answer");
            assert_eq!(lost.message, format!("{} did not answer within 200 ms", host.address));
            assert!(lost.sent, "it may have been executed");
        }
    }
    // One that answers at first, by a connection that could be used again.
    let tired = Host::new(|mut stream| {
        while let Some(request) = message(&mut stream)? {
            if !request.ends_with(b"again") {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")?;
            }
        }
        Ok(())
    });
    for changes in [false, true] {
        let again = HttpRequest { body: b"again".to_vec(), ..request(tired.address) };
        http.send(&request(tired.address), changes).expect("an answer");
        assert!(http.send(&again, changes).expect_err("no answer").sent, "it may have been executed");
    }
}

#[test]
fn a_connection_that_never_comes_about_carries_nothing() {
    // A proxy that says nothing.
    let mute = Host::new(|mut stream| message(&mut stream).and_then(|_| message(&mut stream)).map(drop));
    let proxy = Some(format!("http://me:{PASSWORD}@{}", mute.address));
    let way = Way { connect: SHORT, proxy, ..plain() };
    let elsewhere = SocketAddr::from(([192, 0, 2, 1], 80));
    let lost = Http::new(&way).expect("a way").send(&request(elsewhere), true).expect_err("no connection");
    let through = format!("no connection to {elsewhere} through the proxy {} came about within 200 ms", mute.address);
    assert_eq!((lost.message.as_str(), lost.sent), (through.as_str(), false));

    // A server that is asked by more than it accepts. How many may wait is the system's to say.
    const MOST: usize = 10_000;
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let waiting: Vec<TcpStream> = (0..MOST).map_while(|_| TcpStream::connect_timeout(&address, SHORT).ok()).collect();
    let http = Http::new(&Way { connect: SHORT, ..plain() }).expect("a way");
    let lost = http.send(&request(address), true).expect_err("no connection");
    assert_eq!(lost.message, format!("no connection to {address} came about within 200 ms"));
    assert!(!lost.sent);
    drop((waiting, listener));

    // A proxy that is not there.
    let gone = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let way = Way { proxy: Some(format!("http://me:{PASSWORD}@{gone}")), ..plain() };
    let lost = Http::new(&way).expect("a way").send(&request(elsewhere), true).expect_err("no connection");
    let through = format!("no connection to {elsewhere} through the proxy {gone} came about");
    assert!(lost.message.starts_with(&through) && !lost.sent, "{lost}");
}

#[test]
fn large_answers_arrive_whole() {
    const BYTES: usize = 5 * 1024 * 1024;
    let large = Host::new(|mut stream| {
        while message(&mut stream)?.is_some() {
            stream.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {BYTES}\r\n\r\n").as_bytes())?;
            stream.write_all(&vec![b'x'; BYTES])?;
        }
        Ok(())
    });
    let http = Http::new(&plain()).expect("a way");
    for _ in 0..3 {
        let answer = http.send(&request(large.address), false).expect("an answer");
        assert_eq!((answer.status, answer.body.len()), (200, BYTES));
    }
    assert_eq!(large.came(), 1, "reads share a connection");
}

#[test]
fn reads_go_on_where_a_server_closes_idle_connections() {
    let (closed, closes) = channel();
    let host = Host::new(move |mut stream| {
        message(&mut stream)?;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")?;
        drop(stream);
        closed.send(()).map_err(std::io::Error::other)
    });
    let http = Http::new(&plain()).expect("a way");
    for n in 1..=3 {
        assert_eq!(http.send(&request(host.address), false).expect("an answer").body, b"{}");
        closes.recv().expect("closed");
        assert_eq!(host.came(), n);
    }
}
