//! What was measured, as text.

use std::time::Duration;

/// The answers of one measurement.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Sample {
    /// How long each took, in microseconds, the shortest first.
    took_us: Vec<u64>,
    /// From the first question to the last answer.
    whole: Duration,
}

impl Sample {
    pub(crate) fn new(mut took_us: Vec<u64>, whole: Duration) -> Self {
        took_us.sort_unstable();
        Self { took_us, whole }
    }

    pub(crate) fn count(&self) -> usize {
        self.took_us.len()
    }

    /// So many of a hundred took no longer.
    pub(crate) fn percentile(&self, percent: usize) -> Option<u64> {
        let rank = (self.took_us.len() * percent).div_ceil(100).max(1);
        self.took_us.get(rank - 1).copied()
    }

    /// A line of the table.
    pub(crate) fn line(&self, what: &str, clients: usize) -> String {
        let time = |percent| self.percentile(percent).map_or_else(|| "?".to_owned(), ms);
        let rate = per_second(self.count(), self.whole);
        format!("  {what:<26} {clients:>7} {rate:>12} {:>12} {:>12}\n", time(50), time(99))
    }
}

pub(crate) fn heading() -> String {
    format!("  {:<26} {:>7} {:>12} {:>12} {:>12}\n", "", "clients", "requests/s", "p50", "p99")
}

/// How many a second: `812`, `16.3`.
pub(crate) fn per_second(count: usize, whole: Duration) -> String {
    let us = whole.as_micros().max(1);
    let tenths = (count as u128 * 10_000_000 + us / 2) / us;
    if tenths < 1_000 { format!("{}.{}", tenths / 10, tenths % 10) } else { ((tenths + 5) / 10).to_string() }
}

/// `1.20 ms`.
pub(crate) fn ms(us: u64) -> String {
    let hundredths = (us + 5) / 10;
    format!("{}.{:02} ms", hundredths / 100, hundredths % 100)
}

/// `210 MB resident, 230 MB at most`.
pub(crate) fn memory(kib: Option<(u64, u64)>) -> String {
    let mb = |kib: u64| (kib * 1_024).div_ceil(1_000_000);
    match kib {
        Some((now, most)) => format!("{} MB resident, {} MB at most", mb(now), mb(most)),
        None => "the system does not tell its memory".to_owned(),
    }
}

/// `1,000,000`.
pub(crate) fn thousands(n: usize) -> String {
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
