//! The smallest backend through the kit: all that a third-party store has to bring.
#![cfg(test)]

mod common;

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use common::map_store::{Disk, MapStore, lock};
use idem_conformance::{Harness, LARGEST_OUTCOME, Time, Unsupported, conformance};
use idem_core::{Key, ManualClock, Store, Timestamp};

conformance!(reference, async || MapHarness::new());

struct MapHarness {
    clock: ManualClock,
    disk: Arc<Mutex<Disk>>,
    store: Arc<MapStore>,
}

impl MapHarness {
    fn new() -> Self {
        let clock = ManualClock::new(Timestamp::from_micros(1_750_000_000_000_000));
        let disk = Arc::default();
        let store = Self::open(&disk, &clock);
        Self { clock, disk, store }
    }

    fn open(disk: &Arc<Mutex<Disk>>, clock: &ManualClock) -> Arc<MapStore> {
        Arc::new(MapStore::open(disk, Arc::new(clock.clone()), LARGEST_OUTCOME as u64))
    }
}

#[async_trait]
impl Harness for MapHarness {
    fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    fn time(&self) -> Time {
        Time::Manual(self.clock.clone())
    }

    async fn reopen(&mut self) -> Result<(), Unsupported> {
        self.store = Self::open(&self.disk, &self.clock);
        Ok(())
    }

    async fn another(&mut self) -> Result<Arc<dyn Store>, Unsupported> {
        Ok(Arc::new(self.store.another()))
    }

    async fn corrupt(&mut self, key: &Key) -> Result<(), Unsupported> {
        let mut disk = lock(&self.disk);
        let bytes = disk.records.get_mut(key).and_then(|record| record.last_mut());
        bytes.map(|byte| *byte ^= 1).ok_or(Unsupported)
    }
}
