//! A directory with a config, a state and a cloud, and processes that work in it.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use fleetwright::cloud::embedded::{Embedded, Holdings, Settings, credentials};
use fleetwright::store::{SqliteStore, Store, Stored};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::compare;

pub(crate) const OWNER: &str = "100000000001";
/// What never comes is not awaited for ever. Nothing here takes a tenth of it.
const PATIENCE: Duration = Duration::from_secs(120);

/// A builder, an image that is captured from it and copied, who may use it, and a fleet that runs from it.
const CONFIG: &str = r#"project: shop
cloud: { PROVIDER, latency: LATENCY, region: ap-guangzhou }
images:
  ubuntu:
    public: { name: "Ubuntu Server 22.04 LTS 64bit" }
  web:
    from_instance: { instance: "fleet.builder[0]", ready: stopped }
    regions: [REGIONS]
    tags: { app: web }
shares:
  partners:
    image: web
    accounts: [PARTNERS]
fleets:
  builder:
    image: ubuntu
    count: 1
    zones: [ap-guangzhou-3]
    type: S5.MEDIUM4
    user_data: { file: boot.sh }
  web:
    image: web
    count: COUNT
    zones: [ap-guangzhou-3]
    type: S5.MEDIUM4
    tags: { round: "TAG" }
"#;

/// What a config asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Wish {
    pub(crate) latency: &'static str,
    pub(crate) count: u64,
    /// What the builder boots with: another number is another version of the image.
    pub(crate) script: u64,
    pub(crate) copied: bool,
    pub(crate) partners: u64,
    pub(crate) tag: u64,
}

impl Wish {
    pub(crate) fn new(latency: &'static str) -> Self {
        Self { latency, count: 3, script: 0, copied: true, partners: 1, tag: 0 }
    }
}

/// Random numbers that a seed gives.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `below`.
    pub(crate) fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below.max(1)
    }
}

/// A place to work in.
pub(crate) struct Place {
    /// Whoever serves its cloud, where that is another process; it ends before the directory goes.
    served: Option<Running>,
    /// How the config reaches the cloud.
    provider: String,
    /// What commands find in their environment.
    env: Vec<(&'static str, String)>,
    dir: tempfile::TempDir,
}

/// How long a served cloud accepts a signature, and how soon it lists what is new. The real cloud's five minutes are too long
/// for a test that may have to wait for them.
const WINDOW_S: u32 = 5;
const SETTLE_S: u32 = 1;

impl Place {
    pub(crate) fn new(wish: &Wish) -> Self {
        // Where there is a directory in memory, no disk is waited for.
        let memory = Path::new("/dev/shm");
        let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let dir = made.or_else(|_| tempfile::tempdir()).expect("a directory");
        let place = Self { served: None, provider: "provider: embedded".to_owned(), env: Vec::new(), dir };
        place.ask_for(wish);
        place
    }

    /// A place whose cloud is another process, and reached over HTTP.
    pub(crate) fn served(wish: &Wish) -> Self {
        let mut place = Self::new(wish);
        std::fs::create_dir(place.dir().join("state")).expect("a directory");
        let (latency, data) = (wish.latency, "state/cloud.db");
        let serve = format!("cloud serve --profile {latency} --data {data} --signature-window {WINDOW_S}");
        let mut served = place.start(&serve);
        assert!(served.until(|said| said.contains("listening on http://")), "{}", served.said());
        let said = served.said();
        let endpoint = said.lines().find_map(|line| line.strip_prefix("listening on ")).expect("an address");
        place.provider = format!(
            "provider: tencent, endpoint: \"{endpoint}\", account: \"{OWNER}\", signature_window_s: {WINDOW_S}, \
             settle_s: {SETTLE_S}"
        );
        place.served = Some(served);
        place.ask_for(wish);
        place
    }

    /// Where its cloud is served.
    pub(crate) fn endpoint(&self) -> &str {
        self.provider.split('"').nth(1).expect("an endpoint")
    }

    /// Reaches its cloud by another way.
    pub(crate) fn reach(&mut self, wish: &Wish, endpoint: &str) {
        self.provider = self.provider.replace(self.endpoint(), endpoint);
        self.ask_for(wish);
    }

    /// What commands find in their environment from now on.
    pub(crate) fn set(&mut self, name: &'static str, value: impl Into<String>) {
        self.env.retain(|(other, _)| *other != name);
        self.env.push((name, value.into()));
    }

    /// A copy of a place in which nobody works.
    pub(crate) fn fork(&self) -> Self {
        assert!(self.served.is_none(), "a server stays where it is");
        let dir = tempfile::tempdir_in(self.dir().parent().expect("a parent")).expect("a directory");
        let fork = Self { served: None, provider: self.provider.clone(), env: self.env.clone(), dir };
        copy_all(self.dir(), fork.dir());
        fork
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn state_file(&self) -> PathBuf {
        self.dir().join("state").join("default.db")
    }

    /// Writes the config.
    pub(crate) fn ask_for(&self, wish: &Wish) {
        let Wish { latency, count, script, copied, partners, tag } = wish;
        let accounts: Vec<String> = (0..*partners).map(|n| format!("\"10000000000{}\"", n + 2)).collect();
        let config = CONFIG
            .replace("PROVIDER", &self.provider)
            .replace("LATENCY", latency)
            .replace("COUNT", &count.to_string())
            .replace("REGIONS", if *copied { "ap-guangzhou, ap-shanghai" } else { "ap-guangzhou" })
            .replace("PARTNERS", &accounts.join(", "))
            .replace("TAG", &tag.to_string());
        let config = if accounts.is_empty() { without_shares(&config) } else { config };
        std::fs::write(self.dir().join("shop.yaml"), config).expect("written");
        let boot = format!("#!/bin/sh\necho shop {script} > /srv/name\n# sim: poweroff after=100ms\n");
        std::fs::write(self.dir().join("boot.sh"), boot).expect("written");
    }

    pub(crate) fn command(&self, args: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fleetwright"));
        command.args(args.split_whitespace()).current_dir(self.dir()).stdin(Stdio::null()).env("NO_COLOR", "1");
        let keys = credentials(OWNER).expect("keys");
        command.env("TENCENTCLOUD_SECRET_ID", keys.secret_id).env("TENCENTCLOUD_SECRET_KEY", keys.secret_key);
        for proxy in ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"] {
            command.env_remove(proxy).env_remove(proxy.to_lowercase());
        }
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Starts a command; what it says goes into a file.
    pub(crate) fn start(&self, args: &str) -> Running {
        let file = tempfile::NamedTempFile::new_in(self.dir()).expect("a file");
        let (_, path) = file.keep().expect("a file");
        // Nobody takes it for a part of the config.
        let talk = path.with_extension("talk");
        std::fs::rename(&path, &talk).expect("renamed");
        let open = || File::options().append(true).open(&talk).expect("a file");
        let (out, err) = (open(), open());
        let child = self.command(args).stdout(out).stderr(err).spawn().expect("the program");
        Running { child, talk }
    }

    pub(crate) fn run(&self, args: &str) -> Output {
        self.command(args).output().expect("the program")
    }

    /// Runs a command that ends like this.
    #[track_caller]
    pub(crate) fn expect(&self, args: &str, code: i32) -> String {
        let output = self.run(args);
        let text = said(&output);
        assert_eq!(output.status.code(), Some(code), "{args}: {:?}\n{text}", output.status);
        text
    }

    /// What the state holds, with its journal.
    pub(crate) fn stored(&self) -> Option<Stored> {
        let store = SqliteStore::open_read_only(&self.state_file()).expect("a state");
        store.map(|mut store| store.load().expect("a state"))
    }

    /// Whether the newest run has not ended.
    pub(crate) fn is_begun(&self) -> bool {
        let store = SqliteStore::open_read_only(&self.state_file()).expect("a state");
        let runs = store.map(|mut store| store.runs().expect("the history")).unwrap_or_default();
        runs.last().is_some_and(|run| run.ended_ms.is_none())
    }

    /// How many operations the journal has that send something, and how often they were tried again.
    pub(crate) fn journal(&self) -> (usize, u32) {
        let Some(mut store) = SqliteStore::open_read_only(&self.state_file()).expect("a state") else { return (0, 0) };
        let runs = store.runs().expect("the history");
        let ops = runs.iter().flat_map(|run| store.operations(run.id).expect("the journal"));
        let sent: Vec<u32> = ops.filter(|op| op.region.is_some()).map(|op| op.attempt.saturating_sub(1)).collect();
        (sent.len(), sent.iter().sum())
    }

    pub(crate) fn holdings(&self) -> Holdings {
        let file = self.dir().join("state").join("cloud.db");
        if !file.exists() {
            return Holdings::default();
        }
        let cloud = Embedded::open(Some(&file), Settings::default()).expect("a cloud");
        cloud.holdings(now_ms()).expect("holdings")
    }

    /// The names of what there is, which two runs alike have in common.
    pub(crate) fn names(&self) -> Vec<String> {
        let holdings = self.holdings();
        let held = holdings.0.values().flatten();
        let mut names: Vec<String> = held
            .flat_map(|(region, held)| {
                let instances = held.instances.values().map(|one| &one.name);
                let images = held.images.values().map(|one| &one.name);
                instances.chain(images).map(move |name| format!("{region} {name}"))
            })
            .collect();
        names.sort();
        names
    }

    /// What is wrong between state and cloud, as the program tells of both.
    pub(crate) fn faults(&self) -> Vec<String> {
        let state: Value = serde_json::from_str(&self.expect("show --json", 0)).expect("JSON");
        let mut faults = compare::between(&state, &self.holdings(), OWNER, false);
        let inspected: Value = serde_json::from_str(&self.expect("cloud inspect --json", 0)).expect("JSON");
        for kind in ["instances", "images"] {
            let ids = inspected[kind].as_array().into_iter().flatten().filter_map(|one| one["id"].as_str());
            let ids: Vec<&str> = ids.collect();
            let listed = self.expect("state list -v", 0);
            faults.extend(ids.iter().filter(|id| !listed.contains(**id)).map(|id| format!("{id} is not listed")));
        }
        faults
    }

    /// What is wrong when all is done.
    pub(crate) fn wrong(&self, destroyed: bool) -> Vec<String> {
        let kind = if destroyed { "--destroy " } else { "" };
        let plan = self.run(&format!("plan {kind}--detailed-exitcode"));
        let mut wrong = self.faults();
        if plan.status.code() != Some(0) {
            wrong.push(format!("the second plan is not empty: {}", said(&plan)));
        }
        if destroyed && !self.holdings().nothing_of(OWNER) {
            wrong.push(format!("something is left: {:?}", self.names()));
        }
        let open = self.stored().map_or(0, |stored| stored.open.len());
        if open > 0 {
            wrong.push(format!("{open} operations are open"));
        }
        wrong
    }
}

/// A process at work.
pub(crate) struct Running {
    pub(crate) child: Child,
    talk: PathBuf,
}

impl Running {
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).expect("a number")).expect("a process");
        // It may have ended, and nobody has asked how yet: then nothing happens.
        kill_process(pid, signal).expect("a signal to a process of ours");
    }

    pub(crate) fn is_over(&mut self) -> bool {
        self.child.try_wait().expect("a process").is_some()
    }

    /// Waits until something holds; answers `false` where the process ended before that.
    pub(crate) fn until(&mut self, holds: impl Fn(&str) -> bool) -> bool {
        for _ in 0..PATIENCE.as_millis() / 5 {
            if holds(&self.said()) {
                return true;
            }
            if self.is_over() {
                return holds(&self.said());
            }
            pause(5);
        }
        panic!("it does not come: {}", self.said());
    }

    /// Waits for the end.
    pub(crate) fn end(&mut self) -> ExitStatus {
        for _ in 0..PATIENCE.as_millis() / 5 {
            if let Some(status) = self.child.try_wait().expect("a process") {
                return status;
            }
            pause(5);
        }
        self.child.kill().expect("killed");
        panic!("it does not end: {}", self.said());
    }

    /// What it has said so far.
    pub(crate) fn said(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.talk).expect("its talk")).into_owned()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.is_over() {
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[expect(clippy::disallowed_methods, reason = "the processes here live in real time")]
pub(crate) fn pause(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}

#[expect(clippy::disallowed_methods, reason = "the processes here live in real time")]
pub(crate) fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock");
    i64::try_from(since.as_millis()).expect("a time")
}

/// Past the test harness, which keeps what is printed to itself when all is well.
pub(crate) fn print(text: &str) {
    drop(std::io::stdout().lock().write_all(text.as_bytes()));
}

fn without_shares(config: &str) -> String {
    let (head, rest) = config.split_once("shares:\n").expect("shares");
    let (_, tail) = rest.split_once("fleets:\n").expect("fleets");
    format!("{head}fleets:\n{tail}")
}

fn copy_all(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            std::fs::create_dir_all(&to).expect("a directory");
            copy_all(&from, &to);
        } else {
            std::fs::copy(from, to).expect("copied");
        }
    }
}
