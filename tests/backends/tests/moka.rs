//! Runs the kit on idem-moka.

use std::sync::Arc;

use idem_conformance::{Harness, LARGEST_OUTCOME, Time, conformance};
use idem_core::Store;
use idem_core::clock::{ManualClock, Timestamp};
use idem_moka::{MokaConfig, MokaStore};

conformance!(moka, async || MokaHarness::new(), lacks: [Durable, Shared, Corrupt]);

struct MokaHarness(MokaStore, ManualClock);

impl MokaHarness {
    #[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    fn new() -> Self {
        let clock = ManualClock::new(Timestamp::from_micros(1_750_000_000_000_000));
        let mut config = MokaConfig::default();
        config.max_outcome = LARGEST_OUTCOME as u64;
        Self(MokaStore::with_clock(config, Arc::new(clock.clone())).unwrap(), clock)
    }
}

impl Harness for MokaHarness {
    fn store(&self) -> Arc<dyn Store> {
        Arc::new(self.0.clone())
    }

    fn time(&self) -> Time {
        Time::Manual(self.1.clone())
    }
}
