//! A program on a terminal of its own: what is typed there, and that it is closed.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::process::{Child, Command, Stdio};

use rustix::io::ioctl_fionbio;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::place::{Place, pause};

/// How often it is looked what was said, before that is given up: after half a minute.
const MOST_LOOKS: usize = 6_000;
const LOOK_MS: u64 = 5;

pub(crate) struct Terminal {
    child: Child,
    /// The side of the terminal at which somebody sits; `None`: it is closed.
    master: Option<File>,
    shown: Vec<u8>,
}

impl Terminal {
    /// Starts a command as the first process of a session of its own, whose terminal this is.
    pub(crate) fn start(place: &Place, args: &str) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a terminal");
        grantpt(&master).expect("a terminal");
        unlockpt(&master).expect("a terminal");
        let name = ptsname(&master, Vec::new()).expect("its name").into_string().expect("UTF-8");
        ioctl_fionbio(&master, true).expect("no waiting");
        let slave = || -> Stdio { OpenOptions::new().read(true).write(true).open(&name).expect("a terminal").into() };
        let child = Command::new("setsid")
            .args(["-c", env!("CARGO_BIN_EXE_fleetwright")])
            .args(args.split_whitespace())
            .current_dir(place.dir())
            .env("NO_COLOR", "1")
            .env("TERM", "xterm")
            .stdin(slave())
            .stdout(slave())
            .stderr(slave())
            .spawn()
            .expect("setsid, which is part of util-linux");
        Self { child, master: Some(master.into()), shown: Vec::new() }
    }

    pub(crate) fn shown(&self) -> String {
        String::from_utf8_lossy(&self.shown).into_owned()
    }

    fn look(&mut self) {
        let mut bytes = [0; 4096];
        while let Some(master) = &mut self.master {
            match master.read(&mut bytes) {
                Ok(0) => return,
                Ok(read) => self.shown.extend(&bytes[..read]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // Nobody is on the other side any more.
                Err(_) => return,
            }
        }
    }

    /// Waits until something is shown.
    #[track_caller]
    pub(crate) fn until(&mut self, text: &str) {
        for _ in 0..MOST_LOOKS {
            self.look();
            if self.shown().contains(text) {
                return;
            }
            pause(LOOK_MS);
        }
        panic!("{text:?} does not come:\n{}", self.shown());
    }

    pub(crate) fn type_in(&mut self, keys: &str) {
        let master = self.master.as_mut().expect("an open terminal");
        master.write_all(keys.as_bytes()).expect("typed");
    }

    /// Closes the window.
    pub(crate) fn close(&mut self) {
        self.master = None;
    }

    /// Waits for the end; answers the exit code.
    #[track_caller]
    pub(crate) fn end(&mut self) -> Option<i32> {
        for _ in 0..MOST_LOOKS {
            self.look();
            if let Some(status) = self.child.try_wait().expect("a process") {
                self.look();
                return status.code();
            }
            pause(LOOK_MS);
        }
        self.child.kill().expect("killed");
        panic!("it does not end:\n{}", self.shown());
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
