//! Holders that sleep past their lease and then continue as if they still held the key: what such rounds are on any server.

use crate::callers::load::Load;
use crate::callers::worker::Round;
use crate::judge::rules::Report;
use crate::table::judged;

const MILLIS: u64 = 4_000;
/// How often the round is repeated with another seed. How often a sleeper loses its key depends on the machine.
const SEEDS: u64 = 6;

/// A round in which most holders sleep.
pub(crate) fn with_sleepers() -> Round {
    Round { sleepers: 60, ..Round::new() }
}

/// Lets them sleep.
pub(crate) async fn run(load: &Load) {
    load.run(MILLIS).await;
}

/// Repeats the round until somebody took over from a sleeper, and a sleeper completed a key that nobody took over.
///
/// # Panics
/// Those of [`judged`], and when either was never seen.
pub(crate) async fn until_both_were_seen(round: impl AsyncFn(u64) -> Report) {
    let (mut superseded, mut late) = (0, 0);
    for seed in 1..=SEEDS {
        let report = round(seed).await;
        judged("paused holders", &report);
        (superseded, late) = (superseded + report.superseded, late + report.late);
        if superseded > 0 && late > 0 {
            break;
        }
    }
    assert!(superseded > 0, "nobody took over from a sleeper");
    assert!(late > 0, "no sleeper completed a key that nobody took over");
}
