//! What is shown of an apply while it runs: a live table on a terminal, dated lines elsewhere, or events for programs.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::screen::Screen;
use super::{Exit, Shell};
use crate::apply::events::{Outcome, Progress};
use crate::cloud::clock::Clock;
use crate::diagnostic::{Diagnostic, codes};
use crate::model::Millis;
use crate::model::addr::Block;
use crate::ops::{Approval, Planned, Problem, Site, Waiter, Watcher};
use crate::plan::estimate::Measured;
use crate::report::document::Document;
use crate::report::events_json::{End, EventLines};
use crate::report::live::LiveState;
use crate::report::live_table::{self, live};
use crate::report::progress::{self, Dated, Next, ProgressText};
use crate::report::rollout;
use crate::report::style::Style;
use crate::report::timing::Timing;
use crate::store::Lease;

/// Whoever watches on behalf of the command line.
pub(super) struct Watching<'s, 'w> {
    shell: &'s mut Shell<'w>,
    clock: Arc<dyn Clock>,
    text: ProgressText,
    state: LiveState,
    timing: Timing,
    /// Where standard error is a terminal to draw on.
    screen: Option<Screen>,
    /// Where JSON was asked for.
    events: Option<EventLines>,
    /// When the last event was written.
    event_ms: Millis,
    auto_approve: bool,
    verb: &'static str,
    again: String,
    /// The command of rollouts, without what is said to one.
    rollout: String,
    /// The options that this plan was made with, each behind a space: whoever approves it in another way needs them.
    options: String,
    /// How long actions took in earlier runs.
    measured: Measured,
}

/// After this long without an event, a program is told that things go on.
const SILENCE_MS: Millis = 30_000;

impl<'s, 'w> Watching<'s, 'w> {
    pub(super) fn new(
        shell: &'s mut Shell<'w>,
        site: &Site,
        auto_approve: bool,
        verb: &'static str,
        again: String,
    ) -> Self {
        let clock = &site.clock;
        let rollout = site.command("rollout");
        let now = clock.now_ms();
        let world = &shell.world;
        let dumb = world.env.get("TERM").is_some_and(|term| term == "dumb");
        // Events and a table on one terminal would write into each other.
        let draws = world.terminals.stderr && !dumb && !(shell.json && world.terminals.stdout);
        let dated = if draws { Dated::Elapsed } else { Dated::Utc };
        let events = shell.json.then(EventLines::default);
        if let Some(events) = &events {
            let line = events.version(now, verb);
            shell.print(&line);
        }
        Self {
            text: ProgressText::new(now, shell.talk, dated),
            shell,
            clock: Arc::clone(clock),
            state: LiveState::new(now),
            timing: Timing::new(now),
            screen: draws.then(Screen::default),
            events,
            event_ms: now,
            auto_approve,
            verb,
            again,
            rollout,
            options: String::new(),
            measured: Measured::new(),
        }
    }

    /// The same, where this is known of earlier runs.
    pub(super) fn knowing(self, measured: Measured) -> Self {
        Self { measured, ..self }
    }

    /// The same, of a plan that was made with these options.
    pub(super) fn with(self, options: String) -> Self {
        Self { options, ..self }
    }

    /// What people read beside the events, and programs do not.
    pub(super) fn say(&mut self, text: &str) {
        if self.events.is_none() || self.screen.is_some() {
            self.shell.say(text);
        }
    }

    fn print_event(&mut self, line: &str) {
        if !line.is_empty() {
            self.event_ms = self.clock.now_ms();
            self.shell.print(line);
        }
    }

    fn print_document(&mut self, line: &Document<'_>) {
        self.event_ms = self.clock.now_ms();
        self.shell.print_json(line);
    }

    /// A line of talk: above the table, where there is one.
    fn talk(&mut self, line: &str) {
        match &mut self.screen {
            Some(screen) => screen.scroll(line),
            None => self.say(line),
        }
    }

    fn draw(&mut self, now: Millis) {
        let Some(screen) = &mut self.screen else { return };
        if !screen.due(now) {
            return;
        }
        let (columns, rows) = self.shell.window();
        self.text.resize(columns);
        // The last column stays free: in some terminals, what stands there breaks the line.
        let style = Style { width: columns.saturating_sub(1), color: self.shell.talk.color };
        let table = live(&self.state, now, style, live_table::MAX_LINES.min(rows.saturating_sub(1)));
        let frame = screen.frame(now, table, columns);
        if !frame.is_empty() {
            self.shell.say(&frame);
        }
    }

    /// Takes the table away.
    pub(super) fn clear(&mut self) {
        let Some(screen) = &mut self.screen else { return };
        let (columns, _) = self.shell.window();
        let text = screen.clear(columns);
        if !text.is_empty() {
            self.shell.say(&text);
        }
    }

    /// How it ended, for people.
    pub(super) fn outcome(&mut self, outcome: &Outcome) {
        if self.events.is_some() && self.screen.is_none() {
            return;
        }
        let mut style = if self.events.is_some() { self.shell.talk } else { self.shell.out };
        if self.screen.is_some() && self.shell.world.terminals.stdout {
            // It may be another width than at the start.
            style.width = self.shell.window().0;
        }
        let took = self.timing.text(self.clock.now_ms(), style, &|step, action| self.text.label(step, action));
        let text = format!(
            "\n{}",
            progress::outcome(outcome, &took, Next { again: &self.again, rollout: &self.rollout }, style)
        );
        if self.events.is_some() {
            self.shell.say(&text);
        } else {
            self.shell.print(&text);
        }
    }

    /// How it ended, for programs.
    pub(super) fn end(&mut self, result: &'static str, exit: Exit, outcome: &Outcome, open: bool) -> Exit {
        let now = self.clock.now_ms();
        if let Some(events) = &self.events {
            // What waits goes on when somebody says so, not by another apply.
            let waits = outcome.paused.first().filter(|_| outcome.waits());
            let resume = waits.map(|fleet| format!("{} resume {}", self.rollout, fleet.name));
            let next = open.then_some(resume.as_deref().unwrap_or(&self.again));
            let end = End { result, exit_code: exit.code(), next, timing: &self.timing };
            let line = events.outcome(now, outcome, &end);
            self.shell.print(&line);
        }
        exit
    }

    /// What stood in the way.
    pub(super) fn problem(&mut self, problem: Problem) -> Result<Exit, Problem> {
        let Some(events) = &self.events else { return Err(problem) };
        let lines = events.diagnostics(self.clock.now_ms(), &problem.diagnostics, &problem.sources);
        self.shell.print(&lines);
        let exit = Exit::of(&problem.diagnostics);
        Ok(self.end("refused", exit, &Outcome::default(), true))
    }

    fn show(&mut self, now: Millis, planned: &Planned) {
        let Some(events) = &mut self.events else {
            super::plan::show(self.shell, planned, None);
            return;
        };
        let lines = events.diagnostics(now, &planned.config.warnings, &planned.config.sources);
        let plan = events.plan(now, &planned.plan, super::plan::beside(planned));
        self.print_event(&lines);
        self.print_document(&plan);
    }

    /// The plan is carried out from now on.
    fn begin(&mut self, planned: &Planned) {
        let now = self.clock.now_ms();
        self.text.follow(now, &planned.plan);
        self.state.follow(now, &planned.plan, &self.measured);
        self.timing.follow(now, &planned.plan);
    }
}

impl Waiter for Watching<'_, '_> {
    fn waits(&mut self, now: Millis, lease: &Lease, until: Millis) {
        self.shell.waits(now, lease, until);
    }
}

impl Watcher for Watching<'_, '_> {
    fn progress(&mut self, now: Millis, progress: &Progress) {
        self.timing.note(now, progress);
        if let Some(events) = &mut self.events {
            let line = events.progress(now, progress);
            self.print_event(&line);
        }
        let line = self.text.line(now, progress);
        let until = if let Progress::Started { step, .. } = progress { self.text.until(*step) } else { None };
        self.state.note(now, progress, until);
        if !line.is_empty() {
            self.talk(&line);
        }
    }

    fn tick(&mut self, now: Millis) {
        if self.screen.is_some() {
            self.draw(now);
            return;
        }
        if let Some(events) = &self.events {
            if now - self.event_ms >= SILENCE_MS
                && let Some(still) = self.state.still(now)
            {
                let line = events.heartbeat(now, &still);
                self.print_event(&line);
            }
            return;
        }
        let line = self.text.still(now, &self.state);
        if !line.is_empty() {
            self.shell.say(&line);
        }
    }

    fn recovered(&mut self, outcome: &Outcome) {
        self.clear();
        if let Some(events) = &self.events {
            let line = events.recovered(self.clock.now_ms(), outcome);
            self.print_event(&line);
        }
        let text = if outcome.settled() {
            "What an interrupted run had left open is settled.\n"
        } else {
            "What an interrupted run had left open could not be settled.\n"
        };
        self.say(text);
    }

    fn overtaken(&mut self) {
        self.shell.say("Another run has made the state since this plan was made; planning anew.\n");
    }

    fn taken_back(&mut self, planned: &Planned, fleets: &BTreeSet<Block>) {
        self.clear();
        let now = self.clock.now_ms();
        let told: Vec<(&Block, String)> = fleets
            .iter()
            .filter_map(|fleet| Some((fleet, rollout::going_back(planned.rollout(fleet)?, planned.count(fleet)))))
            .collect();
        if let Some(events) = &mut self.events {
            let lines = events.taken_back(now, told.iter().map(|(fleet, text)| (*fleet, text.clone())));
            self.print_event(&lines);
            let line = self.events.as_mut().map(|events| events.plan(now, &planned.plan, super::plan::beside(planned)));
            if let Some(line) = line {
                self.print_document(&line);
            }
        }
        for (_, text) in &told {
            self.say(&format!("\n{text}\n"));
        }
        if self.events.is_none() {
            super::plan::show(self.shell, planned, None);
        }
        self.text.follow(now, &planned.plan);
        self.state.follow(now, &planned.plan, &self.measured);
        self.timing.follow_on(now, &planned.plan);
    }

    fn stays(&mut self, problem: &Problem) {
        self.clear();
        if let Some(events) = &self.events {
            let lines = events.diagnostics(self.clock.now_ms(), &problem.diagnostics, &problem.sources);
            self.print_event(&lines);
        } else {
            self.shell.diagnostics(&problem.diagnostics, &problem.sources);
        }
        self.say("A rollout failed, and its fleet does not go back yet: the next apply plans that anew.\n");
    }

    fn begins(&mut self, planned: &Planned) {
        let now = self.clock.now_ms();
        if let Some(events) = &mut self.events {
            let line = events.plan(now, &planned.plan, super::plan::beside(planned));
            self.print_document(&line);
        } else {
            super::plan::begin(self.shell, planned);
        }
        self.begin(planned);
    }

    fn approve(&mut self, planned: &Planned) -> Result<Approval, Box<Diagnostic>> {
        self.show(self.clock.now_ms(), planned);
        if planned.plan.is_empty() || self.auto_approve {
            self.begin(planned);
            return Ok(Approval::Yes);
        }
        if !self.shell.world.terminals.stdin {
            return Err(Box::new(
                Diagnostic::error(codes::NEEDS_APPROVAL, "nothing was changed: there is no terminal to ask on")
                    .help(format!("to go on without being asked: {}{} --auto-approve", self.again, self.options)),
            ));
        }
        let question = match self.verb {
            "destroy" => "\nTo destroy all of this, type `yes`: ",
            "refresh" => "\nTo let the state learn this, type `yes`: ",
            "rollout resume" | "rollout promote" => "\nTo go on like this, type `yes`: ",
            "rollout rollback" => "\nTo go back like this, type `yes`: ",
            _ => "\nTo apply this plan, type `yes`: ",
        };
        let approved = self.shell.confirmed(question);
        self.begin(planned);
        Ok(if approved { Approval::Yes } else { Approval::No })
    }
}
