//! The rows of a run: one for each workload, number of callers and size.

use std::fmt;

use serde::Serialize;

use crate::load::caller::Mix;
use crate::load::workload::Workload;
use crate::run::drive::Round;

/// One line of the table. Rates and percentiles are medians of the rounds.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// The workload.
    pub workload: Workload,
    /// How many callers there were, side by side.
    pub callers: usize,
    /// The outcome's size.
    pub bytes: usize,
    /// Steps of idem a second, of all callers together.
    pub ops_per_s: f64,
    /// The median time of one step of idem, in microseconds.
    pub p50_us: f64,
    /// The 99th percentile of the time of one step of idem, in microseconds.
    pub p99_us: f64,
    /// Steps a second of the same number of callers on the bare backend.
    pub raw_ops_per_s: f64,
    /// `ops_per_s` against `raw_ops_per_s`.
    pub ratio: f64,
    #[serde(skip)]
    mix: Mix,
}

/// All rows against one baseline.
#[derive(Debug)]
pub struct Rows {
    /// The baseline's name.
    pub baseline: &'static str,
    /// In the order of the table.
    pub rows: Vec<Row>,
}

impl Row {
    pub(crate) fn new(
        workload: Workload,
        callers: usize,
        bytes: usize,
        idem: &[Round],
        raw: &[Round],
    ) -> Self {
        let (ops_per_s, raw_ops_per_s) = (median(idem, |r| r.ops_per_s), median(raw, |r| r.ops_per_s));
        let mut mix = Mix::default();
        for round in idem {
            mix.add(round.mix);
        }
        Self {
            workload,
            callers,
            bytes,
            ops_per_s,
            p50_us: median(idem, |r| r.p50_us),
            p99_us: median(idem, |r| r.p99_us),
            raw_ops_per_s,
            ratio: ops_per_s / raw_ops_per_s,
            mix,
        }
    }
}

impl Rows {
    /// The row of this workload, if it was measured.
    #[must_use]
    pub fn get(&self, workload: Workload, callers: usize, bytes: usize) -> Option<&Row> {
        self.rows.iter().find(|row| (row.workload, row.callers, row.bytes) == (workload, callers, bytes))
    }

    /// The rows that go into the JSON file. The hot replay is a figure, not a row.
    pub(crate) fn published(&self) -> Vec<&Row> {
        self.rows.iter().filter(|row| row.workload != Workload::HotReplay).collect()
    }
}

/// The median of `values`: the middle one, or the mean of the two in the middle; NaN of none.
pub fn median<T>(values: &[T], of: impl Fn(&T) -> f64) -> f64 {
    let mut values: Vec<f64> = values.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => values[count / 2],
        count => f64::midpoint(values[count / 2 - 1], values[count / 2]),
    }
}

impl fmt::Display for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "against {}", self.baseline)?;
        writeln!(
            f,
            "{:<11}{:>8}{:>8}{:>13}{:>12}{:>12}{:>13}{:>9}",
            "workload", "callers", "bytes", "ops/s", "p50 us", "p99 us", "raw ops/s", "ratio"
        )?;
        self.rows.iter().try_for_each(|row| writeln!(f, "{row}"))
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:<11}{:>8}{:>8}{:>13.0}{:>12.2}{:>12.2}{:>13.0}{:>8.2}x",
            self.workload,
            self.callers,
            self.bytes,
            self.ops_per_s,
            self.p50_us,
            self.p99_us,
            self.raw_ops_per_s,
            self.ratio
        )?;
        if self.workload == Workload::Contended {
            let Mix { acquired, in_progress, completed } = self.mix;
            write!(f, "  {acquired} acquired, {in_progress} in progress, {completed} replayed")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_is_the_middle_and_not_the_mean() {
        assert!((median(&[9.0, 1.0, 2.0], |value| *value) - 2.0).abs() < 1e-9);
        assert!((median(&[9.0, 1.0, 2.0, 4.0], |value| *value) - 3.0).abs() < 1e-9);
        assert!(median(&[], |value: &f64| *value).is_nan());
    }

    #[test]
    fn row_has_exactly_the_published_fields() {
        let round = Round { steps: 4, ops_per_s: 4.0, p50_us: 1.0, p99_us: 2.0, mix: Mix::default() };
        let raw = Round { ops_per_s: 8.0, ..round };
        let row = Row::new(Workload::Contended, 8, 1_024, &[round], &[raw]);
        assert_eq!(
            serde_json::json!(row),
            serde_json::json!({
                "workload": "contended", "callers": 8, "bytes": 1_024, "ops_per_s": 4.0, "p50_us": 1.0,
                "p99_us": 2.0, "raw_ops_per_s": 8.0, "ratio": 0.5,
            })
        );
    }
}
