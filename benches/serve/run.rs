//! The measurements in their order.

#![expect(clippy::disallowed_methods, reason = "a bench looks at the clock")]

use std::fs;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::args::{Args, HELP, Keep};
use crate::client::{Client, launch, question};
use crate::figures::{Sample, heading, memory, per_second, thousands};
use crate::served::Served;

/// So many instances come with one request while the cloud is filled: the most that are documented.
const FILL: usize = 500;
/// So many are asked for, or launched, by one request that is measured: the most of an answer.
const BATCH: usize = 100;
const ZONES: [&str; 2] = ["ap-guangzhou-3", "ap-guangzhou-4"];

/// What a run is given of the world.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) fleetwright: PathBuf,
    pub(crate) cores: usize,
    /// Where to put files, where the arguments do not say.
    pub(crate) scratch: PathBuf,
}

/// Measures what the arguments ask for. Figures go to `out`, and what is under way to `talk`. Answers the exit code: 1
/// where something failed, 64 where the arguments are wrong.
///
/// # Errors
///
/// Something cannot be written.
pub(crate) fn run(
    given: impl IntoIterator<Item = String>,
    site: &Site,
    out: &mut dyn Write,
    talk: &mut dyn Write,
) -> io::Result<u8> {
    const USAGE: u8 = 64;
    let args = match Args::parse(given) {
        Ok(args) => args,
        Err(fault) => {
            write!(talk, "{fault}\n\n{HELP}")?;
            return Ok(USAGE);
        }
    };
    if args.help {
        out.write_all(HELP.as_bytes())?;
        return Ok(0);
    }
    writeln!(
        out,
        "fleetwright {}, {} cores, which clients and cloud share; {} ms each",
        env!("CARGO_PKG_VERSION"),
        site.cores,
        args.each.as_millis()
    )?;
    for keep in &args.keep {
        let dir = tempfile::tempdir_in(args.dir.as_deref().unwrap_or(&site.scratch))?;
        if let Err(fault) = measure(&args, site, *keep, dir.path(), out, talk) {
            writeln!(out, "  {fault}")?;
            return Ok(1);
        }
    }
    Ok(0)
}

fn measure(
    args: &Args,
    site: &Site,
    keep: Keep,
    dir: &Path,
    out: &mut dyn Write,
    talk: &mut dyn Write,
) -> io::Result<()> {
    const FILE: &str = "cloud.db";
    let (data, place) = match keep {
        Keep::Memory => (None, "in memory"),
        Keep::File => (Some(FILE), "in a file"),
    };
    writeln!(talk, "{place}: fills the cloud")?;
    let served = Served::start(&site.fleetwright, dir, data)?;
    let began = Instant::now();
    let ids = fill(served.address, args.instances)?;
    let took = began.elapsed();
    let requests = ids.len().div_ceil(FILL);
    writeln!(out, "\n{} instances {place}: {}", thousands(ids.len()), memory(served.memory()))?;
    writeln!(
        out,
        "  filled in {}.{} s, {} requests of {FILL} a second",
        took.as_secs(),
        took.subsec_millis() / 100,
        per_second(requests, took)
    )?;
    if data.is_some() {
        let bytes: u64 = [FILE.to_owned(), format!("{FILE}-wal")]
            .iter()
            .filter_map(|file| fs::metadata(dir.join(file)).ok())
            .map(|file| file.len())
            .sum();
        writeln!(out, "  {} MB on disk, its journal among them", bytes.div_ceil(1_000_000))?;
    }
    out.write_all(heading().as_bytes())?;
    let mut launched = 0;
    for action in ["DescribeInstances", "RunInstances"] {
        for &clients in &args.clients {
            writeln!(talk, "{place}: {action}, {clients} at once")?;
            let sample = ask(served.address, args.each, clients, action, |n| match action {
                "DescribeInstances" => Some(question(&ids, BATCH, n)),
                // With many more instances than at first, it would be another cloud.
                _ => (n < most_launches(ids.len())).then(|| launch(BATCH, ZONES[n % ZONES.len()])),
            })?;
            if action == "RunInstances" {
                launched += sample.count() * BATCH;
            }
            out.write_all(sample.line(&format!("{action} of {BATCH}"), clients).as_bytes())?;
        }
        if action == "DescribeInstances" {
            writeln!(out, "  after that: {}", memory(served.memory()))?;
        }
    }
    writeln!(out, "  with {} instances: {}", thousands(ids.len() + launched), memory(served.memory()))
}

/// How many launches one measurement may take: half as many instances come by them as there were.
fn most_launches(instances: usize) -> usize {
    instances.div_ceil(2 * BATCH)
}

/// Launches so many instances; answers their ids.
fn fill(address: SocketAddr, instances: usize) -> io::Result<Vec<String>> {
    let mut client = Client::new(address)?;
    let mut ids = Vec::with_capacity(instances);
    while ids.len() < instances {
        let zone = ZONES[ids.len() / FILL % ZONES.len()];
        let made = client.launch(FILL.min(instances - ids.len()), zone)?;
        if made.is_empty() {
            return Err(io::Error::other("a launch made nothing"));
        }
        ids.extend(made);
    }
    Ok(ids)
}

/// Lets several clients ask one question after the other, each by a connection of its own, for so long, or until there
/// are no more.
fn ask(
    address: SocketAddr,
    each: Duration,
    clients: usize,
    action: &str,
    body: impl Fn(usize) -> Option<String> + Sync,
) -> io::Result<Sample> {
    let (ready, next) = (Barrier::new(clients + 1), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..clients)
            .map(|_| {
                let (ready, next, body) = (&ready, &next, &body);
                scope.spawn(move || {
                    let client = Client::new(address);
                    // They begin together, also where one of them cannot.
                    ready.wait();
                    let (mut client, end) = (client?, Instant::now() + each);
                    let mut took_us = Vec::new();
                    while let Some(body) = body(next.fetch_add(1, Ordering::Relaxed)) {
                        let began = Instant::now();
                        if began >= end {
                            break;
                        }
                        client.ask(action, &body)?;
                        took_us.push(u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX));
                    }
                    Ok(took_us)
                })
            })
            .collect();
        ready.wait();
        let began = Instant::now();
        let mut took_us = Vec::new();
        for worker in workers {
            let one: io::Result<Vec<u64>> = worker.join().map_err(|_| io::Error::other("a client failed"))?;
            took_us.extend(one?);
        }
        Ok(Sample::new(took_us, began.elapsed()))
    })
}
