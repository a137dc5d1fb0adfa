//! The kit against broken stores: every case can fail.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod broken;
mod caught;
mod caught_around;
mod flaw;
mod harness;
mod kept;
mod tamper;

use std::collections::BTreeSet;
use std::panic::catch_unwind;
use std::sync::Once;
use std::time::Duration;

use flaw::Flaw;
use harness::BrokenHarness;
use idem_conformance::{CASES, Case, Fresh, Need, check, fresh, list_excluded, run};
use idem_conformance::{run_model, run_model_sequences};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

type Make = fn() -> Fresh;

/// The name of threads on which panics are expected, and not printed.
const BROKEN: &str = "broken-store";
/// A case that takes longer hangs, and counts as failed.
const TIMEOUT: Duration = Duration::from_secs(5);
/// A flaw that only shows in a race may stay hidden in one try, but hardly in all.
const TRIES: u32 = 10;

#[test]
fn every_case_passes_on_a_store_without_a_flaw() {
    let passed = runtime().block_on(async {
        let mut runs = JoinSet::new();
        for case in CASES {
            runs.spawn(async move {
                let run = tokio::spawn(check(case, Box::new(BrokenHarness::new(Flaw::None))));
                run.await.is_err().then_some(case.name)
            });
        }
        runs.join_all().await
    });
    let failed: Vec<_> = passed.into_iter().flatten().collect();
    assert!(failed.is_empty(), "{failed:?}");
}

#[test]
fn every_case_fails_on_a_store_with_its_flaw() {
    let passed = runtime().block_on(async {
        let mut runs = JoinSet::new();
        for (flaw, names) in caught() {
            for name in *names {
                let case = Case::named(name).unwrap();
                runs.spawn(async move { (!is_caught(*flaw, case).await).then_some((*flaw, case.name)) });
            }
        }
        runs.join_all().await
    });
    let passed: Vec<_> = passed.into_iter().flatten().collect();
    assert!(passed.is_empty(), "these should have failed: {passed:?}");
}

#[test]
fn no_case_is_left_without_a_flaw_that_it_catches() {
    let all: BTreeSet<_> = CASES.iter().map(|case| case.name).collect();
    let catching: BTreeSet<_> = caught().flat_map(|(_, names)| *names).copied().collect();
    assert_eq!(all, catching);
}

#[test]
fn model_passes_on_a_store_without_a_flaw() {
    run_model("sound", || fresh(async || BrokenHarness::new(Flaw::None)));
}

#[test]
fn model_fails_on_a_store_with_a_flaw() {
    let broken: [(&str, Make); 13] = [
        ("second holder", || fresh(async || BrokenHarness::new(Flaw::GrantsSecondHolder))),
        ("new token", || fresh(async || BrokenHarness::new(Flaw::GivesItsHolderNewToken))),
        ("overwritten", || fresh(async || BrokenHarness::new(Flaw::OverwritesCompletion))),
        ("garbled", || fresh(async || BrokenHarness::new(Flaw::GarblesOutcomes))),
        ("any token", || fresh(async || BrokenHarness::new(Flaw::AcceptsAnyToken))),
        ("one microsecond late", || fresh(async || BrokenHarness::new(Flaw::EndsLate))),
        ("shortened", || fresh(async || BrokenHarness::new(Flaw::Shortens))),
        ("any step", || fresh(async || BrokenHarness::new(Flaw::WritesAnyStep))),
        ("belief", || fresh(async || BrokenHarness::new(Flaw::TellsEveryRenewal))),
        ("sequence", || fresh(async || BrokenHarness::new(Flaw::KeepsSequence))),
        ("forgotten", || fresh(async || BrokenHarness::new(Flaw::ForgetsBeforeDeadline))),
        ("swept", || fresh(async || BrokenHarness::new(Flaw::SweepsLapsed))),
        ("reopened", || fresh(async || BrokenHarness::new(Flaw::ReopensWithFirstWrites))),
    ];
    for (name, harness) in broken {
        // Enough sequences for any flaw to show. The run ends with the first sequence that shows it.
        let failed = panics(|| run_model_sequences(name, harness, 2_000));
        assert!(failed, "the model should have failed: {name}");
    }
}

#[test]
fn wrong_list_of_what_is_lacking_fails() {
    let harness: Make = || fresh(async || BrokenHarness::new(Flaw::None));
    list_excluded("sound", harness, &[]);
    assert!(panics(|| list_excluded("sound", harness, &[Need::Durable])));
}

#[test]
fn case_that_is_not_there_fails() {
    let harness: Make = || fresh(async || BrokenHarness::new(Flaw::None));
    assert!(panics(|| run("sound", "lock::no_such_case", harness, &[])));
}

fn caught() -> impl Iterator<Item = &'static (Flaw, &'static [&'static str])> {
    caught::DECIDED.iter().chain(caught_around::AROUND)
}

async fn is_caught(flaw: Flaw, case: &'static Case) -> bool {
    for _ in 0..TRIES {
        let run = tokio::spawn(check(case, Box::new(BrokenHarness::new(flaw))));
        if !matches!(tokio::time::timeout(TIMEOUT, run).await, Ok(Ok(()))) {
            return true;
        }
    }
    false
}

/// Whether `body` panics. It runs on a thread whose panics are not printed.
fn panics(body: impl FnOnce() + Send + std::panic::UnwindSafe) -> bool {
    quiet();
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name(BROKEN.to_owned());
        thread.spawn_scoped(scope, || catch_unwind(body).is_err()).unwrap().join().unwrap()
    })
}

fn runtime() -> Runtime {
    quiet();
    Builder::new_multi_thread().worker_threads(4).thread_name(BROKEN).enable_all().build().unwrap()
}

/// Does not print panics on [`BROKEN`] threads, which would fill hundreds of pages.
fn quiet() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if std::thread::current().name() != Some(BROKEN) {
                before(panic);
            }
        }));
    });
}
