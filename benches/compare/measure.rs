//! A command as a child process: how long it takes, and how much memory and work at most.

#![expect(clippy::disallowed_methods, reason = "a bench looks at the clock")]

use std::fs;
use std::io;
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

/// What one run of a command took.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Sample {
    pub(crate) wall_us: u64,
    /// Of all its threads, in user and system mode; nothing where the system does not tell.
    pub(crate) cpu_ms: Option<u64>,
    /// The most memory that was resident at once; nothing where the system does not tell.
    pub(crate) peak_kib: Option<u64>,
}

/// How a command ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ended {
    /// By itself, with this code; without one, by a signal.
    Exit(Option<i32>),
    /// It took longer than the limit, and was killed.
    OverLimit,
}

/// Clock ticks in a second, as /proc/PID/stat counts them for every program.
const TICKS: u64 = 100;

/// Runs it to its end, or to the limit. It is looked at again after a five-hundredth of the time that it has taken so far,
/// so that neither the figures nor the load are off by more than that.
///
/// # Errors
///
/// It cannot be started or waited for.
pub(crate) fn measure(command: &mut Command, limit: Duration) -> io::Result<(Ended, Sample)> {
    let start = Instant::now();
    let mut child = command.spawn()?;
    let mut sample = Sample { wall_us: 0, cpu_ms: None, peak_kib: None };
    loop {
        // Both only grow, and are gone with the process: the last that was seen is the figure.
        sample.peak_kib = peak_kib(&child).or(sample.peak_kib);
        sample.cpu_ms = cpu_ms(&child).or(sample.cpu_ms);
        let ended = child.try_wait()?;
        let taken = start.elapsed();
        if let Some(status) = ended {
            sample.wall_us = u64::try_from(taken.as_micros()).unwrap_or(u64::MAX);
            return Ok((Ended::Exit(status.code()), sample));
        }
        if taken >= limit {
            child.kill()?;
            child.wait()?;
            sample.wall_us = u64::try_from(taken.as_micros()).unwrap_or(u64::MAX);
            return Ok((Ended::OverLimit, sample));
        }
        thread::sleep((taken / 500).clamp(Duration::from_micros(200), Duration::from_millis(50)));
    }
}

fn peak_kib(child: &Child) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    peak_in(&status)
}

pub(crate) fn peak_in(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn cpu_ms(child: &Child) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).ok()?;
    cpu_in(&stat)
}

/// The program's name is in brackets and may hold anything, also brackets: what counts comes after the last one.
pub(crate) fn cpu_in(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some((user + system) * 1_000 / TICKS)
}
