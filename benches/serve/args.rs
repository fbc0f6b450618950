//! What the command line asks for.

use std::path::PathBuf;
use std::time::Duration;

pub(crate) const HELP: &str = "\
cargo bench --bench serve -- [INSTANCES] [OPTIONS]

Serves a cloud with so many instances, in memory and from a file, and asks it
with several clients at once.

  INSTANCES              how many there are to be (100000)
  --clients LIST         how many clients ask at once (1,8,64)
  --ms N                 how long each measurement takes, in ms (5000)
  --keep LIST            of memory, file: where the cloud is kept (both)
  --dir DIR              where the file is put while it runs (below target/, so
                         that it is on a disk)
  --help                 write this
";

const MOST_INSTANCES: usize = 1_000_000;
/// More than this waits until it is accepted.
const MOST_CLIENTS: usize = 1_000;

/// Where the cloud is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Keep {
    Memory,
    File,
}

/// What is to be measured.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Args {
    pub(crate) instances: usize,
    pub(crate) clients: Vec<usize>,
    pub(crate) each: Duration,
    pub(crate) keep: Vec<Keep>,
    pub(crate) dir: Option<PathBuf>,
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
            instances: 100_000,
            clients: vec![1, 8, 64],
            each: Duration::from_millis(5_000),
            keep: vec![Keep::Memory, Keep::File],
            dir: None,
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
                "--help" | "-h" => args.help = true,
                "--ms" => {
                    let ms = number(&name, &value()?, usize::MAX)?;
                    args.each = Duration::from_millis(u64::try_from(ms).unwrap_or(u64::MAX));
                }
                "--dir" => args.dir = Some(value()?.into()),
                "--clients" => {
                    let list = value()?;
                    args.clients = list.split(',').map(|n| number(&name, n, MOST_CLIENTS)).collect::<Result<_, _>>()?;
                }
                "--keep" => args.keep = value()?.split(',').map(keep).collect::<Result<_, _>>()?,
                size if size.starts_with('-') => return Err(format!("there is no option `{size}`")),
                size => args.instances = number("INSTANCES", size, MOST_INSTANCES)?,
            }
        }
        Ok(args)
    }
}

fn number(name: &str, text: &str, most: usize) -> Result<usize, String> {
    let read = text.replace('_', "").parse().ok().filter(|n| (1..=most).contains(n));
    read.ok_or_else(|| format!("`{name}` is a whole number from 1 to {most}, and `{text}` is none"))
}

fn keep(word: &str) -> Result<Keep, String> {
    match word {
        "memory" => Ok(Keep::Memory),
        "file" => Ok(Keep::File),
        _ => Err(format!("a cloud is kept in `memory` or in a `file`, not in `{word}`")),
    }
}
