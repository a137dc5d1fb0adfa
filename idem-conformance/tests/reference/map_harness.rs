//! The harness of the store in one page: everything that the kit can make use of.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use idem_conformance::{Harness, LARGEST_OUTCOME, Time, Unsupported};
use idem_core::clock::{ManualClock, SharedClock, SystemClock, Timestamp};
use idem_core::{Key, Store};

use crate::map_store::{Disk, MapStore, lock};

pub(crate) struct MapHarness {
    time: Time,
    disk: Arc<Mutex<Disk>>,
    store: Arc<MapStore>,
}

impl MapHarness {
    /// On a clock that the cases move.
    pub(crate) fn manual() -> Self {
        Self::new(Time::Manual(ManualClock::new(Timestamp::from_micros(1_750_000_000_000_000))))
    }

    /// On the system's clock: the cases wait.
    pub(crate) fn real(tick: Duration) -> Self {
        Self::new(Time::Real { tick })
    }

    fn new(time: Time) -> Self {
        let disk = Arc::default();
        let store = open(&disk, &time);
        Self { time, disk, store }
    }
}

fn open(disk: &Arc<Mutex<Disk>>, time: &Time) -> Arc<MapStore> {
    let clock: SharedClock = match time {
        Time::Manual(clock) => Arc::new(clock.clone()),
        Time::Real { .. } => SystemClock::shared(),
    };
    Arc::new(MapStore::open(disk, clock, LARGEST_OUTCOME as u64))
}

#[async_trait]
impl Harness for MapHarness {
    fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    fn time(&self) -> Time {
        self.time.clone()
    }

    async fn reopen(&mut self) -> Result<(), Unsupported> {
        self.store = open(&self.disk, &self.time);
        Ok(())
    }

    async fn another(&mut self) -> Result<Arc<dyn Store>, Unsupported> {
        Ok(Arc::new(self.store.another()))
    }

    async fn corrupt(&mut self, key: &Key) -> Result<(), Unsupported> {
        let mut disk = lock(&self.disk);
        let last_byte = disk.records.get_mut(key).and_then(|record| record.last_mut());
        last_byte.map(|byte| *byte ^= 1).ok_or(Unsupported)
    }
}
