//! fleetwright beside terraform, in one go on one machine: `cargo bench --bench compare`. `docs/compare.md` says what is
//! compared with what. Figures are printed, not judged.

#![expect(clippy::disallowed_methods, reason = "a bench looks at the clock, its arguments and the PATH")]

mod args;
mod figures;
mod measure;
mod run;
mod tools;

use std::process::ExitCode;
use std::time::SystemTime;

fn main() -> ExitCode {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let site = run::Site {
        fleetwright: env!("CARGO_BIN_EXE_fleetwright").into(),
        path: std::env::var_os("PATH").unwrap_or_default(),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        scratch: env!("CARGO_TARGET_TMPDIR").into(),
        now_s: i64::try_from(since.as_secs()).unwrap_or_default(),
    };
    let mut given: Vec<String> = std::env::args().skip(1).collect();
    let (mut out, mut talk) = (std::io::stdout(), std::io::stderr());
    // `cargo bench` says so. `cargo test --all-targets` does not, and is not to wait for an hour.
    if !given.iter().any(|arg| arg == "--bench") {
        given = vec!["--help".to_owned()];
    }
    match run::run(given, site, &mut out, &mut talk) {
        Ok(code) => ExitCode::from(code),
        Err(_) => ExitCode::FAILURE,
    }
}
