//! Judging rounds, and telling what they came to.

use crate::load::seconds;
use crate::rules::Report;

/// Rounds tried until losses are seen.
const ROUNDS: u64 = 5;

/// Tells what a round came to.
///
/// # Panics
/// When its history contradicts the contract, and when hardly anything was at stake.
pub(crate) fn judged(kind: &str, report: &Report) {
    println!("{kind}: {}", line(report));
    for violation in report.violations.iter().take(10) {
        println!("  {violation}");
    }
    assert!(report.violations.is_empty(), "{kind}: {} violations", report.violations.len());
    assert!(
        report.acquired > 100 && report.completed > 50 && report.replays > 50,
        "hardly anything at stake"
    );
}

/// The same, where the store was told to wait for too few replicas: shows that losses are seen.
///
/// # Panics
/// When there are none in all of the rounds.
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
        "{} calls, {} acquisitions, {} completions, {} replays, {} unknown, {} stale, slowest {}, {} violations {:?}",
        report.calls,
        report.acquired,
        report.completed,
        report.replays,
        report.unknown,
        report.stale,
        seconds(report.slowest),
        report.violations.len(),
        report.by_rule(),
    )
}
