//! Samples as figures, a table and JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::measure::Sample;
use crate::tools::{Phase, Tool};

/// All that was measured of one tool, phase and size.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Row {
    pub(crate) phase: Phase,
    pub(crate) tool: Tool,
    pub(crate) samples: Vec<Sample>,
    /// Why there are no samples, or fewer than there should be.
    pub(crate) lacking: Option<String>,
}

/// All that was measured of one size.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Size {
    pub(crate) objects: u64,
    pub(crate) runs: u32,
    pub(crate) rows: Vec<Row>,
}

/// What lies in the middle, and between what.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Spread {
    pub(crate) least: u64,
    pub(crate) median: u64,
    pub(crate) most: u64,
}

impl Spread {
    /// Of an even number of figures, the median is the mean of the two in the middle. Of none there is nothing.
    pub(crate) fn of(figures: impl IntoIterator<Item = u64>) -> Option<Self> {
        let mut figures: Vec<u64> = figures.into_iter().collect();
        figures.sort_unstable();
        let (least, most) = (*figures.first()?, *figures.last()?);
        let (low, high) = (figures[(figures.len() - 1) / 2], figures[figures.len() / 2]);
        Some(Self { least, median: low + (high - low) / 2, most })
    }
}

impl Row {
    pub(crate) fn wall_us(&self) -> Option<Spread> {
        Spread::of(self.samples.iter().map(|sample| sample.wall_us))
    }

    fn cpu_ms(&self) -> Option<Spread> {
        Spread::of(self.samples.iter().filter_map(|sample| sample.cpu_ms))
    }

    pub(crate) fn peak_kib(&self) -> Option<Spread> {
        Spread::of(self.samples.iter().filter_map(|sample| sample.peak_kib))
    }
}

impl Size {
    /// The table of this size, at most 80 columns wide.
    pub(crate) fn table(&self) -> String {
        let runs = if self.runs == 1 { "1 run".to_owned() } else { format!("{} runs", self.runs) };
        let mut text = format!("{} objects, {runs}\n", thousands(self.objects));
        let _ = writeln!(
            text,
            "{:<18} {:>9} {:>20} {:>9} {:>10} {:>8}",
            "", "median", "least to most", "CPU", "per object", "memory"
        );
        for phase in Phase::ALL {
            let rows: Vec<&Row> = self.rows.iter().filter(|row| row.phase == phase).collect();
            if rows.is_empty() {
                continue;
            }
            let _ = writeln!(text, "{}", phase.title());
            for row in &rows {
                self.line(&mut text, row);
            }
            if let Some(ours) = rows.iter().find(|row| row.tool == Tool::Fleetwright) {
                let others = rows.iter().filter(|row| row.tool != Tool::Fleetwright);
                let ratios: Vec<String> = others.filter_map(|row| ratios(row, ours)).collect();
                for ratio in ratios {
                    let _ = writeln!(text, "  {ratio}");
                }
            }
        }
        text
    }

    fn line(&self, text: &mut String, row: &Row) {
        if let Some(wall) = row.wall_us() {
            let between = if row.samples.len() > 1 {
                format!("{} to {}", duration(wall.least), duration(wall.most))
            } else {
                String::new()
            };
            let _ = writeln!(
                text,
                "  {:<16} {:>9} {between:>20} {:>9} {:>10} {:>8}",
                row.tool.name(),
                duration(wall.median),
                row.cpu_ms().map_or_else(|| "?".to_owned(), |cpu| cpu_time(cpu.median)),
                per_object(wall.median, self.objects),
                row.peak_kib().map_or_else(|| "?".to_owned(), |peak| megabytes(peak.most)),
            );
        }
        if let Some(why) = &row.lacking {
            for (n, line) in why.lines().enumerate() {
                let name = if n == 0 { format!("{}: ", row.tool.name()) } else { "  ".to_owned() };
                let _ = writeln!(text, "  {name}{line}");
            }
        }
    }

    pub(crate) fn json(&self) -> Value {
        let Self { objects, runs, rows } = self;
        json!({ "objects": objects, "runs": runs, "rows": rows.iter().map(Row::json).collect::<Vec<_>>() })
    }
}

impl Row {
    fn json(&self) -> Value {
        let Self { phase, tool, samples, lacking } = self;
        let samples: Vec<Value> = samples
            .iter()
            .map(|Sample { wall_us, cpu_ms, peak_kib }| {
                json!({ "wall_us": wall_us, "cpu_ms": cpu_ms, "peak_kib": peak_kib })
            })
            .collect();
        let spread = |spread: Option<Spread>| {
            spread.map(|Spread { least, median, most }| json!({ "least": least, "median": median, "most": most }))
        };
        json!({
            "phase": phase.word(),
            "tool": tool.name(),
            "wall_us": spread(self.wall_us()),
            "cpu_ms": spread(self.cpu_ms()),
            "peak_kib": spread(self.peak_kib()),
            "samples": samples,
            "lacking": lacking,
        })
    }
}

/// How many times ours another one takes, by the medians: `terraform / fleetwright: time 138, memory 4.5`.
fn ratios(other: &Row, ours: &Row) -> Option<String> {
    let (theirs_us, ours_us) = (other.wall_us()?.median, ours.wall_us()?.median);
    let mut text = format!("{} / fleetwright: time {}", other.tool.name(), ratio(theirs_us, ours_us)?);
    if let (Some(theirs), Some(ours)) = (other.peak_kib(), ours.peak_kib())
        && let Some(memory) = ratio(theirs.median, ours.median)
    {
        let _ = write!(text, ", memory {memory}");
    }
    Some(text)
}

pub(crate) fn ratio(theirs: u64, ours: u64) -> Option<String> {
    (ours > 0).then(|| three_digits(theirs, ours))
}

/// Three digits of a quotient, or all of those before the point.
fn three_digits(over: u64, under: u64) -> String {
    let (over, under) = (u128::from(over), u128::from(under));
    let rounded = |scale: u128| (over * scale + under / 2) / under;
    match (rounded(100), rounded(10)) {
        (hundredths @ 0..=999, _) => format!("{}.{:02}", hundredths / 100, hundredths % 100),
        (_, tenths @ 0..=999) => format!("{}.{}", tenths / 10, tenths % 10),
        _ => rounded(1).to_string(),
    }
}

/// `87 us`, `1.23 ms`, `12.3 s`, `1275 s`.
pub(crate) fn duration(us: u64) -> String {
    match us {
        0..=999 => format!("{us} us"),
        1_000..=999_499 => format!("{} ms", three_digits(us, 1_000)),
        _ => format!("{} s", three_digits(us, 1_000_000)),
    }
}

/// `3.95 us`, `1.23 ms`.
pub(crate) fn per_object(us: u64, objects: u64) -> String {
    let whole = us / objects;
    if whole < 1_000 { format!("{} us", three_digits(us, objects)) } else { duration(whole) }
}

/// The system counts it in hundredths of a second.
pub(crate) fn cpu_time(ms: u64) -> String {
    if ms < 10 { "< 10 ms".to_owned() } else { duration(ms * 1_000) }
}

fn megabytes(kib: u64) -> String {
    format!("{} MB", (kib * 1_024).div_ceil(1_000_000))
}

/// `1,000,000`.
pub(crate) fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
