//! The harness of the small store, with every ability that the kit can use.

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
    strict_sequence: bool,
    store: Arc<MapStore>,
}

impl MapHarness {
    /// A store on a clock that the cases move.
    pub(crate) fn manual() -> Self {
        Self::new(manual_time(), true)
    }

    /// The same, with sequences that begin anew after a record was removed.
    pub(crate) fn without_strict_sequence() -> Self {
        Self::new(manual_time(), false)
    }

    /// A store on the system's clock, for which the cases wait.
    pub(crate) fn real(tick: Duration) -> Self {
        Self::new(Time::Real { tick }, true)
    }

    fn new(time: Time, strict_sequence: bool) -> Self {
        let disk = Arc::default();
        let store = open(&disk, &time, strict_sequence);
        Self { time, disk, strict_sequence, store }
    }
}

fn manual_time() -> Time {
    Time::Manual(ManualClock::new(Timestamp::from_micros(1_750_000_000_000_000)))
}

fn open(disk: &Arc<Mutex<Disk>>, time: &Time, strict_sequence: bool) -> Arc<MapStore> {
    let clock: SharedClock = match time {
        Time::Manual(clock) => Arc::new(clock.clone()),
        Time::Real { .. } => SystemClock::shared(),
    };
    Arc::new(MapStore::open(disk, clock, LARGEST_OUTCOME as u64, strict_sequence))
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
        self.store = open(&self.disk, &self.time, self.strict_sequence);
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
