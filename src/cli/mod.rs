//! The command line: arguments, one file a command, exit codes. The only place that prints.
//!
//! [`run`] takes the whole world as a value, clock and terminal included, so that tests see what users see.

mod apply;
mod args;
mod cloud;
mod doctor;
mod exit;
mod explain;
mod force_unlock;
mod graph;
mod history;
mod images;
mod init;
mod orphans;
mod plan;
#[cfg(test)]
mod reference;
mod rollout;
mod screen;
mod serve;
mod shell_help;
mod show;
mod show_run;
mod state;
mod trace;
mod validate;
mod watching;
mod world;

pub use exit::Exit;
pub use world::{Terminals, Typed, Window, World, interrupts, real_world};

use std::sync::Arc;

use clap::Parser;
use clap::error::ErrorKind;

use crate::cloud::cvm::trace::Tracer;
use crate::diagnostic::{Diagnostic, SourceMap, codes};
use crate::model::Millis;
use crate::model::ids::Name;
use crate::ops::{Problem, Reach, Site, Waiter};
use crate::report::document::Document;
use crate::report::style::Style;
use crate::store::Lease;
use args::{Args, CloudCommand, Command, HistoryCommand, StateCommand};

/// Runs one command.
pub fn run(mut world: World<'_>) -> Exit {
    let args = match Args::try_parse_from(std::mem::take(&mut world.args)) {
        Ok(args) => args,
        Err(error) => return usage(&mut world, &error),
    };
    let mut shell = Shell::new(world, &args);
    let Args { chdir, env, .. } = &args;
    if !Name::is_valid(env) {
        let fault = Diagnostic::error(codes::INVALID_NAME, format!("{env:?} cannot be the name of an environment"))
            .why(codes::INVALID_NAME.meaning)
            .help("name it like this: -e staging");
        return shell.fail(&Problem { diagnostics: vec![fault], sources: SourceMap::default() });
    }
    let tracer = match trace::open(&shell.world, chdir, &args) {
        Ok(tracer) => tracer,
        Err(problem) => return shell.fail(&problem),
    };
    let site = shell.site(chdir, Name::new(env.as_str()), &args, tracer.clone());
    if let Err(problem) = there(&site, &args.command) {
        return shell.fail(&problem);
    }
    let result = match &args.command {
        Command::Init(options) => init::run(&mut shell, site, options),
        Command::Doctor(_) => doctor::run(&mut shell, &site),
        Command::Validate => validate::run(&mut shell, &site),
        Command::Plan(options) => plan::run(&mut shell, &site, options),
        Command::Apply(options) => match &options.file {
            Some(file) => apply::run_file(&mut shell, &site, file),
            None => apply::run(&mut shell, &site, &options.apply, &options.kind),
        },
        Command::Destroy(options) => {
            let args::DestroyArgs { apply, scope } = options;
            let kind = args::KindArgs { destroy: true, scope: scope.clone(), ..args::KindArgs::default() };
            apply::run(&mut shell, &site, apply, &kind)
        }
        Command::Refresh(options) => apply::refresh(&mut shell, &site, options),
        Command::Drift(options) if options.orphans => orphans::run(&mut shell, &site, options),
        Command::Drift(_) => plan::drift(&mut shell, &site),
        Command::Images(options) => images::run(&mut shell, &site, options),
        Command::Show { what: Some(what) } => show::show_what(&mut shell, &site, what),
        Command::Show { what: None } => show::show(&mut shell, &site),
        Command::History { list, command: None } => history::run(&mut shell, &site, list),
        Command::History { list: _, command: Some(HistoryCommand::Prune(options)) } => {
            history::prune(&mut shell, &site, options)
        }
        Command::Rollout { command } => rollout::run(&mut shell, &site, command),
        Command::State { command: StateCommand::List { addr } } => state::list(&mut shell, &site, addr.as_deref()),
        Command::State { command: StateCommand::Show { addr } } => state::show(&mut shell, &site, addr),
        Command::State { command: StateCommand::Rm(options) } => state::rm(&mut shell, &site, options),
        Command::Graph { format } => graph::run(&mut shell, &site, *format),
        Command::Completions { shell: kind } => Ok(shell_help::completions(&mut shell, *kind)),
        Command::Man { dir } => shell_help::man(&mut shell, &site, dir.as_deref()),
        Command::Explain { code } => explain::run(&mut shell, code.as_deref()),
        Command::ForceUnlock(options) => force_unlock::run(&mut shell, &site, options),
        Command::Cloud { command: CloudCommand::Inspect(options) } => cloud::inspect(&mut shell, &site, options),
        Command::Cloud { command: CloudCommand::Reset { auto_approve } } => {
            cloud::reset(&mut shell, &site, *auto_approve)
        }
        Command::Cloud { command: CloudCommand::Serve(options) } => serve::run(&mut shell, &site, options),
        Command::Cloud { command: CloudCommand::Credentials { account, data } } => {
            cloud::credentials(&mut shell, &site, account, data.as_deref())
        }
    };
    let exit = match result {
        Ok(exit) => exit,
        Err(problem) => shell.fail(&problem),
    };
    if let Some(fault) = tracer.and_then(|tracer| trace::fault(&tracer)) {
        shell.diagnostics(&[fault], &SourceMap::default());
    }
    shell.end(exit)
}

/// Whether the directory is there in which a command looks for a state or a cloud. Those that read a config look for
/// themselves.
fn there(site: &Site, command: &Command) -> Result<(), Problem> {
    match command {
        Command::Show { what: _ }
        | Command::History { .. }
        | Command::Rollout { .. }
        | Command::State { .. }
        | Command::ForceUnlock(_)
        | Command::Cloud { command: CloudCommand::Inspect(_) | CloudCommand::Reset { .. } } => {
            crate::ops::expect_dir(site)
        }
        Command::Init(_)
        | Command::Validate
        | Command::Doctor(_)
        | Command::Plan(_)
        | Command::Apply(_)
        | Command::Destroy(_)
        | Command::Refresh(_)
        | Command::Drift(_)
        | Command::Images(_)
        | Command::Graph { .. }
        | Command::Completions { .. }
        | Command::Man { .. }
        | Command::Explain { .. }
        | Command::Cloud { command: CloudCommand::Credentials { .. } | CloudCommand::Serve(_) } => Ok(()),
    }
}

impl Waiter for Shell<'_> {
    fn waits(&mut self, now: Millis, lease: &Lease, until: Millis) {
        let text = crate::report::lock::waiting(lease, now, until, self.talk);
        self.say(&text);
    }
}

/// Help is what was asked for; anything else is a mistake in the command line.
fn usage(world: &mut World<'_>, error: &clap::Error) -> Exit {
    let color = world.color_of(None, world.terminals.stderr);
    let text = error.render();
    let text = if color { text.ansi().to_string() } else { text.to_string() };
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        drop(world.stdout.write_all(text.as_bytes()));
        return Exit::Done;
    }
    drop(world.stderr.write_all(text.as_bytes()));
    Exit::Usage
}

/// What commands print with.
pub(crate) struct Shell<'a> {
    world: World<'a>,
    /// Whether JSON was asked for.
    json: bool,
    verbose: bool,
    out: Style,
    talk: Style,
    /// Why standard output could not be written.
    unwritten: Option<std::io::Error>,
}

impl<'a> Shell<'a> {
    fn new(world: World<'a>, args: &Args) -> Self {
        let out = Style { width: world.width, color: world.color_of(Some(args.color), world.terminals.stdout) };
        let talk = Style { width: world.width, color: world.color_of(Some(args.color), world.terminals.stderr) };
        Self { world, json: args.json, verbose: args.verbose > 0, out, talk, unwritten: None }
    }

    fn site(&mut self, chdir: &std::path::Path, env: Name, args: &Args, tracer: Option<Arc<Tracer>>) -> Site {
        let reach = Reach { env: self.world.env.clone(), profile: args.profile(), tracer };
        let world = &mut self.world;
        Site {
            dir: world.cwd.join(chdir),
            shown: chdir.display().to_string(),
            env,
            clock: std::sync::Arc::clone(&world.clock),
            entropy: std::mem::replace(&mut world.entropy, Box::new(|| [0; 32])),
            holder: world.holder.clone(),
            is_dead: std::mem::replace(&mut world.is_dead, Box::new(|_| false)),
            stop: std::sync::Arc::clone(&world.stop),
            lock_timeout_ms: args.lock_timeout_ms(),
            parallelism: args.parallelism(),
            reach,
            hooks: std::mem::take(&mut world.hooks),
        }
    }

    /// What was asked for. A reader that has gone away is no fault; anything else is told at the end.
    fn print(&mut self, text: &str) {
        let stdout = &mut self.world.stdout;
        let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
        self.written(written);
    }

    /// The same of what may be too long to be in memory at once: it is made while it is written.
    fn print_json(&mut self, document: &Document<'_>) {
        let stdout = &mut self.world.stdout;
        let written = document.write(stdout).and_then(|()| stdout.flush());
        self.written(written);
    }

    fn written(&mut self, written: std::io::Result<()>) {
        if let Err(error) = written
            && error.kind() != std::io::ErrorKind::BrokenPipe
        {
            self.unwritten.get_or_insert(error);
        }
    }

    /// How it ended, in the light of whether what was asked for could be written.
    fn end(&mut self, exit: Exit) -> Exit {
        let Some(error) = self.unwritten.take() else { return exit };
        let fault = Diagnostic::error(codes::UNWRITABLE, format!("standard output cannot be written: {error}"))
            .why("what was asked for is cut off; what else the command did is done")
            .help("make room where the output goes, and run it again");
        self.diagnostics(&[fault], &SourceMap::default());
        if matches!(exit, Exit::Done | Exit::Changes) { Exit::Failed } else { exit }
    }

    /// The talk beside it.
    fn say(&mut self, text: &str) {
        drop(self.world.stderr.write_all(text.as_bytes()));
        drop(self.world.stderr.flush());
    }

    fn diagnostics(&mut self, diagnostics: &[Diagnostic], sources: &SourceMap) {
        if !diagnostics.is_empty() {
            let text = crate::report::diagnostics::render(diagnostics, sources, self.talk.width, self.talk.color);
            self.say(&text);
        }
    }

    fn fail(&mut self, problem: &Problem) -> Exit {
        if self.json {
            let text = crate::report::diagnostics::render_json(&problem.diagnostics, &problem.sources);
            self.print(&text);
        } else {
            self.diagnostics(&problem.diagnostics, &problem.sources);
        }
        Exit::of(&problem.diagnostics)
    }

    /// Reads one line, and takes only `yes`.
    fn confirmed(&mut self, question: &str) -> bool {
        self.world.stop.heed();
        self.say(question);
        let mut line = String::new();
        let read = self.world.stdin.read_line(&mut line).is_ok();
        if self.world.stop.is_raised() {
            // The cursor stands behind the question.
            self.say("\n");
            return false;
        }
        read && line.trim() == "yes"
    }

    /// Ends a command that somebody wants to stop at its question.
    fn unless_interrupted(&self) -> Result<(), Problem> {
        if !self.world.stop.is_raised() {
            return Ok(());
        }
        let fault =
            Diagnostic::error(codes::INTERRUPTED, "interrupted before it was approved").why("nothing was begun");
        Err(Problem { diagnostics: vec![fault], sources: SourceMap::default() })
    }

    /// How many columns and rows the terminal of standard error has now.
    fn window(&self) -> (usize, usize) {
        let Window { columns, rows } =
            (self.world.window)().unwrap_or(Window { columns: self.world.width, rows: usize::MAX });
        (columns, rows)
    }

    /// Asks where there is a terminal to ask on; where there is none, that is a fault, with the command that does not ask.
    fn approved(&mut self, site: &Site, command: &str, question: &str) -> Result<bool, Problem> {
        if self.world.terminals.stdin {
            let approved = self.confirmed(question);
            self.unless_interrupted()?;
            return Ok(approved);
        }
        let fault = Diagnostic::error(codes::NEEDS_APPROVAL, "nothing was changed: there is no terminal to ask on")
            .help(format!("to go on without being asked: {} --auto-approve", self.again(command, site)));
        Err(Problem { diagnostics: vec![fault], sources: SourceMap::default() })
    }

    /// The command to type for going on.
    fn again(&self, verb: &str, site: &Site) -> String {
        site.command(verb)
    }
}
