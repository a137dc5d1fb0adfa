//! The kit against a small store, a map of encoded records under one lock. `map_store.rs` shows what a store of
//! your own looks like, and `map_harness.rs` how to run the kit on it.

mod map_harness;
mod map_store;

use std::time::Duration;

use idem_conformance::{CASES, Need, check, conformance, fresh, list_excluded, run_model};
use map_harness::MapHarness;
use tokio::task::JoinSet;

conformance!(reference, harness);
conformance!(without_strict_sequence, async || MapHarness::without_strict_sequence(), lacks: [StrictSequence]);

async fn harness() -> MapHarness {
    MapHarness::manual()
}

/// On a clock that cannot be moved, such as a server's, the cases wait. They run all at once, since they mostly sleep;
/// each failure is named.
#[tokio::test(flavor = "multi_thread")]
async fn every_case_holds_on_a_real_clock() {
    let mut runs = JoinSet::new();
    for case in CASES.iter().filter(|case| !case.needs.contains(&Need::ManualClock)) {
        runs.spawn(async move {
            let harness = MapHarness::real(Duration::from_millis(100));
            let run = tokio::spawn(check(case, Box::new(harness)));
            run.await.is_err().then_some(case.name)
        });
    }
    let failed: Vec<_> = runs.join_all().await.into_iter().flatten().collect();
    assert!(failed.is_empty(), "{failed:?}");
}

#[test]
fn model_holds_on_a_real_clock() {
    run_model("real_time", || fresh(async || MapHarness::real(Duration::from_millis(20))));
}

#[test]
fn cases_that_need_a_manual_clock_are_excluded_on_a_real_one() {
    let harness = || fresh(async || MapHarness::real(Duration::from_millis(100)));
    list_excluded("real_time", harness, &[Need::ManualClock]);
}
