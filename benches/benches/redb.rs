//! idem-redb beside bare redb. `cargo bench -p idem-benches --bench redb [-- --quick] [-- --check]`
//!
//! Bare redb is one plain table from the 48-byte key to the record, with the store's durability, cache and
//! quick-repair: a transaction of its own for every write, committed before the next step, and for every get.
//! Quick-repair is on by default in idem-redb and off in redb, and it makes a lone commit slower. So that it does not
//! hide other costs, the writes are also compared with bare redb without quick-repair, and measured without it on both
//! sides.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use idem_benches::{
    Backend, Bar, Baseline, Figure, Payload, Place, Plan, RETENTION, Raw, Result, Rows, Session, Workload,
    fill, keys, mebibytes, resident, run, sweep,
};
use idem_core::clock::{ManualClock, Timestamp};
use idem_core::{Key, Store};
use idem_redb::{QuickRepair, RedbConfig, RedbStore};
use redb::{Database, ReadableDatabase, TableDefinition};
use tokio::task::block_in_place;

const TABLE: TableDefinition<'_, &[u8; Key::STORAGE_LEN], &[u8]> = TableDefinition::new("bare");
const KIB: usize = 1_024;

fn main() -> ExitCode {
    run(env!("CARGO_TARGET_TMPDIR"), bench)
}

async fn bench(session: &mut Session) -> Result<()> {
    let memory = memory(session).await?;
    let all = session.measure("redb", &Redb { quick_repair: QuickRepair::default() }, &session.plan).await?;
    let writes =
        Plan { workloads: &[Workload::Lock, Workload::Cycle], bytes: &[KIB], ..session.plan.clone() };
    let plain = session
        .measure("redb-without-quick-repair", &Redb { quick_repair: QuickRepair::Never }, &writes)
        .await?;

    let mut figures = Vec::new();
    if let [same, other] = &all[..] {
        figures.extend(write_figures("", same).map(|(what, value, bar)| held(what, value, bar)));
        figures.extend(replay_figures(same));
        figures.extend(write_figures(", without quick-repair below", other).map(reported));
    }
    figures.extend(
        plain.iter().flat_map(|rows| write_figures(", both without quick-repair", rows)).map(reported),
    );
    figures.extend(memory);
    figures.extend(sweeping(session).await?);
    session.must_hold("redb", figures)
}

struct Redb {
    quick_repair: QuickRepair,
}

impl Backend for Redb {
    type Raw = Bare;
    const IN_MEMORY: bool = false;

    async fn store(&self, directory: &Path) -> Result<Arc<dyn Store>> {
        let mut config = RedbConfig::new(directory.join("bench.idem"));
        config.quick_repair = self.quick_repair;
        Ok(Arc::new(RedbStore::open(config).await?))
    }

    async fn baselines(&self, directory: &Path, workload: Workload) -> Result<Vec<Baseline<Bare>>> {
        let cache = usize::try_from(RedbConfig::new("").cache_bytes)?;
        let is_quick = self.quick_repair != QuickRepair::Never;
        let bare = |file: &str, quick_repair| -> Result<Bare> {
            let db = Database::builder().set_cache_size(cache).create(directory.join(file))?;
            Ok(Bare { db, quick_repair })
        };
        let mut baselines = vec![Baseline { name: "bare redb", raw: bare("same.redb", is_quick)? }];
        if is_quick && workload.grows() {
            let raw = bare("plain.redb", false)?;
            baselines.push(Baseline { name: "bare redb without quick-repair", raw });
        }
        Ok(baselines)
    }
}

struct Bare {
    db: Database,
    quick_repair: bool,
}

impl Bare {
    fn commit<'a>(&self, records: impl Iterator<Item = (&'a Key, &'a [u8])>) -> Result<()> {
        let mut txn = self.db.begin_write()?;
        txn.set_quick_repair(self.quick_repair);
        let mut table = txn.open_table(TABLE)?;
        for (key, record) in records {
            table.insert(key.storage_key(), record)?;
        }
        drop(table);
        Ok(txn.commit()?)
    }

    fn commit_one(&self, key: &Key, record: &[u8]) -> Result<()> {
        // On a thread of its own this has no effect. In a task it lets the worker run other tasks.
        block_in_place(|| self.commit(std::iter::once((key, record))))
    }
}

impl Raw for Bare {
    async fn fill(&self, keys: &[Key], record: &Arc<[u8]>) -> Result<()> {
        block_in_place(|| self.commit(keys.iter().map(|key| (key, &**record))))
    }

    async fn lock(&self, key: &Key, payload: &Payload) -> Result<()> {
        self.commit_one(key, &payload.lock_record)
    }

    async fn cycle(&self, key: &Key, payload: &Payload) -> Result<()> {
        self.commit_one(key, &payload.lock_record)?;
        self.commit_one(key, &payload.outcome_record)
    }

    async fn get(&self, key: &Key) -> Result<Option<usize>> {
        let table = self.db.begin_read()?.open_table(TABLE)?;
        let record = table.get(key.storage_key())?;
        Ok(record.map(|record| std::hint::black_box(record.value().to_vec()).len()))
    }

    fn place(&self, workload: Workload) -> Place {
        // A contended workload is gets, except for one step in a thousand.
        if workload.grows() { Place::Threads } else { Place::Tasks }
    }
}

type Claimed = (String, Option<f64>, f64);

fn write_figures(note: &str, rows: &Rows) -> [Claimed; 3] {
    let one = rows.get(Workload::Cycle, 1, KIB).map(|row| row.raw_ops_per_s);
    let cycles = |callers| Some(rows.get(Workload::Cycle, callers, KIB)?.ops_per_s / one?);
    let lock = rows.get(Workload::Lock, 1, KIB).map(|row| row.ratio);
    [
        (format!("lock, 1 caller, against a bare commit{note}"), lock, 0.85),
        (format!("cycles/s of 64 callers against bare of 1{note}"), cycles(64), 12.0),
        (format!("cycles/s of 512 callers against bare of 1{note}"), cycles(512), 16.0),
    ]
}

fn replay_figures(rows: &Rows) -> impl Iterator<Item = Figure> {
    [1, 64].into_iter().flat_map(|callers| {
        let row = rows.get(Workload::Replay, callers, KIB);
        let what = format!("replay of 1 KiB, callers: {callers}");
        [
            held(format!("{what}, against a bare get"), row.map(|row| row.ratio), 0.7),
            Figure::held(format!("{what}, p50"), row.map(|row| row.p50_us), "us", Bar::AtMost(10.0)),
        ]
    })
}

fn held(what: String, value: Option<f64>, at_least: f64) -> Figure {
    Figure::held(what, value, "x", Bar::AtLeast(at_least))
}

fn reported((what, value, _): Claimed) -> Figure {
    Figure::reported(what, value, "x")
}

/// Resident memory of an idle store: just opened, and after more records than its cache holds.
async fn memory(session: &Session) -> Result<Vec<Figure>> {
    let before = resident();
    let store = Redb { quick_repair: QuickRepair::default() }.store(&session.directory()?).await?;
    let opened = mebibytes(before);
    fill(&store, &keys(session.plan.memory_records), KIB, RETENTION).await?;
    // Beyond the cache: the queue of waiting callers, one batch, and what redb itself needs.
    let cache = f64::from(u32::try_from(RedbConfig::new("").cache_bytes >> 20)?);
    let what = format!("memory, idle after {} records of 1 KiB", session.plan.memory_records);
    Ok(vec![
        Figure::reported("memory, idle, just opened", opened, "MiB"),
        Figure::held(what, mebibytes(before), "MiB", Bar::AtMost(cache + 32.0)),
    ])
}

/// The store's own sweeper sweeps; the calls here only watch it.
async fn sweeping(session: &Session) -> Result<Vec<Figure>> {
    let clock = ManualClock::new(Timestamp::from_micros(1_700_000_000_000_000));
    let mut config = RedbConfig::new(session.directory()?.join("sweep.idem"));
    config.sweep_interval = Duration::from_millis(5);
    let store = RedbStore::builder(config).clock(Arc::new(clock.clone())).open().await?;
    sweep(Arc::new(store), &clock, 0, Duration::from_millis(5), &session.plan).await
}
