//! `fleetwright cloud serve`: the embedded cloud for other programs.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::json;

use super::args::{Profile, ServeArgs};
use super::{Exit, Shell};
use crate::cloud::embedded::http::{Bounds, Note, Server, is_local};
use crate::cloud::embedded::{Embedded, Faults, LogEntry, Lost, Settings};
use crate::config;
use crate::diagnostic::{Diagnostic, SourceMap, codes};
use crate::model::Millis;
use crate::model::desired::Latency;
use crate::model::limits::{LimitOverrides, Limits};
use crate::ops::{Problem, Site, open_problem_of};

/// Of a thousand requests, so many meet a fault where nobody says how many.
const FAULTS_PER_MILLE: u16 = 100;
/// What to do where a file is no cloud's: it may be anything, and is not to be deleted on our word.
pub(super) const ANOTHER_FILE: &str = "or name another file with --data";
/// What a client says that it asks for is noted up to here.
const MOST_NOTED: usize = 100;

/// Reads `7`, `7:20%` or `7:0.2`.
pub(super) fn faults(text: &str) -> Result<Faults, String> {
    let (seed, rate) = text.split_once(':').map_or((text, None), |(seed, rate)| (seed, Some(rate)));
    let wrong = |what: &str| format!("{what}: write it like 7, 7:20% or 7:0.2");
    let seed = seed.parse().map_err(|_| wrong("the seed is a whole number"))?;
    let per_mille = match rate {
        None => FAULTS_PER_MILLE,
        Some(rate) => {
            let share = match rate.strip_suffix('%') {
                Some(percent) => percent.parse::<f64>().map(|percent| percent / 100.0),
                None => rate.parse::<f64>(),
            };
            let share = share.ok().filter(|share| (0.0..=1.0).contains(share));
            let share = share.ok_or_else(|| wrong("the rate is between 0 and 1, or between 0% and 100%"))?;
            // In range, and whole: what is cut off is less than a thousandth.
            (share * 1000.0).round() as u16
        }
    };
    Ok(Faults { seed, per_mille })
}

pub(super) fn run(shell: &mut Shell<'_>, site: &Site, args: &ServeArgs) -> Result<Exit, Problem> {
    let ServeArgs { listen, allow_remote, data, profile, limits, rate_limits, signature_window, faults, log } = args;
    if !is_local(listen) && !allow_remote {
        return Err(problem(
            Diagnostic::error(codes::USAGE, format!("{listen} can be reached from other machines"))
                .why("whoever reaches it may do anything with it: its keys are printed by `fleetwright cloud credentials`")
                .help("listen on 127.0.0.1; where it has to be reached from elsewhere, say --allow-remote"),
        ));
    }
    let limits = match limits {
        Some(file) => limits_in(site, file)?,
        None => LimitOverrides::default(),
    };
    let latency = match profile {
        Profile::Instant => Latency::Instant,
        Profile::Quick => Latency::Quick,
        Profile::Realistic => Latency::Realistic,
    };
    let seed = (site.entropy)().iter().take(8).fold(0_u64, |seed, byte| (seed << 8) | u64::from(*byte));
    let settings = Settings {
        rate_limits: *rate_limits,
        signature_window_ms: Millis::from(*signature_window) * 1000,
        faults: *faults,
        ..Settings::new(latency, Limits::EMBEDDED.with(limits), seed)
    };
    let data = data.as_ref().map(|data| site.dir.join(data));
    let cloud = Embedded::open(data.as_deref(), settings)
        .map_err(|error| open_problem_of(site, &data.clone().unwrap_or_default(), &error, ANOTHER_FILE))?;
    let log = log.as_ref().map(|file| Log::open(site, file)).transpose()?.map(Arc::new);
    let listener = TcpListener::bind(listen).map_err(|error| {
        problem(
            Diagnostic::error(codes::CLOUD, format!("nobody can be listened to on {listen}: {error}"))
                .help("choose another port, or port 0 for one that is free"),
        )
    })?;
    let address = listener.local_addr().map_err(|error| broken(&error))?;
    if !is_local(&address) {
        shell.say("warning: other machines can reach this cloud, and its keys are known to everybody\n");
    }
    // From here on a wish to stop is heard by the server.
    shell.world.stop.heed();
    if shell.json {
        shell.print(&format!("{}\n", json!({ "format": "fleetwright-serve/1", "url": format!("http://{address}") })));
    } else {
        shell.print(&format!("listening on http://{address}\n"));
    }
    let note: Box<Note> = match &log {
        Some(log) => {
            let log = Arc::clone(log);
            Box::new(move |entry| log.note(entry))
        }
        None => Box::new(|_| {}),
    };
    let server = Server { cloud: Arc::new(cloud), clock: Arc::clone(&site.clock), note, bounds: Bounds::default() };
    server.run(listener, || site.stop.is_raised()).map_err(|error| broken(&error))?;
    shell.say("Stopped.\n");
    match log.and_then(|log| log.fault()) {
        Some(error) => Err(problem(
            Diagnostic::error(codes::UNWRITABLE, format!("the log could not be written to its end: {error}"))
                .why("requests were answered all the same, and some of them are not in it")
                .help("make room where it is, and serve again"),
        )),
        None => Ok(Exit::Done),
    }
}

fn problem(diagnostic: Diagnostic) -> Problem {
    Problem { diagnostics: vec![diagnostic], sources: SourceMap::default() }
}

fn broken(error: &std::io::Error) -> Problem {
    problem(
        Diagnostic::error(codes::CLOUD, format!("the cloud cannot be served: {error}"))
            .why("the system refused a thread or a socket")
            .help("see how many files and threads this user may have: ulimit -a"),
    )
}

fn limits_in(site: &Site, file: &Path) -> Result<LimitOverrides, Problem> {
    let path = site.dir.join(file);
    let shown = site.show(&path);
    let bytes = std::fs::read(&path).map_err(|error| {
        problem(
            Diagnostic::error(codes::UNREADABLE, format!("{shown} cannot be read: {error}"))
                .help("name a YAML file with some of images_per_region, accounts_per_image, instances_per_zone"),
        )
    })?;
    config::limits(&shown, bytes).map_err(|(diagnostics, sources)| Problem { diagnostics, sources })
}

/// A line of JSON for each request.
struct Log(Mutex<(File, Option<std::io::Error>)>);

impl Log {
    fn open(site: &Site, file: &Path) -> Result<Self, Problem> {
        let path = site.dir.join(file);
        let opened = OpenOptions::new().create(true).append(true).open(&path);
        let file = opened.map_err(|error| {
            problem(
                Diagnostic::error(codes::UNWRITABLE, format!("{} cannot be written: {error}", site.show(&path)))
                    .help("name another file with --log"),
            )
        })?;
        Ok(Self(Mutex::new((file, None))))
    }

    fn note(&self, entry: &LogEntry) {
        // What was sent may hold secrets: bodies are never noted.
        let LogEntry { ms, service, action, region, account, code, request_id, lost, body: _ } = entry;
        let time = jiff::Timestamp::from_millisecond(*ms).unwrap_or(jiff::Timestamp::UNIX_EPOCH).to_string();
        let short = |text: &str| text.chars().take(MOST_NOTED).collect::<String>();
        let outcome = match (lost, code) {
            (Some(Lost::Request), _) => "lost",
            (Some(Lost::Answer) | None, Some(code)) => code,
            (Some(Lost::Answer) | None, None) => "ok",
        };
        let line = json!({
            "time": time,
            "service": service,
            "action": short(action),
            "region": short(region),
            "account": account,
            "outcome": outcome,
            "answered": lost.is_none(),
            "request_id": request_id,
        });
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = log.0.write_all(format!("{line}\n").as_bytes()) {
            log.1.get_or_insert(error);
        }
    }

    fn fault(&self) -> Option<std::io::Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_read_and_wrong_ones_refused() {
        for (text, seed, per_mille) in
            [("7", 7, 100), ("7:20%", 7, 200), ("0:0.2", 0, 200), ("9:0", 9, 0), ("9:100%", 9, 1000)]
        {
            assert_eq!(faults(text), Ok(Faults { seed, per_mille }), "{text}");
        }
        for text in ["", "x", "7:", "7:2", "7:120%", "7:-1", "7:NaN", "-1", "7:20%:1"] {
            assert!(faults(text).is_err(), "{text}");
        }
    }
}
