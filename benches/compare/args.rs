//! What the command line asks for.

use std::path::PathBuf;
use std::time::Duration;

use crate::tools::Phase;

pub(crate) const HELP: &str = "\
cargo bench --bench compare -- [SIZE…] [OPTIONS]

Measures fleetwright and, where it is on the PATH, terraform, with so many objects.

  SIZE…                  how many objects (1000 2500 5000 10000 100000 1000000)
  --terraform-up-to N    above this many objects fleetwright runs alone (5000)
  --runs N               how often each size is measured (5 for small sizes, 1
                         for large ones)
  --phases LIST          of apply, plan, state-plan, tags, destroy (all);
                         apply is always among them
  --limit SECONDS        the longest that one command may take (1800)
  --dir DIR              where configs and states are put while it runs
                         (below target/, so that they are on a disk)
  --json                 write JSON
  --help                 write this
";

const SIZES: [u64; 6] = [1_000, 2_500, 5_000, 10_000, 100_000, 1_000_000];
const MOST_OBJECTS: u64 = 2_000_000;

/// What is to be measured.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Args {
    pub(crate) sizes: Vec<u64>,
    pub(crate) terraform_up_to: u64,
    pub(crate) runs: Option<u32>,
    pub(crate) phases: Vec<Phase>,
    pub(crate) limit: Duration,
    pub(crate) dir: Option<PathBuf>,
    pub(crate) json: bool,
    pub(crate) help: bool,
}

impl Args {
    /// Reads the arguments that come after the program's name.
    ///
    /// # Errors
    ///
    /// The first thing that cannot be understood, in words.
    pub(crate) fn parse(given: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut args = Self {
            sizes: Vec::new(),
            terraform_up_to: 5_000,
            runs: None,
            phases: Phase::ALL.to_vec(),
            limit: Duration::from_secs(1_800),
            dir: None,
            json: false,
            help: false,
        };
        let mut given = given.into_iter();
        while let Some(arg) = given.next() {
            let (name, attached) = match arg.split_once('=') {
                Some((name, value)) if name.starts_with("--") => (name.to_owned(), Some(value.to_owned())),
                _ => (arg.clone(), None),
            };
            let mut value = || attached.clone().or_else(|| given.next()).ok_or(format!("`{name}` takes a value"));
            match name.as_str() {
                // Cargo says with it that this is a bench.
                "--bench" => {}
                "--json" => args.json = true,
                "--help" | "-h" => args.help = true,
                "--terraform-up-to" => args.terraform_up_to = number(&name, &value()?, 0)?,
                "--runs" => args.runs = Some(number(&name, &value()?, 1)?),
                "--limit" => args.limit = Duration::from_secs(number(&name, &value()?, 1)?),
                "--dir" => args.dir = Some(value()?.into()),
                "--phases" => args.phases = phases(&value()?)?,
                size if size.starts_with('-') => return Err(format!("there is no option `{size}`")),
                size => {
                    let objects = number("SIZE", size, 1)?;
                    if objects > MOST_OBJECTS {
                        return Err(format!("a size is at most {MOST_OBJECTS}, and `{size}` is more"));
                    }
                    args.sizes.push(objects);
                }
            }
        }
        if args.sizes.is_empty() {
            args.sizes = SIZES.to_vec();
        }
        Ok(args)
    }

    /// How often a size is measured: the less it takes, the more often.
    pub(crate) fn runs(&self, objects: u64, beside_terraform: bool) -> u32 {
        self.runs.unwrap_or(match objects {
            0..=1_000 => 5,
            1_001..=2_500 => 3,
            2_501..=5_000 if beside_terraform => 1,
            2_501..=10_000 => 5,
            10_001..=100_000 => 3,
            _ => 1,
        })
    }
}

fn number<N: std::str::FromStr + PartialOrd + std::fmt::Display>(
    name: &str,
    text: &str,
    least: N,
) -> Result<N, String> {
    let read = text.replace(['_', ','], "").parse::<N>().ok().filter(|n| *n >= least);
    read.ok_or_else(|| format!("`{name}` is a whole number from {least} on, and `{text}` is none"))
}

fn phases(list: &str) -> Result<Vec<Phase>, String> {
    let mut named = vec![Phase::Apply];
    for word in list.split(',') {
        let phase = Phase::ALL.into_iter().find(|phase| phase.word() == word);
        named.push(phase.ok_or_else(|| format!("there is no phase `{word}`"))?);
    }
    Ok(Phase::ALL.into_iter().filter(|phase| named.contains(phase)).collect())
}
