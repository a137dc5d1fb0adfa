//! Judging rounds, and reporting the results.

use std::collections::BTreeMap;
use std::fmt;

use crate::callers::load::seconds;
use crate::judge::history::Micros;
use crate::judge::rules::Report;

/// The most rounds that are tried until one shows losses.
const ROUNDS: u64 = 5;

/// Reports the result of a round.
///
/// # Panics
/// When the history contradicts the contract, and when too few calls succeeded for the round to prove anything.
pub(crate) fn judged(kind: &str, report: &Report) {
    println!("{kind}: {}", line(report));
    report.explain();
    assert!(report.violations.is_empty(), "{kind}: {} violations", report.violations.len());
    assert!(
        report.acquired > 100 && report.completed > 50 && report.replays > 50,
        "hardly anything at stake"
    );
}

/// Runs rounds in which the store is configured to wait for too few replicas, to show that the checker finds losses.
///
/// # Panics
/// When no round shows a loss.
pub(crate) async fn losses(kind: &str, round: impl AsyncFn(u64) -> Report) {
    for seed in 1..=ROUNDS {
        let report = round(seed).await;
        let lost = report.losses();
        println!("{kind}: {lost} losses; {}", line(&report));
        for violation in report.violations.iter().take(3) {
            println!("  {violation}");
        }
        if lost > 0 {
            return;
        }
    }
    panic!("{kind}: {ROUNDS} rounds, and no loss was seen");
}

pub(crate) fn line(report: &Report) -> String {
    format!(
        "{} calls, {} acquisitions, {} completions, {} replays, {} unknown, {} full, {} stale, slowest {}, {} violations {:?}",
        report.calls,
        report.acquired,
        report.completed,
        report.replays,
        report.unknown,
        report.full,
        report.stale,
        seconds(report.slowest),
        report.violations.len(),
        report.by_rule(),
    )
}

/// The totals of all rounds, by kind.
#[derive(Debug, Default)]
pub(crate) struct Table(BTreeMap<&'static str, Sum>);

#[derive(Debug, Default)]
struct Sum {
    rounds: usize,
    calls: usize,
    acquired: usize,
    completed: usize,
    unknown: usize,
    stale: usize,
    violations: usize,
    losses: usize,
    slowest: Micros,
    gap: Micros,
    /// Whether rounds of this kind are expected to lose something.
    loses: bool,
}

impl Table {
    /// Adds a round in which nothing may be lost.
    pub(crate) fn kept(&mut self, kind: &'static str, report: &Report) {
        if !report.violations.is_empty() {
            println!("{kind}:");
            report.explain();
        }
        self.add(kind, report).violations += report.violations.len();
    }

    /// Adds a round in which something should be lost.
    pub(crate) fn lost(&mut self, kind: &'static str, report: &Report) {
        let sum = self.add(kind, report);
        sum.loses = true;
        sum.losses += report.losses();
        sum.violations += report.violations.len() - report.losses();
    }

    /// # Panics
    /// When there were violations, and when a kind of rounds that should lose something did not.
    pub(crate) fn judge(&self) {
        let violations: usize = self.0.values().map(|sum| sum.violations).sum();
        assert_eq!(violations, 0, "violations");
        for (kind, sum) in &self.0 {
            assert!(!sum.loses || sum.losses > 0, "{kind}: no losses are seen");
        }
    }

    fn add(&mut self, kind: &'static str, report: &Report) -> &mut Sum {
        let sum = self.0.entry(kind).or_default();
        sum.rounds += 1;
        sum.calls += report.calls;
        sum.acquired += report.acquired;
        sum.completed += report.completed;
        sum.unknown += report.unknown;
        sum.stale += report.stale;
        sum.slowest = sum.slowest.max(report.slowest);
        sum.gap = sum.gap.max(report.gap);
        sum
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<32}{:>7}{:>9}{:>10}{:>11}{:>9}{:>7}{:>11}{:>8}{:>9}{:>9}",
            "kind",
            "rounds",
            "calls",
            "acquired",
            "completed",
            "unknown",
            "stale",
            "violations",
            "losses",
            "slowest",
            "gap"
        )?;
        for (kind, sum) in &self.0 {
            let losses = if sum.loses { sum.losses.to_string() } else { String::new() };
            let gap = if sum.gap > 0 { seconds(sum.gap) } else { String::new() };
            writeln!(
                f,
                "{kind:<32}{:>7}{:>9}{:>10}{:>11}{:>9}{:>7}{:>11}{losses:>8}{:>9}{gap:>9}",
                sum.rounds,
                sum.calls,
                sum.acquired,
                sum.completed,
                sum.unknown,
                sum.stale,
                sum.violations,
                seconds(sum.slowest),
            )?;
        }
        Ok(())
    }
}
