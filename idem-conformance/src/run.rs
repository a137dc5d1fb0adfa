//! Runs a case, or reports that it was not run.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::pin::Pin;
use std::time::Duration;

use crate::cases::{CASES, Case};
use crate::harness::Harness;
use crate::need::{self, Need};
use crate::trial::{Trial, must};

/// Longer than the slowest case takes on the slowest machine: a case that takes longer hangs.
const LONGEST: Duration = Duration::from_mins(2);

/// The future of a harness.
#[doc(hidden)]
pub type Fresh = Pin<Box<dyn Future<Output = Box<dyn Harness>> + Send>>;

/// Makes a harness with an async constructor.
#[doc(hidden)]
pub fn fresh<H, F>(new: impl FnOnce() -> F) -> Fresh
where
    H: Harness,
    F: Future<Output = H> + Send + 'static,
{
    let new = new();
    Box::pin(async { Box::new(new.await) as Box<dyn Harness> })
}

/// Runs `case` against a fresh store, for test frames other than [`conformance!`](crate::conformance).
///
/// # Panics
/// When the store breaks the promise; and when it, or its harness, lacks what the case
/// [needs](Case::needs).
pub async fn check(case: &Case, harness: Box<dyn Harness>) {
    let ended = tokio::time::timeout(LONGEST, (case.run)(Trial::new(harness))).await;
    assert!(ended.is_ok(), "{} did not end within {LONGEST:?}", case.name);
}

/// The body of one named test.
#[doc(hidden)]
pub fn run(backend: &str, case: &str, harness: fn() -> Fresh, lacks: &[Need]) {
    let Some(case) = Case::named(case) else { panic!("there is no case {case}") };
    if let Some(need) = lacked(case, lacks) {
        return report(backend, case, need);
    }
    block_on(async { check(case, harness().await).await });
}

/// The body of the test that lists the excluded cases, and compares `lacks` with what the store lacks.
#[doc(hidden)]
pub fn list_excluded(backend: &str, harness: fn() -> Fresh, lacks: &[Need]) {
    let lacking = block_on(async { need::lacking(harness().await).await });
    let named: BTreeSet<_> = lacks.iter().copied().collect();
    assert_eq!(named, lacking, "{backend}: left, what `lacks` names; right, what the store lacks");
    let mut excluded = 0;
    for case in CASES {
        if let Some(need) = lacked(case, lacks) {
            report(backend, case, need);
            excluded += 1;
        }
    }
    print_always(&format!("{backend}: {} cases, {excluded} excluded", CASES.len()));
}

/// Runs `future` on a runtime of its own, with several threads, so that calls can run in parallel.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build();
    let runtime = must("runtime", runtime);
    let output = runtime.block_on(future);
    runtime.shutdown_background();
    output
}

fn lacked(case: &Case, lacks: &[Need]) -> Option<Need> {
    case.needs.iter().copied().find(|need| lacks.contains(need))
}

fn report(backend: &str, case: &Case, need: Need) {
    print_always(&format!("excluded: {backend} {}: needs {need}", case.name));
}

/// Prints to standard error. Not with `eprintln!`, whose output is hidden when a test passes.
fn print_always(line: &str) {
    let mut stderr = std::io::stderr().lock();
    // A closed stderr must not fail a case.
    let _ = writeln!(stderr, "{line}");
}
