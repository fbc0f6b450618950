//! The measurements in their order, and what is said about them.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::args::{Args, HELP};
use crate::figures::{Row, Size, duration, thousands};
use crate::measure::{Ended, Sample, measure};
use crate::tools::{Phase, Tool, Tools, output_of};

/// What is measured against what, so that nobody takes the figures for more than they are.
const COMPARED: &str = "\
Each size: the same number of objects, made, planned, changed and destroyed by
each tool, one command after the other on this machine, tools taking turns.

fleetwright        a fleet in two zones on the embedded cloud without latency.
                   The cloud is in the same process: its signed requests, its
                   checks and its database are in these figures.
terraform          `terraform_data` of the built-in provider, one resource with
                   `count`, local state. It calls no cloud at all: this is its
                   engine alone, so it is asked to do less.
terraform, tuned   the same with -parallelism=CORES and GOGC=400, and apply and
                   destroy with -refresh=false. Nothing else was found to help.

With a real cloud, both wait for it, and that takes most of the time: these are
the costs that a tool adds. Output goes to a file; configs and states are on one
disk. CPU: user and system time. Memory: the most that was resident at once;
MB are 1,000,000 bytes. Ratios are of medians: above 1, fleetwright takes less.
";

/// What a run is given of the world.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) fleetwright: PathBuf,
    /// The variable PATH.
    pub(crate) path: OsString,
    pub(crate) cores: usize,
    /// Where to put configs and states, where the arguments do not say.
    pub(crate) scratch: PathBuf,
    /// Seconds since 1970.
    pub(crate) now_s: i64,
}

/// Measures what the arguments ask for. Figures go to `out`, and what is under way to `talk`. Answers the exit code: 1
/// where a command failed, 64 where the arguments are wrong.
///
/// # Errors
///
/// Something cannot be written.
pub(crate) fn run(
    given: impl IntoIterator<Item = String>,
    site: Site,
    out: &mut dyn Write,
    talk: &mut dyn Write,
) -> io::Result<u8> {
    let args = match Args::parse(given) {
        Ok(args) => args,
        Err(fault) => {
            writeln!(talk, "error: {fault}\n\n{HELP}")?;
            return Ok(64);
        }
    };
    if args.help {
        write!(out, "{HELP}")?;
        return Ok(0);
    }
    let scratch = args.dir.clone().unwrap_or(site.scratch);
    fs::create_dir_all(&scratch)?;
    let tools = Tools::new(site.fleetwright, site.path, site.cores);
    let about = About::look(&tools, &scratch, site.now_s)?;
    if !args.json {
        write!(out, "{}", about.text(&args))?;
    }
    let mut bench = Bench { args: &args, tools: &tools, scratch: &scratch, failed: false };
    let mut sizes = Vec::new();
    for &objects in &args.sizes {
        let size = bench.size(objects, talk)?;
        if !args.json {
            write!(out, "\n{}", size.table())?;
            out.flush()?;
        }
        sizes.push(size.json());
    }
    if args.json {
        serde_json::to_writer_pretty(&mut *out, &about.json(&args, sizes))?;
        writeln!(out)?;
    }
    Ok(u8::from(bench.failed))
}

/// When, where and with what it was measured.
struct About {
    date: String,
    cores: usize,
    fleetwright: Option<String>,
    terraform: Option<String>,
}

impl About {
    fn look(tools: &Tools, scratch: &Path, now_s: i64) -> io::Result<Self> {
        let dir = tempfile::Builder::new().prefix("compare-").tempdir_in(scratch)?;
        tools.configure(Tool::Terraform, dir.path(), 1, 1)?;
        let date = jiff::Timestamp::from_second(now_s).map_or_else(|_| "?".to_owned(), |now| now.to_string());
        let cores = tools.cores;
        let fleetwright = tools.version(Tool::Fleetwright, dir.path())?;
        let terraform = tools.version(Tool::Terraform, dir.path())?;
        Ok(Self { date, cores, fleetwright, terraform })
    }

    fn text(&self, args: &Args) -> String {
        let Self { date, cores, fleetwright, terraform } = self;
        let fleetwright = fleetwright.as_deref().unwrap_or("fleetwright, which does not say its version");
        let (terraform, above) = match terraform {
            Some(version) => (
                version.as_str(),
                format!("\nAbove {} objects fleetwright runs alone.", thousands(args.terraform_up_to)),
            ),
            None => ("terraform is not on the PATH: fleetwright runs alone", String::new()),
        };
        let cores = if *cores == 1 { "1 core".to_owned() } else { format!("{cores} cores") };
        format!("{date}, {cores}\n{fleetwright}\n{terraform}{above}\n\n{COMPARED}")
    }

    fn json(&self, args: &Args, sizes: Vec<Value>) -> Value {
        let Self { date, cores, fleetwright, terraform } = self;
        json!({
            "format": "fleetwright-compare/1",
            "date": date,
            "cores": cores,
            "os": std::env::consts::OS,
            "arch": std::env::consts::ARCH,
            "fleetwright": fleetwright,
            "terraform": terraform,
            "limit_s": args.limit.as_secs(),
            "compared": COMPARED,
            "sizes": sizes,
        })
    }
}

struct Bench<'a> {
    args: &'a Args,
    tools: &'a Tools,
    scratch: &'a Path,
    failed: bool,
}

impl Bench<'_> {
    /// All runs of one size. Every other run takes the tools the other way round, so that none is always the first.
    fn size(&mut self, objects: u64, talk: &mut dyn Write) -> io::Result<Size> {
        let beside = self.tools.terraform.is_some() && objects <= self.args.terraform_up_to;
        let mut tools = vec![Tool::Fleetwright];
        if beside {
            tools.extend([Tool::Terraform, Tool::TerraformTuned]);
        }
        let phases = self.args.phases.iter();
        let mut rows: Vec<Row> = phases
            .flat_map(|&phase| tools.iter().map(move |&tool| (phase, tool)))
            .map(|(phase, tool)| Row { phase, tool, samples: Vec::new(), lacking: None })
            .collect();
        let runs = self.args.runs(objects, beside);
        let mut given_up = Vec::new();
        for run in 1..=runs {
            for &tool in &tools {
                if given_up.contains(&tool) {
                    continue;
                }
                writeln!(talk, "{} objects, run {run} of {runs}, {}:", thousands(objects), tool.name())?;
                if !self.round(tool, objects, &mut rows, talk)? {
                    given_up.push(tool);
                }
            }
            tools.reverse();
        }
        Ok(Size { objects, runs, rows })
    }

    /// All phases of one tool, in a directory of their own. Answers whether all of them were done.
    fn round(&mut self, tool: Tool, objects: u64, rows: &mut [Row], talk: &mut dyn Write) -> io::Result<bool> {
        let dir = tempfile::Builder::new().prefix("compare-").tempdir_in(self.scratch)?;
        let mut lacking = self.tools.prepare(tool, dir.path(), objects).err().map(|fault| fault.to_string());
        self.failed |= lacking.is_some();
        for row in rows.iter_mut().filter(|row| row.tool == tool) {
            if let Some(why) = &lacking {
                row.lacking = Some(why.clone());
                continue;
            }
            match self.phase(tool, row.phase, dir.path(), objects)? {
                Done::Sample(sample) => {
                    writeln!(talk, "  {} {}", row.phase.word(), duration(sample.wall_us))?;
                    row.samples.push(sample);
                }
                Done::OverLimit => {
                    let why = format!("took more than {} s, and was ended", self.args.limit.as_secs());
                    writeln!(talk, "  {} {why}", row.phase.word())?;
                    row.lacking = Some(why);
                    lacking = Some(format!("left out, for its {} took too long", row.phase.word()));
                }
                Done::Failed(why) => {
                    self.failed = true;
                    writeln!(talk, "  {} {why}", row.phase.word())?;
                    row.lacking = Some(why);
                    lacking = Some(format!("left out, for its {} failed", row.phase.word()));
                }
            }
        }
        Ok(lacking.is_none())
    }

    fn phase(&self, tool: Tool, phase: Phase, dir: &Path, objects: u64) -> io::Result<Done> {
        if phase == Phase::Tags {
            self.tools.configure(tool, dir, objects, 2)?;
        }
        let Some(mut command) = self.tools.phase(tool, phase, dir)? else {
            return Ok(Done::Failed("is not there any more".to_owned()));
        };
        let (ended, sample) = measure(&mut command, self.args.limit)?;
        let code = match ended {
            Ended::OverLimit => return Ok(Done::OverLimit),
            Ended::Exit(Some(0)) => None,
            Ended::Exit(Some(code)) => Some(format!("ended with {code}")),
            Ended::Exit(None) => Some("was ended by a signal".to_owned()),
        };
        let output = String::from_utf8_lossy(&fs::read(output_of(dir))?).into_owned();
        let unsaid = || phase.says(objects).filter(|words| !output.contains(words));
        match code.or_else(|| Some(format!("does not say `{}`", unsaid()?.trim()))) {
            None => Ok(Done::Sample(sample)),
            Some(fault) => {
                let last: Vec<&str> = output.lines().rev().filter(|line| !line.trim().is_empty()).take(8).collect();
                let last: Vec<&str> = last.into_iter().rev().collect();
                Ok(Done::Failed(format!("{fault}; its last words:\n{}", last.join("\n"))))
            }
        }
    }
}

enum Done {
    Sample(Sample),
    OverLimit,
    Failed(String),
}
