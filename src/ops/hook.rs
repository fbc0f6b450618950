//! Hooks: programs of the user's, and addresses that are told.
//!
//! A program is started without a shell, in the config's directory, with fleetwright's own environment and a few variables
//! more. It reads from its standard input which instances it is run for. `docs/hooks.md` says what it is told.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::park_timeout;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::Reach;
use super::reach::way_to;
use crate::apply::engine::HookCall;
use crate::cloud::cvm::http::{Http, Way};
use crate::cloud::cvm::transport::{HttpRequest, Transport};
use crate::diagnostic::visible;
use crate::model::Millis;
use crate::model::ids::{CloudId, Name};

/// What `format` says; the number grows when something that was there changes or goes.
const FORMAT: &str = "fleetwright-hook/1";
/// How often it is looked whether a program has ended.
const GLANCE: Duration = Duration::from_millis(20);
/// How long what a program said last is waited for after its end: something that it left behind may hold the pipe open.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// What is kept of what a program says.
const MOST_SAID: usize = 16 * 1024;
/// What of it is told.
const MOST_TOLD: usize = 300;

/// What a hook is told.
#[derive(Serialize)]
pub(super) struct Told<'a> {
    format: &'static str,
    project: &'a str,
    environment: &'a str,
    region: &'a str,
    fleet: String,
    moment: &'static str,
    instances: Vec<Instance<'a>>,
}

#[derive(Serialize)]
struct Instance<'a> {
    address: String,
    id: &'a str,
}

impl<'a> Told<'a> {
    pub(super) fn of(project: &'a Name, environment: &'a Name, call: &'a HookCall) -> Self {
        let HookCall { fleet, region, moment, hook: _, instances } = call;
        let instance = |(addr, id): &'a (_, CloudId)| -> Instance<'a> {
            let addr: &crate::model::addr::Addr = addr;
            Instance { address: addr.to_string(), id: id.as_str() }
        };
        Self {
            format: FORMAT,
            project: project.as_str(),
            environment: environment.as_str(),
            region: region.as_str(),
            fleet: fleet.to_string(),
            moment: moment.word(),
            instances: instances.iter().map(instance).collect(),
        }
    }

    fn json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    fn variables(&self) -> [(&'static str, String); 6] {
        let ids: Vec<&str> = self.instances.iter().map(|instance| instance.id).collect();
        [
            ("FLEETWRIGHT_PROJECT", self.project.to_owned()),
            ("FLEETWRIGHT_ENVIRONMENT", self.environment.to_owned()),
            ("FLEETWRIGHT_REGION", self.region.to_owned()),
            ("FLEETWRIGHT_FLEET", self.fleet.clone()),
            ("FLEETWRIGHT_MOMENT", self.moment.to_owned()),
            ("FLEETWRIGHT_INSTANCES", ids.join(" ")),
        ]
    }
}

/// Runs a program to its end, or to the end of its time. A clause says what went wrong.
pub(super) fn command(
    dir: &Path,
    env: &BTreeMap<String, String>,
    words: &[String],
    told: &Told<'_>,
    timeout_ms: Millis,
    called_off: &AtomicBool,
) -> Result<(), String> {
    let Some((program, args)) = words.split_first() else { return Err("it names no program".to_owned()) };
    let shown = visible(program);
    // A name alone is looked for as a shell would; a path is one from the config's directory.
    let path = if program.contains('/') { dir.join(program) } else { program.into() };
    let mut command = Command::new(path);
    command.args(args).current_dir(dir).env_clear().envs(env).envs(told.variables());
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    alone(&mut command);
    let mut child = command.spawn().map_err(|error| format!("`{shown}` cannot be started: {error}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        let json = told.json();
        // It need not read what it is told.
        std::thread::spawn(move || drop(stdin.write_all(&json)));
    }
    let words = Words::hear(&mut child);
    match ended(&mut child, timeout_ms, called_off) {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => {
            let said = words.first_line();
            let said = if said.is_empty() { String::new() } else { format!(": {said}") };
            Err(format!("`{shown}` ended with {}{said}", how(status)))
        }
        Err(why) => Err(format!("`{shown}` {why}")),
    }
}

/// Waits for the end of a program, or brings it about.
#[expect(clippy::disallowed_methods, reason = "how long a program of this machine may take is told by this machine")]
fn ended(child: &mut Child, timeout_ms: Millis, called_off: &AtomicBool) -> Result<ExitStatus, String> {
    let (began, timeout) = (Instant::now(), millis(timeout_ms));
    loop {
        if let Some(status) = child.try_wait().map_err(|error| format!("cannot be waited for: {error}"))? {
            return Ok(status);
        }
        let why = if called_off.load(Ordering::SeqCst) {
            "was ended, for fleetwright was".to_owned()
        } else if began.elapsed() >= timeout {
            format!("did not end within {}, and was ended", span(timeout_ms))
        } else {
            park_timeout(GLANCE);
            continue;
        };
        end(child);
        drop(child.wait());
        return Err(why);
    }
}

fn how(status: ExitStatus) -> String {
    status.code().map_or_else(|| status.to_string(), |code| format!("exit status {code}"))
}

fn millis(ms: Millis) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

fn span(ms: Millis) -> String {
    if ms % 1000 == 0 { format!("{} s", ms / 1000) } else { format!("{ms} ms") }
}

/// A group of its own: what the program starts is ended with it, and Ctrl-C is for fleetwright, which waits for it.
#[cfg(unix)]
fn alone(command: &mut Command) {
    use std::os::unix::process::CommandExt as _;
    command.process_group(0);
}

#[cfg(not(unix))]
fn alone(_: &mut Command) {}

#[cfg(unix)]
fn end(child: &mut Child) {
    let group = rustix::process::Pid::from_child(child);
    if rustix::process::kill_process_group(group, rustix::process::Signal::KILL).is_err() {
        // It has just ended by itself.
        drop(child.kill());
    }
}

#[cfg(not(unix))]
fn end(child: &mut Child) {
    drop(child.kill());
}

/// What a program says on its standard error, as far as it is kept.
struct Words {
    kept: Arc<Mutex<Vec<u8>>>,
    over: std::sync::mpsc::Receiver<()>,
}

impl Words {
    fn hear(child: &mut Child) -> Self {
        let kept: Arc<Mutex<Vec<u8>>> = Arc::default();
        let (end, over) = channel::<()>();
        if let Some(mut stderr) = child.stderr.take() {
            let into = Arc::clone(&kept);
            std::thread::spawn(move || {
                let mut some = [0; 4096];
                // What is too much is read all the same: a full pipe would hold the program up.
                while let Ok(count @ 1..) = stderr.read(&mut some) {
                    let mut kept = into.lock().unwrap_or_else(PoisonError::into_inner);
                    let room = MOST_SAID.saturating_sub(kept.len()).min(count);
                    kept.extend(some.iter().take(room));
                }
                drop(end);
            });
        }
        Self { kept, over }
    }

    /// The first line that says anything.
    fn first_line(&self) -> String {
        _ = self.over.recv_timeout(LAST_WORDS);
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&kept);
        let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
        visible(&line.chars().take(MOST_TOLD).collect::<String>())
    }
}

/// Tells an address, and waits for its answer. A clause says what went wrong; of the address it names the host alone, for
/// the rest may be what lets one in.
pub(super) fn webhook(
    reach: &Reach,
    url: &str,
    told: &Told<'_>,
    timeout_ms: Millis,
    called_off: &AtomicBool,
) -> Result<(), String> {
    let Some((scheme, rest)) = url.split_once("://") else { return Err("the address has no scheme".to_owned()) };
    let (host, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let rest = rest.split('#').next().unwrap_or_default();
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let way = Way { call: millis(timeout_ms), ..way_to(reach, scheme, host) };
    let way = Way { connect: way.connect.min(way.call), ..way };
    let http = Http::new(&way).map_err(|why| format!("the proxy that the environment names cannot be used: {why}"))?;
    let request = HttpRequest {
        method: "POST".to_owned(),
        path: if path.is_empty() { "/".to_owned() } else { path.to_owned() },
        query: query.to_owned(),
        headers: vec![("Host".to_owned(), host.to_owned()), ("Content-Type".to_owned(), "application/json".to_owned())],
        body: told.json(),
    };
    let (done, answer) = channel();
    // Whoever is called off does not wait for an answer.
    std::thread::spawn(move || drop(done.send(http.send(&request, true))));
    loop {
        match answer.recv_timeout(GLANCE) {
            Ok(Ok(answer)) if (200..300).contains(&answer.status) => return Ok(()),
            Ok(Ok(answer)) => return Err(format!("{host} answered {}", answer.status)),
            Ok(Err(error)) => return Err(error.message),
            Err(RecvTimeoutError::Timeout) if called_off.load(Ordering::SeqCst) => {
                return Err(format!("the answer of {host} was not waited for, for fleetwright was ended"));
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err("fleetwright failed while it asked".to_owned()),
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::model::addr::{Addr, Block};
    use crate::model::update::{Hook, HookRun, Moment};

    const TIMEOUT_MS: Millis = 20_000;

    fn call() -> HookCall {
        let fleet = Block::fleet(&"web".into());
        let slot = |n: u32| Addr::slot(fleet.clone(), n);
        HookCall {
            fleet: fleet.clone(),
            region: "ap-guangzhou".into(),
            moment: Moment::BeforeStop,
            hook: Hook { run: HookRun::Command(Vec::new()), timeout_ms: TIMEOUT_MS },
            instances: vec![
                (slot(3), CloudId::Instance("ins-1".into())),
                (slot(4).generation(2), CloudId::Instance("ins-2".into())),
            ],
        }
    }

    const JSON: &str = concat!(
        r#"{"format":"fleetwright-hook/1","project":"shop","environment":"prod","region":"ap-guangzhou","#,
        r#""fleet":"fleet.web","moment":"before_stop","instances":[{"address":"fleet.web[3]","id":"ins-1"},"#,
        r#"{"address":"fleet.web[4]#2","id":"ins-2"}]}"#,
    );

    struct Place {
        dir: tempfile::TempDir,
        env: BTreeMap<String, String>,
    }

    impl Place {
        fn new() -> Self {
            let env = BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned()), ("KEY".into(), "v".into())]);
            Self { dir: tempfile::tempdir().expect("a folder"), env }
        }

        fn run(&self, script: &str, timeout_ms: Millis, called_off: &AtomicBool) -> Result<(), String> {
            let words = ["sh", "-c", script].map(str::to_owned);
            let (project, env) = (Name::new("shop"), Name::new("prod"));
            let call = call();
            let told = Told::of(&project, &env, &call);
            command(self.dir.path(), &self.env, &words, &told, timeout_ms, called_off)
        }

        fn go(&self, script: &str) -> Result<(), String> {
            self.run(script, TIMEOUT_MS, &AtomicBool::new(false))
        }

        fn read(&self, name: &str) -> String {
            std::fs::read_to_string(self.dir.path().join(name)).expect("a file")
        }
    }

    /// Whether a process is there, and not only its entry.
    fn lives(pid: &str) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
    }

    #[test]
    fn a_program_is_told_what_it_is_run_for() {
        let place = Place::new();
        let script = r#"cat > told; echo "$FLEETWRIGHT_PROJECT $FLEETWRIGHT_ENVIRONMENT $FLEETWRIGHT_REGION \
$FLEETWRIGHT_FLEET $FLEETWRIGHT_MOMENT $FLEETWRIGHT_INSTANCES $KEY" > vars"#;
        assert_eq!(place.go(script), Ok(()));
        assert_eq!(place.read("told"), JSON);
        assert_eq!(place.read("vars"), "shop prod ap-guangzhou fleet.web before_stop ins-1 ins-2 v\n");
        // It need not read it, and may say more than a pipe holds.
        assert_eq!(place.go("yes | head -c 300000 >&2; exit 0"), Ok(()));
    }

    #[test]
    fn a_program_that_fails_says_why() {
        let place = Place::new();
        let said = place.go("echo >&2; printf 'no such pool\\tat all\\n' >&2; echo more >&2; exit 3");
        assert_eq!(said, Err(format!("`sh` ended with exit status 3: {}", visible("no such pool\tat all"))));
        assert_eq!(place.go("exit 1"), Err("`sh` ended with exit status 1".to_owned()));
        let (project, env, call) = (Name::new("shop"), Name::new("prod"), call());
        let told = Told::of(&project, &env, &call);
        let run = |program: &str| {
            let words = [program.to_owned()];
            command(place.dir.path(), &place.env, &words, &told, TIMEOUT_MS, &AtomicBool::new(false))
        };
        let said = run("./lacks.sh").expect_err("it is not there");
        assert!(said.starts_with("`./lacks.sh` cannot be started: "), "{said}");
        // A path is one from the config's directory.
        std::os::unix::fs::symlink("/bin/true", place.dir.path().join("yes")).expect("a link");
        assert_eq!(run("./yes"), Ok(()));
    }

    #[test]
    fn what_takes_too_long_is_ended_with_all_that_it_started() {
        let place = Place::new();
        let script = "sleep 60 & echo $! > child; echo $$ > self; wait";
        assert_eq!(
            place.run(script, 1_000, &AtomicBool::new(false)),
            Err("`sh` did not end within 1 s, and was ended".into())
        );
        assert!(!lives(&place.read("self")));
        // Whoever looks after orphans may take a moment.
        let gone = (0..100).any(|_| {
            park_timeout(GLANCE);
            !lives(&place.read("child"))
        });
        assert!(gone, "what it started still runs");
    }

    #[test]
    fn what_is_called_off_is_ended() {
        let place = Place::new();
        let said = place.run("sleep 60", TIMEOUT_MS, &AtomicBool::new(true));
        assert_eq!(said, Err("`sh` was ended, for fleetwright was".to_owned()));
    }

    /// A server that answers one request with this.
    fn server(answer: &'static str) -> (String, std::thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let host = listener.local_addr().expect("an address").to_string();
        let serving = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a connection");
            let mut text = String::new();
            let mut some = [0; 1024];
            while !text.ends_with('}') {
                let count = stream.read(&mut some).expect("a request");
                text.push_str(&String::from_utf8_lossy(&some[..count]));
            }
            stream.write_all(answer.as_bytes()).expect("an answer");
            text
        });
        (host, serving)
    }

    fn tell(url: &str, called_off: bool) -> Result<(), String> {
        let (project, env, call) = (Name::new("shop"), Name::new("prod"), call());
        let told = Told::of(&project, &env, &call);
        webhook(&Reach::default(), url, &told, 5_000, &AtomicBool::new(called_off))
    }

    #[test]
    fn an_address_is_told_the_same() {
        let (host, serving) = server("HTTP/1.1 204 No Content\r\n\r\n");
        assert_eq!(tell(&format!("http://{host}/in?key=hush#there"), false), Ok(()));
        let request = serving.join().expect("a request");
        assert!(request.starts_with("POST /in?key=hush HTTP/1.1\r\n"), "{request}");
        assert!(request.to_lowercase().contains("content-type: application/json\r\n"), "{request}");
        assert!(request.ends_with(&format!("\r\n\r\n{JSON}")), "{request}");

        let (host, _) = server("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(tell(&format!("http://{host}?key=hush"), false), Err(format!("{host} answered 503")));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let host = listener.local_addr().expect("an address").to_string();
        let said = tell(&format!("http://{host}/hush"), true).expect_err("called off");
        assert_eq!(said, format!("the answer of {host} was not waited for, for fleetwright was ended"));
        drop(listener);
        let said = tell(&format!("http://{host}/hush"), false).expect_err("nobody listens");
        assert!(said.contains(&host) && !said.contains("hush"), "{said}");
    }
}
