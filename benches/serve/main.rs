//! How fast the served cloud answers: `cargo bench --bench serve`. `docs/serve.md` has figures. They are printed, not judged.

#![expect(clippy::disallowed_methods, reason = "a bench looks at the clock and its arguments")]

mod args;
mod client;
mod figures;
mod run;
mod served;

use std::process::ExitCode;

fn main() -> ExitCode {
    let site = run::Site {
        fleetwright: env!("CARGO_BIN_EXE_fleetwright").into(),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        scratch: env!("CARGO_TARGET_TMPDIR").into(),
    };
    let mut given: Vec<String> = std::env::args().skip(1).collect();
    let (mut out, mut talk) = (std::io::stdout(), std::io::stderr());
    // `cargo bench` says so. `cargo test --all-targets` does not, and is not to wait for minutes.
    if !given.iter().any(|arg| arg == "--bench") {
        given = vec!["--help".to_owned()];
    }
    match run::run(given, &site, &mut out, &mut talk) {
        Ok(code) => ExitCode::from(code),
        Err(_) => ExitCode::FAILURE,
    }
}
