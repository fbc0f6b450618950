//! The binary: everything is in the library.

use std::process::ExitCode;
use std::sync::Arc;

fn main() -> ExitCode {
    // A panic is a fault of the program: it says so in one line, and never by a trace.
    std::panic::set_hook(Box::new(|panic| {
        use std::io::Write;
        let place = panic.location().map_or_else(String::new, |place| format!(" ({}:{})", place.file(), place.line()));
        let text = format!(
            "fleetwright failed inside{place}. This is a fault of fleetwright; please report it.\nThe state is safe: \
             what was under way is in its journal, and the next apply settles it.\n"
        );
        drop(std::io::stderr().write_all(text.as_bytes()));
    }));
    let run = || {
        let stop = fleetwright::cli::interrupts();
        let mut stdin = fleetwright::cli::Typed::new(Arc::clone(&stop));
        let (mut stdout, mut stderr) = (std::io::stdout(), std::io::stderr());
        fleetwright::cli::run(fleetwright::cli::real_world(stop, &mut stdin, &mut stdout, &mut stderr))
    };
    let exit = std::panic::catch_unwind(run).unwrap_or(fleetwright::cli::Exit::Bug);
    ExitCode::from(exit.code())
}
