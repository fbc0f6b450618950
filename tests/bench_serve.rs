//! The bench that measures the served cloud starts, measures and says so, with a few instances.
#![cfg(target_os = "linux")]

#[path = "../benches/serve/args.rs"]
mod args;
#[path = "../benches/serve/client.rs"]
mod client;
#[path = "../benches/serve/figures.rs"]
mod figures;
#[path = "../benches/serve/run.rs"]
mod run;
#[path = "../benches/serve/served.rs"]
mod served;

use std::time::Duration;

use args::{Args, Keep};
use figures::{Sample, memory, ms, per_second};

fn parsed(line: &str) -> Result<Args, String> {
    Args::parse(line.split_whitespace().map(str::to_owned))
}

#[test]
fn arguments() {
    let silent = parsed("--bench").expect("arguments");
    assert_eq!((silent.instances, silent.clients.as_slice()), (100_000, [1, 8, 64].as_slice()));
    let given = parsed("2_000 --clients 3 --ms=20 --keep file --dir /d --bench");
    let expected = Args {
        instances: 2_000,
        clients: vec![3],
        each: Duration::from_millis(20),
        keep: vec![Keep::File],
        dir: Some("/d".into()),
        help: false,
    };
    assert_eq!(given, Ok(expected));
    let faults = ["0", "1000001", "--clients 1,x", "--ms", "--keep disk", "--size 1"].map(parsed);
    let expected = [
        "`INSTANCES` is a whole number from 1 to 1000000, and `0` is none",
        "`INSTANCES` is a whole number from 1 to 1000000, and `1000001` is none",
        "`--clients` is a whole number from 1 to 1000, and `x` is none",
        "`--ms` takes a value",
        "a cloud is kept in `memory` or in a `file`, not in `disk`",
        "there is no option `--size`",
    ];
    assert_eq!(faults.map(|fault| fault.expect_err("a fault")), expected);
}

#[test]
fn figures_of_a_sample() {
    let sample = Sample::new((1..=200).rev().map(|n| n * 1_000).collect(), Duration::from_secs(4));
    assert_eq!((sample.percentile(50), sample.percentile(99)), (Some(100_000), Some(198_000)));
    let line = sample.line("DescribeInstances of 100", 8);
    assert_eq!(line, "  DescribeInstances of 100         8         50.0    100.00 ms    198.00 ms\n");
    assert_eq!((figures::heading().len(), line.len()), (76, 76));
    assert_eq!(Sample::new(Vec::new(), Duration::ZERO).percentile(50), None);
    assert_eq!(Sample::new(vec![7], Duration::ZERO).percentile(1), Some(7));
    assert_eq!([per_second(9_999, Duration::from_secs(100)), per_second(812, Duration::from_secs(1))], ["100", "812"]);
    assert_eq!([0, 4, 1_199, 12_345].map(ms), ["0.00 ms", "0.00 ms", "1.20 ms", "12.35 ms"]);
    assert_eq!(served::memory_in("VmHWM:\t 2000 kB\nVmRSS:\t 1000 kB\n"), Some((1_000, 2_000)));
    assert_eq!(memory(Some((1_000, 2_000))), "2 MB resident, 3 MB at most");
}

#[test]
fn it_measures_both_and_leaves_nothing_behind() {
    let scratch = tempfile::tempdir().expect("a directory");
    let site = run::Site {
        fleetwright: env!("CARGO_BIN_EXE_fleetwright").into(),
        cores: 2,
        scratch: scratch.path().to_owned(),
    };
    let (mut out, mut talk) = (Vec::new(), Vec::new());
    let given = "600 --clients 1,2 --ms 1 --bench".split_whitespace().map(str::to_owned);
    let code = run::run(given, &site, &mut out, &mut talk).expect("written");
    let out = String::from_utf8(out).expect("text");
    assert_eq!(code, 0, "{out}");
    for place in ["in memory", "in a file"] {
        assert!(out.contains(&format!("\n600 instances {place}: ")), "{out}");
    }
    for action in ["DescribeInstances", "RunInstances"] {
        assert_eq!(out.matches(&format!("\n  {action} of 100  ")).count(), 4, "{out}");
    }
    assert!(out.lines().all(|line| line.chars().count() <= 80), "{out}");
    assert_eq!(std::fs::read_dir(scratch.path()).expect("there").count(), 0, "something is left behind");
}
