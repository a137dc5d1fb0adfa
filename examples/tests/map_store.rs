//! Runs the conformance kit on the store of the example `map-store`, as you would on your own store.

use std::sync::Arc;

use idem_conformance::{Harness, LARGEST_OUTCOME, Time, conformance};
use idem_core::Store;
use idem_core::clock::{ManualClock, Timestamp};
use store::MapStore;

#[path = "../map-store/store.rs"]
mod store;

conformance!(map_store, async || MapHarness::new(), lacks: [Durable, Shared, Corrupt]);

struct MapHarness(Arc<MapStore>, ManualClock);

impl MapHarness {
    fn new() -> Self {
        let clock = ManualClock::new(Timestamp::from_micros(1_750_000_000_000_000));
        Self(Arc::new(MapStore::new(LARGEST_OUTCOME as u64, Arc::new(clock.clone()))), clock)
    }
}

impl Harness for MapHarness {
    fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.0) as Arc<dyn Store>
    }

    fn time(&self) -> Time {
        Time::Manual(self.1.clone())
    }
}

#[test]
fn the_store_is_one_page() {
    let lines = include_str!("../map-store/store.rs").lines().count();
    assert!(lines < 150, "{lines} lines");
}
