//! A heartbeat: renews the lease of the lock for as long as it is held, whatever the command is doing, and notices when
//! the lock is lost.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use super::Site;
use crate::apply::driver::LockLost;
use crate::cloud::clock::Clock;
use crate::model::Millis;
use crate::store::{Fence, LockRow, StoreFault};

/// So often is the lease renewed while it lasts: some may fail, for a disk that is full or another process that writes.
const BEATS: Millis = 10;
/// At most so long a heartbeat sleeps: where the machine was asleep meanwhile, its clock has gone on.
const GLANCE: Duration = Duration::from_secs(1);

/// A heartbeat, until it is dropped.
pub(super) struct Heartbeat {
    lost: Arc<LockLost>,
    /// Dropped first: the thread then ends.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Heartbeat {
    /// Keeps the lock that is held with this fence. In virtual time there is nobody to beat: what waits, renews.
    pub(super) fn start(site: &Site, fence: Fence) -> Self {
        let lost = Arc::new(LockLost::default());
        let (stop, stopped) = channel();
        let mut beating = Beating {
            file: site.state_file(),
            clock: Arc::clone(&site.clock),
            fence,
            lease_ms: site.lease_ms(),
            row: None,
            lost: Arc::clone(&lost),
        };
        let spawn = || std::thread::Builder::new().name("heartbeat".into()).spawn(move || beating.go_on(&stopped));
        // Without a thread the lease holds as long as it was taken for, and every write is fenced all the same.
        let thread = if site.clock.is_virtual() { None } else { spawn().ok() };
        Self { lost, stop: Some(stop), thread }
    }

    /// Where it is told that the lock is lost.
    pub(super) fn lost(&self) -> &Arc<LockLost> {
        &self.lost
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It has nothing to tell beyond what stands in `lost`.
            drop(thread.join());
        }
    }
}

struct Beating {
    file: PathBuf,
    clock: Arc<dyn Clock>,
    fence: Fence,
    lease_ms: Millis,
    row: Option<LockRow>,
    lost: Arc<LockLost>,
}

impl Beating {
    fn go_on(&mut self, stopped: &Receiver<()>) {
        let pause_ms = (self.lease_ms / BEATS).max(1);
        let pause = Duration::from_millis(u64::try_from(pause_ms).unwrap_or(1)).min(GLANCE);
        let mut next_ms = self.clock.now_ms() + pause_ms;
        while stopped.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
            if self.clock.now_ms() < next_ms {
                continue;
            }
            match self.beat() {
                Ok(()) => next_ms = self.clock.now_ms() + pause_ms,
                // The run stops sending. Nobody takes the lock back.
                Err(StoreFault::Fenced) => return self.lost.tell(),
                // It may pass; at the next glance it is tried again, over a new connection.
                Err(_) => self.row = None,
            }
        }
    }

    fn beat(&mut self) -> Result<(), StoreFault> {
        let row = match &mut self.row {
            Some(row) => row,
            None => self.row.insert(LockRow::open(&self.file)?),
        };
        row.renew(self.fence, self.clock.now_ms() + self.lease_ms)
    }
}
