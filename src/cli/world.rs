//! The world as a value: everything that a command depends on beside files.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{BufRead, IsTerminal, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use super::Exit;
use super::args::Color;
use crate::apply::driver::StopFlag;
use crate::cloud::clock::Clock;
use crate::model::Millis;
use crate::ops::Hooks;
use crate::store::Holder;

/// Everything that a command depends on beside files.
pub struct World<'a> {
    /// The command line, the program's name first.
    pub args: Vec<OsString>,
    /// The working directory.
    pub cwd: PathBuf,
    /// The environment variables.
    pub env: BTreeMap<String, String>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Fresh random bytes.
    pub entropy: Box<dyn Fn() -> [u8; 32]>,
    /// Who this is.
    pub holder: Holder,
    /// Whether a process of this machine is gone.
    pub is_dead: Box<dyn Fn(&Holder) -> bool>,
    /// A wish to stop.
    pub stop: Arc<StopFlag>,
    /// How many columns the terminal has.
    pub width: usize,
    /// How large the terminal of standard error is at this moment; `None` where that cannot be told.
    pub window: Box<dyn Fn() -> Option<Window>>,
    /// What is a terminal.
    pub terminals: Terminals,
    /// What is typed.
    pub stdin: &'a mut dyn BufRead,
    /// What was asked for.
    pub stdout: &'a mut dyn Write,
    /// The talk beside it.
    pub stderr: &'a mut dyn Write,
    /// What tests put in between.
    pub hooks: Hooks,
}

/// How large a terminal is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Window {
    /// How many columns.
    pub columns: usize,
    /// How many rows.
    pub rows: usize,
}

/// What is a terminal.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Terminals {
    /// Standard input.
    pub stdin: bool,
    /// Standard output.
    pub stdout: bool,
    /// Standard error.
    pub stderr: bool,
}

impl World<'_> {
    /// Whether a stream is coloured.
    pub(super) fn color_of(&self, wish: Option<Color>, terminal: bool) -> bool {
        match wish {
            Some(Color::Always) => true,
            Some(Color::Never) => false,
            Some(Color::Auto) | None => {
                let no_color = self.env.get("NO_COLOR").is_some_and(|value| !value.is_empty());
                terminal && !no_color && self.env.get("TERM").is_none_or(|term| term != "dumb")
            }
        }
    }
}

struct WallClock;

#[expect(clippy::disallowed_methods, reason = "this is where the program meets the real clock")]
impl Clock for WallClock {
    fn now_ms(&self) -> Millis {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX)
    }

    fn wait_until(&self, ms: Millis) {
        let left = u64::try_from(ms - self.now_ms()).unwrap_or(0);
        std::thread::sleep(std::time::Duration::from_millis(left));
    }

    fn is_virtual(&self) -> bool {
        false
    }
}

/// How wide text is where no terminal says.
const DEFAULT_WIDTH: usize = 80;

/// A wish to stop that Ctrl-C, SIGTERM and SIGHUP raise. Where nobody heeds it, they end the process.
#[must_use]
pub fn interrupts() -> Arc<StopFlag> {
    let stop = Arc::new(StopFlag::default());
    let raised = Arc::clone(&stop);
    // Where no handler can be set, an interrupt ends the process at once; the journal holds then, too.
    drop(ctrlc::set_handler(move || {
        raised.raise();
        if !raised.is_heeded() {
            #[expect(clippy::disallowed_methods, reason = "what is under way is in the journal, or there is nothing")]
            std::process::exit(Exit::Interrupted.code().into());
        }
    }));
    stop
}

/// What is typed. A thread of its own waits for it, so that a wish to stop is heard while nobody types.
pub struct Typed {
    stop: Arc<StopFlag>,
    line: Vec<u8>,
    taken: usize,
}

/// How often it is looked whether somebody wants to stop.
const GLANCE: Duration = Duration::from_millis(50);

impl Typed {
    /// Standard input, until somebody wants to stop.
    #[must_use]
    pub fn new(stop: Arc<StopFlag>) -> Self {
        Self { stop, line: Vec::new(), taken: 0 }
    }

    /// The next line; empty at the end.
    fn next_line(&self) -> std::io::Result<Vec<u8>> {
        let (send, lines) = channel();
        std::thread::Builder::new().name("stdin".into()).spawn(move || {
            let mut line = Vec::new();
            let read = std::io::stdin().lock().read_until(b'\n', &mut line);
            // Nobody waits for it any more where the command is over.
            drop(send.send(read.map(|_| line)));
        })?;
        loop {
            match lines.recv_timeout(GLANCE) {
                Ok(line) => return line,
                // `Interrupted` would only be tried again.
                Err(RecvTimeoutError::Timeout) if self.stop.is_raised() => {
                    return Err(std::io::Error::other("interrupted"));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(Vec::new()),
            }
        }
    }
}

impl Read for Typed {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let read = self.fill_buf()?.read(into)?;
        self.consume(read);
        Ok(read)
    }
}

impl BufRead for Typed {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        if self.taken >= self.line.len() {
            self.line = self.next_line()?;
            self.taken = 0;
        }
        Ok(self.line.get(self.taken..).unwrap_or_default())
    }

    fn consume(&mut self, bytes: usize) {
        self.taken += bytes;
    }
}

/// The world that the process finds itself in.
#[expect(clippy::disallowed_methods, reason = "this is where the program meets its environment")]
pub fn real_world<'a>(
    stop: Arc<StopFlag>,
    stdin: &'a mut dyn BufRead,
    stdout: &'a mut dyn Write,
    stderr: &'a mut dyn Write,
) -> World<'a> {
    let env: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let columns = env.get("COLUMNS").and_then(|columns| columns.parse().ok());
    let width = columns
        .or_else(|| terminal_size::terminal_size().map(|(terminal_size::Width(width), _)| usize::from(width)))
        .unwrap_or(DEFAULT_WIDTH);
    World {
        args: std::env::args_os().collect(),
        cwd: std::env::current_dir().unwrap_or_else(|_| PathBuf::from(".")),
        clock: Arc::new(WallClock),
        entropy: Box::new(|| {
            let mut bytes = [0; 32];
            // Without random bytes, tokens of two runs could be alike: time and process tell them apart then.
            if getrandom::fill(&mut bytes).is_err() {
                let seed = format!("{} {}", WallClock.now_ms(), std::process::id());
                bytes = *blake3::hash(seed.as_bytes()).as_bytes();
            }
            bytes
        }),
        holder: holder(&env),
        is_dead: Box::new(is_dead),
        stop,
        width,
        window: Box::new(|| {
            let (terminal_size::Width(columns), terminal_size::Height(rows)) =
                terminal_size::terminal_size_of(std::io::stderr())?;
            Some(Window { columns: columns.into(), rows: rows.into() })
        }),
        terminals: Terminals {
            stdin: std::io::stdin().is_terminal(),
            stdout: std::io::stdout().is_terminal(),
            stderr: std::io::stderr().is_terminal(),
        },
        env,
        stdin,
        stdout,
        stderr,
        hooks: Hooks::default(),
    }
}

fn holder(env: &BTreeMap<String, String>) -> Holder {
    let who = env.get("USER").or_else(|| env.get("LOGNAME")).or_else(|| env.get("USERNAME"));
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").ok().map(|name| name.trim().to_owned());
    let host = host.or_else(|| env.get("HOSTNAME").cloned()).or_else(|| env.get("COMPUTERNAME").cloned());
    let pid = std::process::id();
    Holder {
        who: who.cloned().unwrap_or_else(|| "somebody".into()),
        host: host.unwrap_or_else(|| "this-machine".into()),
        pid,
        started: process_start(pid).unwrap_or(0),
    }
}

/// When a process started, in ticks since the machine did; `None`: there is no such process, it has ended and its
/// parent has not noticed yet, or there is no way to tell.
fn process_start(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The program's name stands in parentheses and may hold anything; what follows it is in columns.
    let after_name = stat.rsplit_once(')')?.1;
    const STATE: usize = 0;
    const START_TIME: usize = 19;
    let columns: Vec<&str> = after_name.split_whitespace().collect();
    let ended = matches!(columns.get(STATE), Some(&("Z" | "X")));
    if ended { None } else { columns.get(START_TIME)?.parse().ok() }
}

/// Whether the process of a holder on this machine is gone. Where that cannot be told, it is not.
fn is_dead(holder: &Holder) -> bool {
    let can_tell = process_start(std::process::id()).is_some();
    can_tell && holder.started != 0 && process_start(holder.pid) != Some(holder.started)
}
