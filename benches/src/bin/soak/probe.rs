//! What a store takes, sampled while it is under load.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use idem_conformance::redis::{Node, Reply};
use idem_core::Store;
use idem_moka::MokaStore;
use idem_redb::RedbStoreExt as _;
use tokio::runtime::Handle;

use crate::ledger::Ledger;

/// One second of a run.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sample {
    /// Records that came in during this second.
    pub(crate) entered: u64,
    /// Records that the store holds, expired ones included, where it can say.
    pub(crate) records: Option<u64>,
    pub(crate) file: Option<u64>,
    pub(crate) memory: Option<u64>,
    pub(crate) tasks: u64,
    pub(crate) lock_p99: Duration,
}

pub(crate) struct Probe {
    store: Arc<dyn Store>,
    /// Where the store keeps everything, by its URI.
    file: Option<PathBuf>,
    server: Option<Node>,
    entered: u64,
}

impl Probe {
    pub(crate) fn new(store: &Arc<dyn Store>, uri: &str) -> Self {
        let file = uri.strip_prefix("redb:").map(|path| path.split('?').next().unwrap_or(path).into());
        let address = uri.strip_prefix("redis://").and_then(|address| address.parse().ok());
        Self { store: Arc::clone(store), file, server: address.map(Node::new), entered: 0 }
    }

    pub(crate) async fn sample(&mut self, ledger: &Ledger) -> Sample {
        let before = std::mem::replace(&mut self.entered, ledger.entered.load(Relaxed));
        Sample {
            entered: self.entered - before,
            records: self.records().await,
            file: self.file.as_ref().and_then(|file| Some(std::fs::metadata(file).ok()?.len())),
            memory: idem_benches::resident(),
            tasks: Handle::current().metrics().num_alive_tasks() as u64,
            lock_p99: ledger.take_lock_p99(),
        }
    }

    async fn records(&self) -> Option<u64> {
        if let Some(redb) = self.store.as_redb() {
            let stats = redb.stats().await.ok()?;
            return Some(stats.unfinished + stats.completed);
        }
        if let Some(server) = &self.server {
            let Ok(Reply::Integer(keys)) = server.command(&["DBSIZE"]).await else { return None };
            return u64::try_from(keys).ok();
        }
        let moka: &MokaStore = self.store.as_any().downcast_ref()?;
        let stats = moka.stats();
        Some(stats.locks + stats.completed)
    }
}

impl Sample {
    pub(crate) const HEADER: &str = "    s   entered   records    file MiB  memory MiB  tasks  lock p99 ms";
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_none =
            |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
        let mebibytes = |bytes: Option<u64>| or_none(bytes.map(|bytes| bytes >> 20));
        write!(
            f,
            "{:>9} {:>9} {:>11} {:>11} {:>6} {:>12.1}",
            self.entered,
            or_none(self.records),
            mebibytes(self.file),
            mebibytes(self.memory),
            self.tasks,
            self.lock_p99.as_secs_f64() * 1_000.0,
        )
    }
}
