//! Arguments, as clap reads them.

use std::path::PathBuf;

use clap::{ArgAction, Parser, Subcommand, ValueEnum};

/// A declarative reconciler for virtual-machine images and the fleets that run from them.
#[derive(Parser, Debug)]
#[command(
    name = "fleetwright",
    version,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub(super) struct Args {
    /// Work as if started in this directory
    #[arg(short = 'C', long, global = true, value_name = "DIR", default_value = ".", hide_default_value = true)]
    pub(super) chdir: PathBuf,
    /// The environment: which state is worked with
    #[arg(short, long, global = true, value_name = "NAME", default_value = "default")]
    pub(super) env: String,
    /// Write JSON to standard output
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// When to use colour; NO_COLOR is respected
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", hide_possible_values = false)]
    pub(super) color: Color,
    /// Tell more
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(super) verbose: u8,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// When to use colour.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Color {
    /// On a terminal
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// Write a first config to start from
    Init(InitArgs),
    /// Check the config, without state and cloud
    Validate,
    /// See whether the cloud can be worked with from here: keys, endpoint, clock, regions, quotas, permissions; changes nothing
    Doctor(ReachArgs),
    /// Show what apply would do; changes nothing
    Plan(PlanArgs),
    /// Plan, ask, and carry it out; or carry out a plan that was saved
    Apply(ApplyFileArgs),
    /// Plan to destroy everything, ask, and carry it out
    Destroy(DestroyArgs),
    /// Let the state learn what was changed outside, after asking; changes nothing in the cloud
    ///
    /// What differs from the config then is a change of the config's for the next plan, which may replace or reset instances;
    /// a note says so beforehand, for each fleet and attribute
    Refresh(RefreshArgs),
    /// Show what was changed outside; exits with 2 where something was, with 0 where not
    ///
    /// With --orphans, show what the cloud holds of ours and no state knows, and with --adopt, take it into the state: after a
    /// state was lost, or restored from an older copy
    Drift(DriftArgs),
    /// Show where images come from, in which versions they are there, and who uses them
    Images(ImagesArgs),
    /// Show what the state remembers, a saved plan, or one run of the history
    Show {
        /// A plan file, as `plan --out` writes it; or a run, by its number: `12` or `run-12`
        #[arg(value_name = "WHAT")]
        what: Option<String>,
    },
    /// List what was run, newest first
    #[command(args_conflicts_with_subcommands = true)]
    History {
        #[command(flatten)]
        list: HistoryArgs,
        #[command(subcommand)]
        command: Option<HistoryCommand>,
    },
    /// Work with rollouts: changes of fleets that are made batch by batch
    Rollout {
        #[command(subcommand)]
        command: RolloutCommand,
    },
    /// Work with the state
    State {
        #[command(subcommand)]
        command: StateCommand,
    },
    /// Print which block of the config needs which, to be drawn
    Graph {
        /// The language of the program that draws it
        #[arg(long, value_name = "FORMAT", default_value = "dot")]
        format: GraphFormat,
    },
    /// Print the completions of a shell
    Completions {
        /// The shell that reads them
        #[arg(value_name = "SHELL")]
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write all of them
    Man {
        /// Write the pages of all commands into this directory
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
    /// Explain a diagnostic code, or list them all
    Explain {
        /// As it stands in a message, such as `unknown-key`
        #[arg(value_name = "CODE")]
        code: Option<String>,
    },
    /// Break the lock of the state: whoever holds it can write no more
    ForceUnlock(UnlockArgs),
    /// Work with the embedded cloud
    Cloud {
        #[command(subcommand)]
        command: CloudCommand,
    },
}

#[derive(Subcommand, Debug)]
pub(super) enum RolloutCommand {
    /// Show how far rollouts are: from what to what, how many slots are there, why one does not go on, what to type next
    Status {
        /// Only that of this fleet: `web`, or `fleet.web`
        #[arg(value_name = "FLEET")]
        fleet: Option<String>,
    },
    /// Have a rollout wait; where another process is carrying it out, that one lets it wait at its next gate
    Pause {
        /// The fleet: `web`, or `fleet.web`
        #[arg(value_name = "FLEET")]
        fleet: String,
    },
    /// Go on with a rollout to its next pause: plan, ask, and carry it out
    ///
    /// After a failure, what failed before no longer counts
    Resume(RolloutArgs),
    /// Go on with a rollout to its end, without another pause: plan, ask, and carry it out
    Promote(RolloutArgs),
    /// End a rollout where it is: what changed stays, and what did not stays as well
    Abort {
        /// The fleet: `web`, or `fleet.web`
        #[arg(value_name = "FLEET")]
        fleet: String,
        #[command(flatten)]
        lock: LockArgs,
    },
    /// Take a rollout back to what ran before: plan, ask, and carry it out
    ///
    /// The same is not rolled out again, until the config asks for something else, or --retry says so
    Rollback(RolloutArgs),
}

impl RolloutCommand {
    /// What it applies with; `None` of those that apply nothing.
    fn apply(&self) -> Option<&ApplyArgs> {
        match self {
            Self::Resume(args) | Self::Promote(args) | Self::Rollback(args) => Some(&args.apply),
            Self::Status { .. } | Self::Pause { .. } | Self::Abort { .. } => None,
        }
    }
}

#[derive(clap::Args, Debug)]
pub(super) struct RolloutArgs {
    /// The fleet: `web`, or `fleet.web`
    #[arg(value_name = "FLEET")]
    pub(super) fleet: String,
    /// Only say so: the next apply does the rest
    #[arg(
        long,
        conflicts_with_all = ["auto_approve", "cancel_undeclared_shares", "refresh", "parallelism", "profile", "trace"]
    )]
    pub(super) no_apply: bool,
    #[command(flatten)]
    pub(super) apply: ApplyArgs,
}

#[derive(Subcommand, Debug)]
pub(super) enum StateCommand {
    /// List the addresses of everything in the state; with -v, their ids
    List {
        /// Only what is at this address or below it, such as `fleet.web`
        #[arg(value_name = "ADDR")]
        addr: Option<String>,
    },
    /// Show all that the state knows of a thing, or of all things at an address
    Show {
        /// Such as `fleet.web[3]`, or `fleet.web` for all of its slots
        #[arg(value_name = "ADDR")]
        addr: String,
    },
    /// Forget things without touching them: they go on existing, and cost what they cost
    Rm(StateRmArgs),
}

/// What is done where somebody else holds the lock.
#[derive(clap::Args, Clone, Copy, Debug, Default)]
pub(super) struct LockArgs {
    /// Wait up to this long for a lock that somebody else holds, such as `30s` or `10m`
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = super::history::time)]
    pub(super) lock_timeout: crate::model::Millis,
}

/// How the cloud is spoken to.
#[derive(clap::Args, Clone, Debug, Default)]
pub(super) struct ReachArgs {
    /// Sign with the keys of this profile of tccli, in place of the config's and of the environment's
    #[arg(long, value_name = "NAME")]
    pub(super) profile: Option<String>,
    /// Append a line of JSON for each request to this file: action, region, time taken, attempt, what came of it
    #[arg(long, value_name = "FILE")]
    pub(super) trace: Option<PathBuf>,
    /// With --trace: requests and answers, too, without what is secret in them
    #[arg(long, requires = "trace")]
    pub(super) trace_bodies: bool,
}

#[derive(clap::Args, Debug)]
pub(super) struct StateRmArgs {
    /// What to forget: `fleet.web[3]`, or `fleet.web` for all of its slots
    #[arg(value_name = "ADDR", required = true)]
    pub(super) addresses: Vec<String>,
    #[command(flatten)]
    pub(super) lock: LockArgs,
    /// Do not ask
    #[arg(long)]
    pub(super) auto_approve: bool,
}

#[derive(clap::Args, Debug)]
pub(super) struct InitArgs {
    /// Where; made where it is not there
    #[arg(value_name = "DIR")]
    pub(super) dir: Option<PathBuf>,
    /// What the project is called; silent: like the directory
    #[arg(long, value_name = "NAME")]
    pub(super) project: Option<String>,
}

/// What graphs are written in.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GraphFormat {
    /// For Graphviz: `fleetwright graph | dot -Tsvg`
    Dot,
    /// For Mermaid, which forges and editors draw in Markdown
    Mermaid,
}

#[derive(clap::Args, Debug)]
pub(super) struct HistoryArgs {
    /// How many runs are listed at most
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) limit: u32,
}

#[derive(Subcommand, Debug)]
pub(super) enum HistoryCommand {
    /// Delete old runs with their plans and operations; what recovery may need stays
    Prune(PruneArgs),
}

#[derive(clap::Args, Debug)]
pub(super) struct PruneArgs {
    /// Keep the newest N runs
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..),
        required_unless_present = "older_than",
        conflicts_with = "older_than"
    )]
    pub(super) keep: Option<u32>,
    /// Delete what ended longer ago than this, such as `30d`
    #[arg(long, value_name = "AGE", value_parser = super::history::age)]
    pub(super) older_than: Option<crate::model::Millis>,
    #[command(flatten)]
    pub(super) lock: LockArgs,
    /// Do not ask
    #[arg(long)]
    pub(super) auto_approve: bool,
}

#[derive(clap::Args, Debug)]
pub(super) struct UnlockArgs {
    /// Only if this is who holds it: a person, a host, `person@host`, a process or a fence
    #[arg(value_name = "HOLDER-OR-FENCE")]
    pub(super) holder: Option<String>,
    /// Do not ask
    #[arg(long)]
    pub(super) auto_approve: bool,
}

#[derive(Subcommand, Debug)]
pub(super) enum CloudCommand {
    /// Show what the embedded cloud holds
    Inspect(InspectArgs),
    /// Delete the embedded cloud's data
    Reset {
        /// Do not ask
        #[arg(long)]
        auto_approve: bool,
    },
    /// Serve an embedded cloud over HTTP to other programs: SDKs, tccli, terraform; until Ctrl-C or SIGTERM
    ///
    /// Once it listens, it prints its address as one line: `listening on http://127.0.0.1:PORT`
    Serve(ServeArgs),
    /// Print an account's keys as shell exports, for other tools
    Credentials {
        /// A main account
        #[arg(long, value_name = "N", default_value = "100000000001")]
        account: String,
        /// The file that the cloud is served from; it has to be an embedded cloud's
        #[arg(long, value_name = "FILE")]
        data: Option<PathBuf>,
    },
}

#[derive(clap::Args, Debug)]
pub(super) struct ServeArgs {
    /// Where to listen; port 0 lets the system choose one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub(super) listen: std::net::SocketAddr,
    /// Listen beyond this machine: its keys are known to everybody
    #[arg(long)]
    pub(super) allow_remote: bool,
    /// Keep the cloud in this file, which is made where it is not there; silent: in memory
    #[arg(long, value_name = "FILE")]
    pub(super) data: Option<PathBuf>,
    /// How long operations take
    #[arg(long, value_name = "PROFILE", default_value = "quick")]
    pub(super) profile: Profile,
    /// Enforce the limits in this file, which has the keys of `cloud.limits`
    #[arg(long, value_name = "FILE")]
    pub(super) limits: Option<PathBuf>,
    /// Refuse more requests a second than the cloud's default rates, by action, region and account
    #[arg(long)]
    pub(super) rate_limits: bool,
    /// By how many seconds the time of a signature may be off; less than five minutes is for tests that cannot wait for so
    /// long
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u16).range(1..=300))]
    pub(super) signature_window: u16,
    /// Let things go wrong, drawn from a seed, at a rate such as 20% (10%): lost requests and answers, throttling, internal
    /// errors, late failures, late listings
    #[arg(long, value_name = "SEED[:RATE]", value_parser = super::serve::faults)]
    pub(super) faults: Option<crate::cloud::embedded::Faults>,
    /// Append a line of JSON for each request to this file: who asked for what, where, when, and what came of it
    #[arg(long, value_name = "FILE")]
    pub(super) log: Option<PathBuf>,
}

/// How long operations of a served cloud take.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Profile {
    /// No time at all
    Instant,
    /// A second or two
    Quick,
    /// As long as the real cloud: minutes for an image
    Realistic,
}

#[derive(clap::Args, Debug)]
pub(super) struct InspectArgs {
    /// Only this account
    #[arg(long, value_name = "N")]
    pub(super) account: Option<String>,
    /// Only this region
    #[arg(long, value_name = "REGION")]
    pub(super) region: Option<String>,
}

/// How many calls are made at once, where nobody says anything else.
const MOST_CALLS: u16 = 16;

#[derive(clap::Args, Debug)]
pub(super) struct Planning {
    /// Let an image go although accounts that are not in the config use it: cancel their shares
    #[arg(long)]
    pub(super) cancel_undeclared_shares: bool,
    /// Look at our own instances, images and shares; with `false` they are taken to be as the state remembers them
    #[arg(long, value_name = "true|false", default_value_t = true, action = ArgAction::Set, hide_possible_values = true)]
    pub(super) refresh: bool,
    /// How many calls are made at once
    #[arg(long, value_name = "N", default_value_t = MOST_CALLS, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(super) parallelism: u16,
    #[command(flatten)]
    pub(super) reach: ReachArgs,
}

#[derive(clap::Args, Debug)]
pub(super) struct PlanArgs {
    #[command(flatten)]
    pub(super) planning: Planning,
    /// Save the plan in this file; `fleetwright apply FILE` carries it out as it is
    #[arg(long, value_name = "FILE")]
    pub(super) out: Option<PathBuf>,
    #[command(flatten)]
    pub(super) kind: KindArgs,
    /// Ask the cloud about the plan what can be asked without changing anything: quotas, stock, dry runs; exits with 6 where
    /// it would refuse something
    #[arg(long, conflicts_with = "refresh_only")]
    pub(super) preflight: bool,
    /// Exit with 2 where there is something to do, with 0 where there is not
    #[arg(long)]
    pub(super) detailed_exitcode: bool,
}

/// What a plan is about.
#[derive(clap::Args, Clone, Debug, Default)]
pub(super) struct ScopeArgs {
    /// Plan only for this, and for what it needs: a block, a slot, or a version or copy of an image; may be given several
    /// times
    #[arg(long, value_name = "ADDR", conflicts_with = "exclude")]
    pub(super) target: Vec<String>,
    /// Plan for all but this, and what needs it; may be given several times
    #[arg(long, value_name = "ADDR")]
    pub(super) exclude: Vec<String>,
}

/// What kind of plan it is.
#[derive(clap::Args, Debug, Default)]
pub(super) struct KindArgs {
    #[command(flatten)]
    pub(super) scope: ScopeArgs,
    /// Plan to destroy everything
    #[arg(long)]
    pub(super) destroy: bool,
    /// Change the state only: it learns what was changed outside, and the next plan compares the config with that
    #[arg(long, conflicts_with_all = ["destroy", "refresh", "cancel_undeclared_shares"])]
    pub(super) refresh_only: bool,
    /// Make this anew: a slot, a fleet, or an image with all that follows; may be given several times
    #[arg(long, value_name = "ADDR", conflicts_with_all = ["destroy", "refresh_only"])]
    pub(super) replace: Vec<String>,
    /// Move pins on: of public images to the newest match, of promoted ones to what is current where they come from; of
    /// all, or with `=ADDR` of one image block
    #[arg(
        long,
        value_name = "ADDR",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "",
        conflicts_with_all = ["destroy", "refresh_only", "refresh"]
    )]
    pub(super) upgrade: Vec<String>,
    /// Roll out again what was stopped, aborted or taken back: over all fleets, or with `=ADDR` over one
    #[arg(
        long,
        value_name = "ADDR",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "",
        conflicts_with_all = ["destroy", "refresh_only"]
    )]
    pub(super) retry: Vec<String>,
}

#[derive(clap::Args, Debug)]
pub(super) struct ImagesArgs {
    /// Look at the images in the cloud, for their sizes and for what was deleted there; with `false` only config and state
    /// are read
    #[arg(long, value_name = "true|false", default_value_t = true, action = ArgAction::Set, hide_possible_values = true)]
    pub(super) refresh: bool,
    #[command(flatten)]
    pub(super) reach: ReachArgs,
}

#[derive(clap::Args, Debug)]
pub(super) struct RefreshArgs {
    #[command(flatten)]
    pub(super) scope: ScopeArgs,
    #[command(flatten)]
    pub(super) lock: LockArgs,
    #[command(flatten)]
    pub(super) reach: ReachArgs,
    /// Do not ask
    #[arg(long)]
    pub(super) auto_approve: bool,
}

#[derive(clap::Args, Debug)]
pub(super) struct DriftArgs {
    /// Show what carries our tag, or has a name such as ours, and is in no state
    #[arg(long)]
    pub(super) orphans: bool,
    /// Take in what carries our tag and fits one free place; with `=ID` one that is named, with `=ADDR=ID` at this address;
    /// may be given several times
    #[arg(
        long,
        value_name = "[ADDR=]ID",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "",
        requires = "orphans"
    )]
    pub(super) adopt: Vec<String>,
    #[command(flatten)]
    pub(super) lock: LockArgs,
    #[command(flatten)]
    pub(super) reach: ReachArgs,
    /// Do not ask
    #[arg(long, requires = "adopt")]
    pub(super) auto_approve: bool,
}

#[derive(clap::Args, Debug)]
pub(super) struct ApplyArgs {
    #[command(flatten)]
    pub(super) planning: Planning,
    #[command(flatten)]
    pub(super) lock: LockArgs,
    /// Do not ask
    #[arg(long)]
    pub(super) auto_approve: bool,
}

#[derive(clap::Args, Debug)]
pub(super) struct DestroyArgs {
    #[command(flatten)]
    pub(super) apply: ApplyArgs,
    #[command(flatten)]
    pub(super) scope: ScopeArgs,
}

#[derive(clap::Args, Debug)]
pub(super) struct ApplyFileArgs {
    /// A plan that `plan --out` saved: it is carried out as it is, without a question, for it was reviewed before
    #[arg(value_name = "FILE", conflicts_with_all = PLANNING_ONLY)]
    pub(super) file: Option<PathBuf>,
    #[command(flatten)]
    pub(super) apply: ApplyArgs,
    #[command(flatten)]
    pub(super) kind: KindArgs,
}

/// Options by which a plan becomes another one: a saved plan is made already.
const PLANNING_ONLY: [&str; 9] = [
    "cancel_undeclared_shares",
    "refresh",
    "destroy",
    "refresh_only",
    "replace",
    "upgrade",
    "retry",
    "target",
    "exclude",
];

impl Args {
    pub(super) fn parallelism(&self) -> usize {
        match &self.command {
            Command::Plan(args) => args.planning.parallelism.into(),
            Command::Apply(ApplyFileArgs { apply: args, .. }) | Command::Destroy(DestroyArgs { apply: args, .. }) => {
                args.planning.parallelism.into()
            }
            Command::Refresh(_) | Command::Drift(_) | Command::Images(_) => MOST_CALLS.into(),
            Command::Rollout { command } => command.apply().map_or(1, |args| args.planning.parallelism.into()),
            Command::Doctor(_)
            | Command::Validate
            | Command::Show { .. }
            | Command::History { .. }
            | Command::State { .. }
            | Command::Init(_)
            | Command::Graph { .. }
            | Command::Completions { .. }
            | Command::Man { .. }
            | Command::Explain { .. }
            | Command::ForceUnlock(_)
            | Command::Cloud { .. } => 1,
        }
    }

    /// How the cloud is spoken to; `None` of those that do not speak to it.
    pub(super) fn reach(&self) -> Option<&ReachArgs> {
        match &self.command {
            Command::Plan(args) => Some(&args.planning.reach),
            Command::Apply(ApplyFileArgs { apply: args, .. }) | Command::Destroy(DestroyArgs { apply: args, .. }) => {
                Some(&args.planning.reach)
            }
            Command::Refresh(args) => Some(&args.reach),
            Command::Drift(args) => Some(&args.reach),
            Command::Images(args) => Some(&args.reach),
            Command::Doctor(args) => Some(args),
            Command::Rollout { command } => command.apply().map(|args| &args.planning.reach),
            Command::Validate
            | Command::Show { .. }
            | Command::History { .. }
            | Command::State { .. }
            | Command::Init(_)
            | Command::Graph { .. }
            | Command::Completions { .. }
            | Command::Man { .. }
            | Command::Explain { .. }
            | Command::ForceUnlock(_)
            | Command::Cloud { .. } => None,
        }
    }

    /// The profile whose keys are to sign.
    pub(super) fn profile(&self) -> Option<String> {
        self.reach().and_then(|reach| reach.profile.clone())
    }

    /// How long a lock is waited for; those that take none do not wait.
    pub(super) fn lock_timeout_ms(&self) -> crate::model::Millis {
        let lock = match &self.command {
            Command::Apply(ApplyFileArgs { apply: args, .. }) | Command::Destroy(DestroyArgs { apply: args, .. }) => {
                args.lock
            }
            Command::Refresh(args) => args.lock,
            Command::History { command: Some(HistoryCommand::Prune(args)), .. } => args.lock,
            Command::State { command: StateCommand::Rm(args) } => args.lock,
            Command::Drift(args) => args.lock,
            Command::Rollout { command: RolloutCommand::Abort { fleet: _, lock } } => *lock,
            Command::Rollout { command } => command.apply().map_or_else(LockArgs::default, |args| args.lock),
            Command::Doctor(_)
            | Command::Plan(_)
            | Command::Images(_)
            | Command::Validate
            | Command::Show { .. }
            | Command::History { .. }
            | Command::State { .. }
            | Command::Init(_)
            | Command::Graph { .. }
            | Command::Completions { .. }
            | Command::Man { .. }
            | Command::Explain { .. }
            | Command::ForceUnlock(_)
            | Command::Cloud { .. } => LockArgs::default(),
        };
        lock.lock_timeout
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn no_option_that_changes_a_plan_goes_with_a_saved_one() {
        let command = Args::command();
        let apply = command.find_subcommand("apply").expect("apply");
        let options = apply.get_arguments().map(|arg| arg.get_id().as_str());
        // These say how a plan is carried out, whichever it is.
        let harmless = ["file", "parallelism", "auto_approve", "lock_timeout", "profile", "trace", "trace_bodies"];
        let planning: Vec<&str> = options.filter(|id| !harmless.contains(id) && *id != "help").collect();
        for id in &planning {
            assert!(PLANNING_ONLY.contains(id), "{id} does not conflict with FILE");
        }
        assert_eq!(planning.len(), PLANNING_ONLY.len());
    }

    #[test]
    fn the_readme_names_each_option_of_a_plan() {
        let readme = include_str!("../../README.md");
        let command = Args::command();
        let plan = command.find_subcommand("plan").expect("plan");
        let options: Vec<&str> = plan.get_arguments().filter_map(|arg| arg.get_long()).collect();
        assert!(options.contains(&"replace") && options.contains(&"upgrade"));
        let missing: Vec<&&str> = options.iter().filter(|option| !readme.contains(&format!("--{option}"))).collect();
        assert!(missing.is_empty(), "README.md lacks {missing:?}");
    }
}
