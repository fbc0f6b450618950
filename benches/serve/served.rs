//! The served cloud, a process of its own.

use std::fs;
use std::io::{self, BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A cloud at work, which ends with this value.
pub(crate) struct Served {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Served {
    /// Serves a cloud without latency and without quotas, from a file in `dir` where `data` is one.
    pub(crate) fn start(fleetwright: &Path, dir: &Path, data: Option<&str>) -> io::Result<Self> {
        fs::write(dir.join("limits.yaml"), "instances_per_zone: 2000000\n")?;
        let mut command = Command::new(fleetwright);
        command.args(["cloud", "serve", "--profile", "instant", "--limits", "limits.yaml"]);
        command.args(data.into_iter().flat_map(|file| ["--data", file]));
        let mut child = command.current_dir(dir).stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        if let Some(out) = child.stdout.take() {
            BufReader::new(out).read_line(&mut line)?;
        }
        let address = line.trim().strip_prefix("listening on http://").and_then(|address| address.parse().ok());
        match address {
            Some(address) => Ok(Self { child, address }),
            None => {
                child.kill()?;
                child.wait()?;
                Err(io::Error::other(format!("the cloud is not served; it says `{}`", line.trim())))
            }
        }
    }

    /// Resident memory in KiB, now and at most, where the system tells.
    pub(crate) fn memory(&self) -> Option<(u64, u64)> {
        memory_in(&fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

pub(crate) fn memory_in(status: &str) -> Option<(u64, u64)> {
    let kib = |name: &str| -> Option<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse().ok()
    };
    Some((kib("VmRSS:")?, kib("VmHWM:")?))
}
