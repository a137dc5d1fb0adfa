//! The harness of a broken store. It has all abilities, so that every case can run.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use idem_conformance::{Harness, Time, Unsupported};
use idem_core::clock::{ManualClock, Timestamp};
use idem_core::record::State;
use idem_core::{Key, Store};

use crate::broken::BrokenStore;
use crate::flaw::Flaw;
use crate::kept::lock;

pub(crate) struct BrokenHarness {
    store: Arc<BrokenStore>,
}

impl BrokenHarness {
    pub(crate) fn new(flaw: Flaw) -> Self {
        let clock = ManualClock::new(Timestamp::from_micros(1_750_000_000_000_000));
        Self { store: Arc::new(BrokenStore::open(flaw, Arc::default(), clock)) }
    }
}

#[async_trait]
impl Harness for BrokenHarness {
    fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    fn time(&self) -> Time {
        Time::Manual(self.store.clock.clone())
    }

    async fn reopen(&mut self) -> Result<(), Unsupported> {
        let (flaw, clock) = (self.store.flaw, self.store.clock.clone());
        let mut kept = lock(&self.store.kept).clone();
        match flaw {
            Flaw::ReopensEmpty => kept.records.clear(),
            Flaw::ReopensWithoutLocks => {
                kept.records.retain(|_, record| matches!(record.state, State::Completed(_)));
            }
            Flaw::ReopensWithFirstWrites => kept.records = kept.first.clone(),
            Flaw::ReopensWithoutHighWater => {
                kept.mark = None;
                kept.last_sequence = 0;
            }
            _ => {}
        }
        self.store = Arc::new(BrokenStore::open(flaw, Arc::new(Mutex::new(kept)), clock));
        Ok(())
    }

    async fn another(&mut self) -> Result<Arc<dyn Store>, Unsupported> {
        let kept = match self.store.flaw {
            Flaw::OpensAnotherEmpty => Arc::default(),
            _ => Arc::clone(&self.store.kept),
        };
        let mut another = BrokenStore::open(self.store.flaw, kept, self.store.clock.clone());
        another.waiters = Arc::clone(&self.store.waiters);
        Ok(Arc::new(another))
    }

    async fn corrupt(&mut self, key: &Key) -> Result<(), Unsupported> {
        let mut kept = lock(&self.store.kept);
        if self.store.flaw == Flaw::CorruptsNeighbours {
            let neighbours: Vec<_> = kept.records.keys().copied().collect();
            kept.corrupt.extend(neighbours);
        }
        kept.corrupt.insert(*key);
        Ok(())
    }
}
