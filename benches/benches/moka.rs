//! idem-moka beside bare moka. `cargo bench -p idem-benches --bench moka [-- --quick] [-- --check]`
//!
//! Bare moka is one unbounded cache, like the store's own, from the 48-byte key to a shared record. The store's bounds
//! are so high that no run reaches them: no refusals are measured.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use idem_benches::{
    Backend, Bar, Baseline, Executing, Figure, Payload, Place, RETENTION, Raw, Result, Rows, Session, Whole,
    Workload, bytes_per_record, fill, outcome_of_work, run, sweep, whole,
};
use idem_core::clock::{ManualClock, SharedClock, SystemClock, Timestamp};
use idem_core::{Key, Store};
use idem_moka::{MokaConfig, MokaStore};

const KIB: usize = 1_024;
/// Records that the caller removes at a time while a sweep is measured.
const SWEEP_BUDGET: usize = 1_000;

fn main() -> ExitCode {
    run(env!("CARGO_TARGET_TMPDIR"), bench)
}

async fn bench(session: &mut Session) -> Result<()> {
    let memory = memory(session).await?;
    let mut figures = rates(&session.measure("moka", &Moka, &session.plan).await?);
    figures.extend(memory);
    let idem = || Ok(Executing::new(store(SystemClock::shared())?));
    figures.extend(whole(session, "moka-execute", idem, || Ok(ByHand::new())).await?);
    figures.extend(sweeping(session).await?);
    session.must_hold("moka", figures)
}

fn store(clock: SharedClock) -> Result<Arc<dyn Store>> {
    let mut config = MokaConfig::default();
    (config.max_bytes, config.max_entries, config.max_locks) = (1 << 44, 1 << 32, 1 << 26);
    Ok(Arc::new(MokaStore::with_clock(config, clock)?))
}

struct Moka;

impl Backend for Moka {
    type Raw = Bare;
    const IN_MEMORY: bool = true;

    async fn store(&self, _directory: &Path) -> Result<Arc<dyn Store>> {
        store(SystemClock::shared())
    }

    async fn baselines(&self, _directory: &Path, _workload: Workload) -> Result<Vec<Baseline<Bare>>> {
        Ok(vec![Baseline { name: "bare moka", raw: Bare::new() }])
    }
}

struct Bare {
    cache: moka::sync::Cache<[u8; Key::STORAGE_LEN], Arc<[u8]>>,
}

impl Bare {
    fn new() -> Self {
        Self { cache: moka::sync::Cache::builder().build() }
    }
}

impl Raw for Bare {
    async fn fill(&self, keys: &[Key], record: &Arc<[u8]>) -> Result<()> {
        for key in keys {
            // Each record is an allocation of its own, as real ones are.
            self.cache.insert(*key.storage_key(), Arc::from(&**record));
        }
        self.cache.run_pending_tasks();
        Ok(())
    }

    async fn lock(&self, key: &Key, payload: &Payload) -> Result<()> {
        self.cache.insert(*key.storage_key(), Arc::clone(&payload.lock_record));
        Ok(())
    }

    async fn cycle(&self, key: &Key, payload: &Payload) -> Result<()> {
        self.cache.insert(*key.storage_key(), Arc::clone(&payload.lock_record));
        self.cache.insert(*key.storage_key(), Arc::clone(&payload.outcome_record));
        Ok(())
    }

    async fn get(&self, key: &Key) -> Result<Option<usize>> {
        Ok(std::hint::black_box(self.cache.get(key.storage_key())).map(|record| record.len()))
    }

    fn place(&self, _workload: Workload) -> Place {
        Place::Tasks
    }
}

/// The best that an application can do with moka alone: look for the key, mark it as in progress, and keep the result.
/// Two callers at once would both run the work.
struct ByHand {
    cache: moka::sync::Cache<String, Bytes>,
}

impl ByHand {
    fn new() -> Self {
        Self { cache: moka::sync::Cache::builder().build() }
    }
}

impl Whole for ByHand {
    async fn request(&self, number: u64) -> Result<bool> {
        let key = format!("account 7/order {number}");
        if let Some(outcome) = self.cache.get(&key) {
            std::hint::black_box(outcome);
            return Ok(false);
        }
        self.cache.insert(key.clone(), Bytes::new());
        let outcome = outcome_of_work();
        self.cache.insert(key, outcome.clone());
        std::hint::black_box(outcome);
        Ok(true)
    }
}

fn rates(all: &[Rows]) -> Vec<Figure> {
    let ratio = |workload, callers| all.first()?.get(workload, callers, KIB).map(|row| row.ratio);
    let held = |what: &str, workload, callers, bar| {
        Figure::held(format!("{what}, callers: {callers}"), ratio(workload, callers), "x", Bar::AtLeast(bar))
    };
    vec![
        held("cycle against insert + insert", Workload::Cycle, 1, 1.2),
        held("cycle against insert + insert", Workload::Cycle, 64, 1.2),
        held("hot replay against get", Workload::HotReplay, 1, 0.7),
        held("hot replay against get", Workload::HotReplay, 64, 0.5),
    ]
}

/// Memory per record. Must be measured first, while the allocator has nothing to reuse.
async fn memory(session: &Session) -> Result<Vec<Figure>> {
    let records = session.plan.memory_records;
    let store = store(SystemClock::shared())?;
    let per_record =
        bytes_per_record(records, async |keys| fill(&store, &keys, KIB, RETENTION).await).await?;
    let (bare, record) = (Bare::new(), Payload::new(KIB)?.outcome_record);
    let bare_per_record = bytes_per_record(records, async |keys| bare.fill(&keys, &record).await).await?;
    let what = format!("memory per completed record of 1 KiB, over {records}");
    Ok(vec![
        Figure::held(what, per_record, "B", Bar::AtMost(1_536.0)),
        Figure::reported("  the same in bare moka", bare_per_record, "B"),
    ])
}

/// Sweeps by calls of `expire`, one after the other.
async fn sweeping(session: &Session) -> Result<Vec<Figure>> {
    let clock = ManualClock::new(Timestamp::from_micros(1_700_000_000_000_000));
    let store = store(Arc::new(clock.clone()))?;
    sweep(store, &clock, SWEEP_BUDGET, Duration::ZERO, &session.plan).await
}
