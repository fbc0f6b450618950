//! A world in which the whole program runs: a directory, a clock in virtual time, and an embedded cloud.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use fleetwright::apply::driver::StopFlag;
use fleetwright::cli::{self, Exit, Terminals, World};
use fleetwright::cloud::clock::{Clock, VirtualClock};
use fleetwright::cloud::cvm::sign::{Credentials, Envelope, SecretText, headers};
use fleetwright::cloud::cvm::transport::{HttpRequest, Transport};
use fleetwright::cloud::embedded::{self, Embedded, Holdings, LogEntry, Settings};
use fleetwright::model::desired::Latency;
use fleetwright::model::limits::Limits;
use fleetwright::ops::Hooks;
use fleetwright::store::Holder;
use serde_json::Value;

use crate::requests::{Checked, Seen, Signer};
use crate::wire::Wire;

/// 2026-11-23 12:00:00 UTC.
pub(crate) const NOON_MS: i64 = 1_795_435_200_000;
/// The account that everything is done as.
pub(crate) const OWNER: &str = "100000000001";

/// One world.
pub(crate) struct Rig {
    temp: tempfile::TempDir,
    pub(crate) clock: Arc<VirtualClock>,
    held: Arc<Held>,
    runs: Cell<u8>,
    stop: RefCell<Arc<StopFlag>>,
    pub(crate) width: usize,
    /// After so many bytes, whoever reads standard output goes away.
    pub(crate) reads: Cell<usize>,
    /// Whether it is known of whoever held the lock before that its process has ended.
    pub(crate) known_dead: Cell<bool>,
    /// The way to the cloud, where it is not in the same process.
    wire: Option<Wire>,
    /// Every request that its commands made, looked at.
    pub(crate) seen: Arc<Seen>,
}

/// The cloud of a world: a file, and whoever has it open.
pub(crate) struct Held {
    file: PathBuf,
    settings: Settings,
    cloud: Mutex<Arc<Embedded>>,
}

impl Held {
    fn open(file: PathBuf, settings: Settings) -> Arc<Self> {
        let cloud = Embedded::open(Some(&file), settings.clone()).expect("a cloud");
        Arc::new(Self { file, settings, cloud: Mutex::new(Arc::new(cloud)) })
    }

    pub(crate) fn cloud(&self) -> Arc<Embedded> {
        Arc::clone(&self.cloud.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Closes the cloud and opens its file again, as a new process would.
    pub(crate) fn reopen(&self) -> Arc<Embedded> {
        let cloud = Arc::new(Embedded::open(Some(&self.file), self.settings.clone()).expect("the cloud's file"));
        *self.cloud.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&cloud);
        cloud
    }
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) exit: Exit,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// The same, where the command ended like this.
    #[track_caller]
    pub(crate) fn expect(self, exit: Exit) -> Self {
        assert_eq!(self.exit, exit, "\n--- stdout\n{}\n--- stderr\n{}", self.out, self.err);
        self
    }
}

impl Rig {
    /// A world with these files and a cloud of this pace.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        Self::with(files, Settings { log: true, ..Settings::new(Latency::Quick, Limits::EMBEDDED, 7) })
    }

    /// A world with these files and a cloud like this.
    pub(crate) fn with(files: &[(&str, &str)], settings: Settings) -> Self {
        let temp = temp_dir();
        let held = Held::open(temp.path().join("cloud.db"), settings);
        let rig = Self {
            temp,
            clock: Arc::new(VirtualClock::at(NOON_MS)),
            held,
            runs: Cell::new(0),
            stop: RefCell::default(),
            width: 80,
            reads: Cell::new(usize::MAX),
            known_dead: Cell::new(true),
            wire: None,
            seen: Arc::default(),
        };
        std::fs::create_dir_all(rig.dir()).expect("a directory");
        for (name, text) in files {
            rig.write(name, text);
        }
        rig
    }

    /// A world with the files of an example.
    pub(crate) fn of_example(name: &str) -> Self {
        let files = example_files(name);
        let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        Self::new(&files)
    }

    /// Another world that is like this one is now, and goes its own way. Only files and the time come along.
    pub(crate) fn fork(&self) -> Self {
        let temp = temp_dir();
        copy_all(self.temp.path(), temp.path());
        let held = Held::open(temp.path().join("cloud.db"), self.held.settings.clone());
        Self {
            temp,
            clock: Arc::new(VirtualClock::at(self.clock.now_ms())),
            held,
            runs: self.runs.clone(),
            stop: RefCell::default(),
            width: self.width,
            reads: self.reads.clone(),
            known_dead: self.known_dead.clone(),
            wire: None,
            seen: Arc::default(),
        }
    }

    /// The same world before its first command, but its cloud is reached over HTTP, as the real one is.
    pub(crate) fn over_http(self) -> Self {
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        self.over_http_by(clock)
    }

    /// The same, with a cloud that goes by a clock of its own.
    pub(crate) fn over_http_by(mut self, clock: Arc<dyn Clock>) -> Self {
        let wire = Wire::to(self.cloud(), clock);
        let way = format!("provider: tencent, endpoint: \"{}\", account: \"{OWNER}\", latency: quick", wire.endpoint());
        for entry in std::fs::read_dir(self.dir()).expect("the config") {
            let name = entry.expect("a file").file_name().into_string().expect("a name");
            if name.ends_with(".yaml") {
                self.write(&name, &self.read(&name).replace("provider: embedded", &way));
            }
        }
        self.wire = Some(wire);
        self
    }

    /// The way to the cloud, of a world whose cloud is reached over HTTP.
    pub(crate) fn wire(&self) -> &Wire {
        self.wire.as_ref().expect("a world over HTTP")
    }

    /// The config's directory.
    pub(crate) fn dir(&self) -> PathBuf {
        self.temp.path().join("config")
    }

    /// Writes a file of the config.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.dir().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        std::fs::write(path, text).expect("written");
    }

    /// Replaces a text that stands once in a file.
    #[track_caller]
    pub(crate) fn edit(&self, name: &str, from: &str, to: &str) {
        let text = self.read(name);
        assert_eq!(text.matches(from).count(), 1, "{from:?} in {name}:\n{text}");
        self.write(name, &text.replace(from, to));
    }

    /// A file of the config.
    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.dir().join(name)).expect("a file")
    }

    /// The cloud.
    pub(crate) fn cloud(&self) -> Arc<Embedded> {
        self.held.cloud()
    }

    /// The cloud, and the file that it is in.
    pub(crate) fn held(&self) -> Arc<Held> {
        Arc::clone(&self.held)
    }

    /// Closes the cloud and opens its file again, as a new process would.
    pub(crate) fn reopen_cloud(&self) {
        drop(self.held.reopen());
    }

    /// The wish to stop that commands follow.
    pub(crate) fn stop(&self) -> Arc<StopFlag> {
        Arc::clone(&self.stop.borrow())
    }

    /// Nobody wants commands to stop any more.
    pub(crate) fn go_on(&self) {
        self.stop.take();
    }

    /// Runs a command in the config's directory, without a terminal.
    pub(crate) fn run(&self, args: &str) -> Ran {
        self.run_with(args, Hooks::default())
    }

    /// Runs a command with something in between; the cloud is this world's in any case.
    pub(crate) fn run_with(&self, args: &str, hooks: Hooks) -> Ran {
        let mut input: &[u8] = b"";
        self.run_typing(args, hooks, &mut input, Terminals::default())
    }

    /// Runs a command, with what is typed, on what is a terminal.
    pub(crate) fn run_typing(&self, args: &str, hooks: Hooks, stdin: &mut &[u8], terminals: Terminals) -> Ran {
        let hooks = Hooks { embedded: Some(self.cloud()), ..hooks };
        self.start(args, hooks, BTreeMap::new(), stdin, terminals)
    }

    /// Runs a command with these environment variables.
    pub(crate) fn run_in(&self, args: &str, env: &[(&str, &str)], terminals: Terminals) -> Ran {
        let hooks = Hooks { embedded: Some(self.cloud()), ..Hooks::default() };
        let env = env.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        self.start(args, hooks, env, &mut &b""[..], terminals)
    }

    /// Runs a command as the binary does: with the cloud of the config's own.
    pub(crate) fn run_alone(&self, args: &str) -> Ran {
        self.start(args, Hooks::default(), BTreeMap::new(), &mut &b""[..], Terminals::default())
    }

    /// Runs a command of words that may hold anything.
    pub(crate) fn run_words(&self, words: &[&str]) -> Ran {
        let hooks = Hooks { embedded: Some(self.cloud()), ..Hooks::default() };
        let words = words.iter().map(Into::into).collect();
        self.start_words(words, hooks, BTreeMap::new(), &mut &b""[..], Terminals::default())
    }

    /// Runs a command with streams of one's own.
    pub(crate) fn run_at(
        &self,
        args: &str,
        hooks: Hooks,
        env: BTreeMap<String, String>,
        streams: Streams<'_>,
        terminals: Terminals,
    ) -> Exit {
        let hooks = Hooks { embedded: Some(self.cloud()), ..hooks };
        let words = args.split_whitespace().map(Into::into).collect();
        self.start_at(words, hooks, env, streams, terminals)
    }

    fn start(
        &self,
        args: &str,
        hooks: Hooks,
        env: BTreeMap<String, String>,
        stdin: &mut &[u8],
        terminals: Terminals,
    ) -> Ran {
        self.start_words(args.split_whitespace().map(Into::into).collect(), hooks, env, stdin, terminals)
    }

    fn start_words(
        &self,
        words: Vec<OsString>,
        hooks: Hooks,
        env: BTreeMap<String, String>,
        stdin: &mut &[u8],
        terminals: Terminals,
    ) -> Ran {
        let (mut out, mut err) = (Pipe { bytes: Vec::new(), most: self.reads.get() }, Vec::new());
        let streams = Streams { stdin, stdout: &mut out, stderr: &mut err };
        let exit = self.start_at(words, hooks, env, streams, terminals);
        Ran { exit, out: text(out.bytes), err: text(err) }
    }

    fn start_at(
        &self,
        words: Vec<OsString>,
        hooks: Hooks,
        env: BTreeMap<String, String>,
        streams: Streams<'_>,
        terminals: Terminals,
    ) -> Exit {
        let run = self.runs.get();
        self.runs.set(run.wrapping_add(1));
        let count = Cell::new(0_u8);
        let known_dead = self.known_dead.get();
        let Streams { stdin, stdout, stderr } = streams;
        let mut env = env;
        if self.wire.is_some() {
            let keys = embedded::credentials(OWNER).expect("keys");
            env.entry("TENCENTCLOUD_SECRET_ID".to_owned()).or_insert(keys.secret_id);
            env.entry("TENCENTCLOUD_SECRET_KEY".to_owned()).or_insert(keys.secret_key);
        }
        let exit = cli::run(World {
            args: std::iter::once("fleetwright".into()).chain(words).collect(),
            cwd: self.dir(),
            env,
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            entropy: Box::new(move || {
                count.set(count.get().wrapping_add(1));
                let mut bytes = [7; 32];
                bytes[0] = run;
                bytes[1] = count.get();
                bytes
            }),
            holder: Holder { who: "ada".into(), host: "workbench".into(), pid: 100 + u32::from(run), started: 1 },
            // There is one command at a time here: whoever held the lock before has ended, or sleeps.
            is_dead: Box::new(move |_| known_dead),
            stop: self.stop(),
            width: self.width,
            window: Box::new(|| None),
            terminals,
            stdin,
            stdout,
            stderr,
            hooks: Hooks { transport: Some(Box::new(self.checking())), ..hooks },
        });
        self.seen.expect_right();
        exit
    }

    /// Looks at every request that goes over a way to the cloud.
    pub(crate) fn checking(&self) -> impl Fn(Arc<dyn Transport>) -> Arc<dyn Transport> + Send + Sync + use<> {
        let (clock, seen) = (Arc::clone(&self.clock), Arc::clone(&self.seen));
        move |inner| {
            let (clock, seen) = (Arc::clone(&clock) as Arc<dyn Clock>, Arc::clone(&seen));
            Arc::new(Checked { inner, clock, signer: Signer::default(), seen })
        }
    }

    /// How many requests the log has so far.
    pub(crate) fn mark(&self) -> usize {
        self.cloud().log().len()
    }

    /// The requests since a mark.
    pub(crate) fn since(&self, mark: usize) -> Vec<LogEntry> {
        self.cloud().log().split_off(mark)
    }

    /// The mutating requests since a mark that the cloud accepted, counted by action.
    pub(crate) fn mutations(&self, mark: usize) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for entry in self.since(mark) {
            if changes_something(&entry.action) && entry.code.is_none() {
                *counts.entry(entry.action).or_insert(0) += 1;
            }
        }
        counts
    }

    /// The mutating requests since a mark, whether accepted or not.
    pub(crate) fn mutating(&self, mark: usize) -> Vec<String> {
        let actions = self.since(mark).into_iter().map(|entry| entry.action);
        actions.filter(|action| changes_something(action)).collect()
    }

    /// How many requests there were since a mark, by action.
    pub(crate) fn calls(&self, mark: usize) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for entry in self.since(mark) {
            *counts.entry(entry.action).or_insert(0) += 1;
        }
        counts
    }

    /// What the cloud holds.
    pub(crate) fn holdings(&self) -> Holdings {
        self.cloud().holdings(self.clock.now_ms()).expect("holdings")
    }

    /// Does something by hand, as the owner.
    #[track_caller]
    pub(crate) fn by_hand(&self, region: &str, action: &str, body: &Value) -> Value {
        self.by_hand_as(OWNER, region, action, body)
    }

    /// Does something by hand.
    #[track_caller]
    pub(crate) fn by_hand_as(&self, account: &str, region: &str, action: &str, body: &Value) -> Value {
        let answer = self.ask(account, region, action, body);
        assert!(answer.get("Error").is_none(), "{action}: {answer}");
        answer
    }

    /// Makes a request, and hands the `Response` out, an error too.
    pub(crate) fn ask(&self, account: &str, region: &str, action: &str, body: &Value) -> Value {
        request(&self.cloud(), &*self.clock, account, region, action, body)
    }

    /// How many commands were given so far: who holds the lock, and all that is random, follows from it.
    pub(crate) fn commands(&self) -> u8 {
        self.runs.get()
    }

    /// What time it is.
    pub(crate) fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// Lets time go by.
    pub(crate) fn wait_ms(&self, ms: i64) {
        self.clock.wait_until(self.clock.now_ms() + ms);
    }

    /// Applies, and expects that all is done and that nothing is left to do.
    #[track_caller]
    pub(crate) fn settle(&self) -> Ran {
        let ran = self.run("apply --auto-approve").expect(Exit::Done);
        self.expect_no_changes();
        ran
    }

    /// Expects that a plan is empty.
    #[track_caller]
    pub(crate) fn expect_no_changes(&self) {
        self.run("plan --detailed-exitcode").expect(Exit::Done);
    }

    /// Every id of a kind of thing, with its name, that the owner holds in a region.
    pub(crate) fn instances(&self, region: &str) -> BTreeMap<String, String> {
        let holdings = self.holdings();
        let held = holdings.of(OWNER, region);
        held.into_iter().flat_map(|held| &held.instances).map(|(id, one)| (one.name.clone(), id.clone())).collect()
    }

    /// Custom images of the owner in a region, by name.
    pub(crate) fn images(&self, region: &str) -> BTreeMap<String, String> {
        let holdings = self.holdings();
        let held = holdings.of(OWNER, region);
        held.into_iter().flat_map(|held| &held.images).map(|(id, one)| (one.name.clone(), id.clone())).collect()
    }
}

/// Whether a request of this action changes something: reads describe, or ask for a price.
fn changes_something(action: &str) -> bool {
    !action.starts_with("Describe") && !action.starts_with("InquiryPrice")
}

/// What a command reads from and writes to.
pub(crate) struct Streams<'a> {
    pub(crate) stdin: &'a mut dyn BufRead,
    pub(crate) stdout: &'a mut dyn Write,
    pub(crate) stderr: &'a mut dyn Write,
}

/// Standard output, and whoever reads it for a while.
struct Pipe {
    bytes: Vec<u8>,
    most: usize,
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.bytes.len() >= self.most {
            return Err(std::io::ErrorKind::BrokenPipe.into());
        }
        let taken = bytes.len().min(self.most - self.bytes.len());
        self.bytes.extend(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Makes a request of an account, and hands the `Response` out, an error too.
pub(crate) fn request(
    cloud: &Embedded,
    clock: &dyn Clock,
    account: &str,
    region: &str,
    action: &str,
    body: &Value,
) -> Value {
    let keys = embedded::credentials(account).expect("keys");
    let credentials =
        Credentials { secret_id: keys.secret_id, secret_key: SecretText::new(keys.secret_key), token: None };
    let body = body.to_string().into_bytes();
    let tag = action.ends_with("Resources");
    let envelope = Envelope {
        service: if tag { "tag" } else { "cvm" },
        host: "cvm.embedded",
        action,
        version: if tag { "2018-08-13" } else { "2017-03-12" },
        region: Some(region),
        body: &body,
    };
    let now = clock.now_ms();
    let request = HttpRequest {
        method: "POST".into(),
        path: "/".into(),
        query: String::new(),
        headers: headers(&credentials, now / 1000, &envelope),
        body,
    };
    let response = cloud.handle(now, &request);
    let mut answer: Value = serde_json::from_slice(&response.body).expect("JSON");
    answer["Response"].take()
}

/// A directory in memory where there is such a thing: nothing here outlives the test, and no disk is waited for.
fn temp_dir() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.or_else(|_| tempfile::tempdir()).expect("a directory")
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

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("UTF-8")
}

/// The files of an example that make its config.
pub(crate) fn example_files(name: &str) -> Vec<(String, String)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name);
    let mut files: Vec<(String, String)> = std::fs::read_dir(&dir)
        .expect("the example")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "yaml" || ending == "sh"))
        .map(|path| {
            let text = std::fs::read_to_string(&path).expect("a file");
            (path.file_name().expect("a name").to_string_lossy().into_owned(), text)
        })
        .collect();
    files.sort();
    files
}
