//! The conformance kit of idem: every promise of [`Store`](idem_core::Store) as a named case, for every
//! backend.
//!
//! A store that passes keeps the contract as far as some 200 cases and random sequences of calls can show: both tables
//! of rules row by row, races, dropped and resent calls, waiting, `execute` on the store, bad input, altered bytes,
//! listing and erasing, closing and reopening.
//!
//! # For a store of your own
//! Implement [`Harness`]: a fresh store for each case, and how time passes for it. Then one line makes a test of
//! each case.
//!
//! ```
//! use std::sync::Arc;
//!
//! use idem_conformance::{Harness, LARGEST_OUTCOME, Time, conformance};
//! use idem_core::Store;
//! use idem_core::clock::{ManualClock, Timestamp};
//! use idem_moka::{MokaConfig, MokaStore}; // your store
//!
//! conformance!(moka, async || MokaHarness::new(), lacks: [Durable, Shared, Corrupt]);
//!
//! struct MokaHarness(MokaStore, ManualClock);
//!
//! impl MokaHarness {
//!     fn new() -> Self {
//!         let clock = ManualClock::new(Timestamp::from_micros(1_750_000_000_000_000));
//!         let mut config = MokaConfig::default();
//!         config.max_outcome = LARGEST_OUTCOME as u64;
//!         Self(MokaStore::with_clock(config, Arc::new(clock.clone())).unwrap(), clock)
//!     }
//! }
//!
//! impl Harness for MokaHarness {
//!     fn store(&self) -> Arc<dyn Store> {
//!         Arc::new(self.0.clone())
//!     }
//!
//!     fn time(&self) -> Time {
//!         Time::Manual(self.1.clone())
//!     }
//! }
//! # fn main() {}
//! ```
//!
//! The tests are named `moka::lock::fresh_key_is_acquired` and so on; the first part is the name given to
//! [`conformance!`]. This package's own `tests/reference` has a whole store in little code, and its harness with all
//! abilities.
//!
//! # Time
//! The harness of a store that takes its time from an injected [`Clock`](idem_core::clock::Clock) returns
//! [`Time::Manual`]: no case waits, and moments are exact. For a store that follows a server's clock it returns
//! [`Time::Real`]: the cases wait for leases of ten ticks and retentions of thirty, and allow a difference of one tick
//! where they compare times.
//!
//! # What a store may lack
//! Some cases need more than the contract: a [`Need`]. Name what the store or its harness lacks in
//! `conformance!(..., lacks: [...])`. The cases that need it pass, and print `excluded: moka
//! durable::lease_outlives_reopening: needs Durable` to standard error. The test `moka::excluded_cases_are_listed`
//! lists them all, and fails when `lacks` is not what the store really lacks. So no case is skipped silently,
//! neither because a store stops claiming a capability nor because its harness loses an ability.
//!
//! # The model
//! `moka::model::random_calls_agree_with_decide` runs random sequences of calls against the store and against the
//! pure [`decide`](idem_core::backend::decide()): several keys, owners and fingerprints, calls of lost leases, time
//! that passes, and reopening where that is possible. It compares every answer and every record after it, and shows
//! the shortest sequence on which they differ. `PROPTEST_CASES=10000` makes it thorough; `PROPTEST_RNG_SEED`
//! repeats a run.
//!
//! # Tests of the kit itself
//! `tests/kit` of this package runs every case against stores that are broken on purpose, each in one way, and
//! fails when a case does not notice.

mod cases;
mod executing;
mod harness;
mod holder;
mod list;
mod listing;
mod macros;
mod model;
mod need;
mod run;
mod trial;
mod wrap;

pub use cases::{CASES, Case};
pub use harness::{Harness, LARGEST_OUTCOME, Time, Unsupported};
#[doc(hidden)]
pub use model::{run_model, run_model_sequences};
pub use need::Need;
pub use run::check;
#[doc(hidden)]
pub use run::{Fresh, fresh, list_excluded, run};
