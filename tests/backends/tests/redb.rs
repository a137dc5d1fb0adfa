//! Runs the kit on idem-redb, with a file of its own for every case.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use idem_conformance::{Harness, LARGEST_OUTCOME, Time, Unsupported, conformance};
use idem_core::clock::{ManualClock, Timestamp};
use idem_core::{Key, Store};
use idem_redb::{RedbConfig, RedbStore};
use tempfile::TempDir;

conformance!(redb, RedbHarness::new, lacks: [Shared]);

struct RedbHarness {
    folder: TempDir,
    clock: ManualClock,
    store: RedbStore,
}

impl RedbHarness {
    async fn new() -> Self {
        let (folder, clock) =
            (tempfile::tempdir().unwrap(), ManualClock::new(Timestamp::from_micros(1_750_000_000_000_000)));
        let store = open(folder.path(), &clock).await;
        Self { folder, clock, store }
    }
}

async fn open(folder: &Path, clock: &ManualClock) -> RedbStore {
    let mut config = RedbConfig::new(folder.join("case.idem"));
    config.max_outcome = LARGEST_OUTCOME as u64;
    config.sweep = false;
    RedbStore::builder(config).clock(Arc::new(clock.clone())).open().await.unwrap()
}

#[async_trait]
impl Harness for RedbHarness {
    fn store(&self) -> Arc<dyn Store> {
        Arc::new(self.store.clone())
    }

    fn time(&self) -> Time {
        Time::Manual(self.clock.clone())
    }

    async fn reopen(&mut self) -> Result<(), Unsupported> {
        self.store.close().await.unwrap();
        self.store = open(self.folder.path(), &self.clock).await;
        Ok(())
    }

    /// Flips a bit of the record's fingerprint wherever it occurs in the closed file.
    async fn corrupt(&mut self, key: &Key) -> Result<(), Unsupported> {
        let fingerprint = self.store.get(key).await.unwrap().unwrap().fingerprint;
        self.store.close().await.unwrap();
        let path = self.folder.path().join("case.idem");
        let mut bytes = fs::read(&path).unwrap();
        let places: Vec<_> = bytes
            .windows(fingerprint.as_bytes().len())
            .enumerate()
            .filter_map(|(at, window)| (window == fingerprint.as_bytes()).then_some(at))
            .collect();
        assert!(!places.is_empty(), "the file has the record");
        for at in places {
            bytes[at] ^= 1;
        }
        fs::write(&path, bytes).unwrap();
        self.store = open(self.folder.path(), &self.clock).await;
        Ok(())
    }
}
