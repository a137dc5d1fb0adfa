//! Random sequences of calls, against the pure [`decide`](idem_core::backend::decide()) and against a store.

mod compare;
mod reference;
mod step;
mod subject;

use std::sync::atomic::Ordering;

use proptest::strategy::{Just, Strategy as _};
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use proptest_state_machine::strategy::Sequential;

use crate::harness::Time;
use crate::run::{Fresh, block_on};
use reference::Reference;
use step::{Pace, Step};
use subject::Subject;

/// The longest sequence.
const STEPS: usize = 60;

/// The body of the test of the model.
///
/// `PROPTEST_CASES` sets how many sequences are run (128 without it; a 32nd of that on a real clock).
///
/// # Panics
/// When the store and `decide` disagree, with the shortest sequence found that shows it.
#[doc(hidden)]
pub fn run_model(backend: &str, harness: fn() -> Fresh) {
    let asked = std::env::var_os("PROPTEST_CASES").map(|_| Config::default().cases);
    run_model_sequences(backend, harness, asked.unwrap_or(128));
}

/// [`run_model`] with this many sequences.
#[doc(hidden)]
pub fn run_model_sequences(backend: &str, harness: fn() -> Fresh, sequences: u32) {
    let (pace, reopens) = block_on(async {
        let harness = harness().await;
        let pace = match harness.time() {
            Time::Manual(_) => Pace::Exact,
            Time::Real { .. } => Pace::Apart,
        };
        (pace, harness.store().capabilities().durable)
    });
    let any_sequence = Sequential::new(
        (1..=STEPS).into(),
        || Just(Reference::default()).boxed(),
        |_: &Reference, _| true,
        move |_| step::any(pace, reopens),
        |reference: Reference, step: &Step| reference.apply(step),
    );
    let outcome = TestRunner::new(config(pace, sequences)).run(&any_sequence, |(reference, steps, seen)| {
        block_on(async {
            let mut reference = reference;
            let mut subject = Subject::new(harness().await);
            for step in steps {
                if let Some(seen) = &seen {
                    seen.fetch_add(1, Ordering::SeqCst);
                }
                reference = reference.apply(&step);
                subject.apply(&step, &reference).await?;
            }
            Ok::<(), TestCaseError>(())
        })
    });
    if let Err(error) = outcome {
        panic!("{backend} and `decide` disagree: {error}");
    }
}

fn config(pace: Pace, sequences: u32) -> Config {
    let cases = match pace {
        Pace::Exact => sequences,
        // Each sequence takes seconds on a clock that cannot be moved.
        Pace::Apart => sequences.div_ceil(32),
    };
    // The shortest sequence is printed instead of being written to a file in the sources of the crate that runs this.
    Config { cases, failure_persistence: None, max_shrink_iters: 1_000, ..Config::default() }
}
