//! The bench that measures beside terraform starts, measures and says so, with ten objects.

#[path = "../benches/compare/args.rs"]
mod args;
#[path = "../benches/compare/figures.rs"]
mod figures;
#[path = "../benches/compare/measure.rs"]
mod measure;
#[path = "../benches/compare/run.rs"]
mod run;
#[path = "../benches/compare/tools.rs"]
mod tools;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use args::Args;
use figures::{Row, Size, Spread, cpu_time, duration, per_object, ratio, thousands};
use measure::{Ended, Sample, cpu_in, measure, peak_in};
use tools::{Phase, Tool};

fn parsed(line: &str) -> Result<Args, String> {
    Args::parse(line.split_whitespace().map(str::to_owned))
}

#[test]
fn arguments() {
    let silent = parsed("--bench").expect("arguments");
    assert_eq!(silent.sizes, [1_000, 2_500, 5_000, 10_000, 100_000, 1_000_000]);
    let runs = silent.sizes.iter().map(|n| silent.runs(*n, *n <= silent.terraform_up_to));
    assert_eq!(runs.collect::<Vec<_>>(), [5, 3, 1, 5, 3, 1]);
    assert_eq!(silent.runs(5_000, false), 5);
    let given = parsed("10 2_000 --runs 2 --limit=9 --phases tags,plan --terraform-up-to 0 --dir /d --json --bench");
    let expected = Args {
        sizes: vec![10, 2_000],
        terraform_up_to: 0,
        runs: Some(2),
        phases: vec![Phase::Apply, Phase::Plan, Phase::Tags],
        limit: Duration::from_secs(9),
        dir: Some("/d".into()),
        json: true,
        help: false,
    };
    assert_eq!(given, Ok(expected));
    let faults = ["0", "3000000", "--runs 0", "--limit x", "--phases rest", "--size 1", "--runs"].map(parsed);
    let expected = [
        "`SIZE` is a whole number from 1 on, and `0` is none",
        "a size is at most 2000000, and `3000000` is more",
        "`--runs` is a whole number from 1 on, and `0` is none",
        "`--limit` is a whole number from 1 on, and `x` is none",
        "there is no phase `rest`",
        "there is no option `--size`",
        "`--runs` takes a value",
    ];
    assert_eq!(faults.map(|fault| fault.expect_err("a fault")), expected);
}

#[test]
fn middle_and_ends() {
    assert_eq!(Spread::of([]), None);
    assert_eq!(Spread::of([7]), Some(Spread { least: 7, median: 7, most: 7 }));
    assert_eq!(Spread::of([9, 1, 2]), Some(Spread { least: 1, median: 2, most: 9 }));
    assert_eq!(Spread::of([9, 1, 2, 4]), Some(Spread { least: 1, median: 3, most: 9 }));
}

#[test]
fn three_digits_at_least() {
    let durations = [0, 999, 1_000, 9_999, 12_345, 999_499, 999_500, 13_955_000, 275_000_000, 1_275_400_000];
    let expected = ["0 us", "999 us", "1.00 ms", "10.0 ms", "12.3 ms", "999 ms", "1.00 s", "14.0 s", "275 s", "1275 s"];
    assert_eq!(durations.map(duration), expected);
    assert_eq!([ratio(1, 3), ratio(99_949, 1_000), ratio(5, 0)].map(Option::unwrap_or_default), ["0.33", "99.9", ""]);
    assert_eq!([1, 999, 1_000, 1_000_000].map(thousands), ["1", "999", "1,000", "1,000,000"]);
    assert_eq!([per_object(39_500, 10_000), per_object(13_955_000, 1_000)], ["3.95 us", "14.0 ms"]);
    assert_eq!([cpu_time(9), cpu_time(10)], ["< 10 ms", "10.0 ms"]);
}

#[test]
fn a_table_of_both_is_80_columns_wide() {
    let sample = |wall_us, kib| Sample { wall_us, cpu_ms: Some(wall_us / 900), peak_kib: Some(kib) };
    let row = |tool, samples: &[Sample]| Row { phase: Phase::Apply, tool, samples: samples.to_vec(), lacking: None };
    let over = Row { lacking: Some("took more than 1800 s".to_owned()), ..row(Tool::TerraformTuned, &[]) };
    let rows = vec![
        row(Tool::Fleetwright, &[sample(101_000, 30_000), sample(98_200, 31_000), sample(120_400, 30_500)]),
        row(Tool::Terraform, &[sample(13_955_000, 140_000), sample(14_157_000, 141_000), sample(13_584_000, 139_000)]),
        over,
    ];
    let table = Size { objects: 1_000, runs: 3, rows }.table();
    let expected = "\
1,000 objects, 3 runs
                      median        least to most       CPU per object   memory
first apply
  fleetwright         101 ms    98.2 ms to 120 ms    112 ms     101 us    32 MB
  terraform           14.0 s     13.6 s to 14.2 s    15.5 s    14.0 ms   145 MB
  terraform, tuned: took more than 1800 s
  terraform / fleetwright: time 138, memory 4.59
";
    assert_eq!(table, expected);
    assert!(table.lines().all(|line| line.len() <= 80));
}

#[test]
fn what_proc_says() {
    assert_eq!(peak_in("Name:\tx\nVmPeak:\t  900 kB\nVmHWM:\t  512 kB\n"), Some(512));
    assert_eq!(peak_in("Name:\tx\n"), None, "a process that has ended");
    assert_eq!(cpu_in("7 (a) b) S 1 7 7 0 -1 4194304 90 0 0 0 12 3 0 0 20"), Some(150));
    assert_eq!(cpu_in("7"), None);
}

#[test]
fn a_command_ends_or_is_ended() {
    let mut exits = Command::new("sh");
    exits.args(["-c", "exit 3"]);
    let (ended, sample) = measure(&mut exits, Duration::from_secs(60)).expect("sh");
    assert_eq!(ended, Ended::Exit(Some(3)));
    assert!(sample.wall_us > 0);
    let mut waits = Command::new("sleep");
    waits.arg("60");
    let (ended, sample) = measure(&mut waits, Duration::from_millis(20)).expect("sleep");
    assert_eq!(ended, Ended::OverLimit);
    assert!((20_000..30_000_000).contains(&sample.wall_us), "{sample:?}");
}

/// The bench as `cargo bench` runs it: its exit code, its figures, and its talk.
fn bench(line: &str, path: &Path) -> (u8, String, String) {
    let scratch = tempfile::tempdir().expect("a directory");
    let site = run::Site {
        fleetwright: env!("CARGO_BIN_EXE_fleetwright").into(),
        path: path.into(),
        cores: 2,
        scratch: scratch.path().to_owned(),
        now_s: 1_795_000_000,
    };
    let (mut out, mut talk) = (Vec::new(), Vec::new());
    let code = run::run(line.split_whitespace().map(str::to_owned), site, &mut out, &mut talk).expect("written");
    assert_eq!(std::fs::read_dir(scratch.path()).expect("there").count(), 0, "something is left behind");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (code, text(out), text(talk))
}

#[test]
fn without_terraform_it_measures_alone_and_says_so() {
    let nowhere = tempfile::tempdir().expect("a directory");
    let (code, out, talk) = bench("10 --runs 2 --bench", nowhere.path());
    assert_eq!(code, 0, "{out}\n{talk}");
    assert!(out.starts_with("2026-11-18T11:06:40Z, 2 cores\nfleetwright 0."), "{out}");
    assert!(out.contains("\nterraform is not on the PATH: fleetwright runs alone\n"), "{out}");
    assert!(out.contains("\n10 objects, 2 runs\n"), "{out}");
    for phase in Phase::ALL {
        assert!(out.contains(&format!("\n{}\n  fleetwright  ", phase.title())), "{out}");
    }
    assert!(out.lines().all(|line| line.chars().count() <= 80), "{out}");
    assert_eq!(talk.lines().count(), 12, "{talk}");
}

#[cfg(unix)]
#[test]
fn what_goes_wrong_beside_it_is_told_and_does_not_end_it() {
    use std::os::unix::fs::PermissionsExt as _;

    // A terraform that starts, plans, makes nothing, and never ends a destroy.
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("terraform");
    let script = "#!/bin/sh\ncase $1 in\n--version) echo Terraform v0;;\ndestroy) exec /bin/sleep 60;;\n\
                  apply) echo \"Resources: ${MADE:-10} added, 10 changed, 0 destroyed.\";;\nesac\n";
    std::fs::write(&file, script).expect("written");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).expect("permitted");
    let (code, out, talk) = bench("10 --runs 1 --limit 3 --json --bench", dir.path());
    assert_eq!(code, 0, "{out}\n{talk}");
    let said: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(said["terraform"], "Terraform v0");
    let rows = said["sizes"][0]["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), 15, "{out}");
    for row in rows {
        let stuck = row["phase"] == "destroy" && row["tool"] != "fleetwright";
        assert_eq!(row["samples"].as_array().expect("samples").len(), usize::from(!stuck), "{row}");
        assert_eq!(row["lacking"].is_string(), stuck, "{row}");
    }

    std::fs::write(&file, script.replace("MADE:-10", "MADE:-9")).expect("written");
    let (code, out, _) = bench("10 --runs 2 --limit 60 --phases apply,plan --bench", dir.path());
    assert_eq!(code, 1, "{out}");
    assert!(out.contains("  terraform: does not say `10 added,`; its last words:\n"), "{out}");
    assert!(out.contains("  terraform: left out, for its apply failed\n"), "{out}");
}
