//! Workers that use stores while faults happen to the servers.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use idem_core::{Claim, Store};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::callers::caller::{Caller, new_owner};
use crate::callers::worker::{RETENTION, Round, work};
use crate::judge::checker::check;
use crate::judge::history::{Answer, History, Micros};
use crate::judge::rules::{Reads, Report, Rules};
use crate::rng::Rng;

pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(2);
/// In milliseconds, longer than a call may take.
pub(crate) const LONGER_THAN_A_CALL: u64 = CALL_TIMEOUT.as_secs() * 1_000 + 300;
/// Much longer than a failover takes.
const LONGEST_OUTAGE: Duration = Duration::from_secs(40);
/// Workers of each store.
const WORKERS: u32 = 12;
/// Keys of one probe: enough for every master to have some.
const PROBES: u32 = 24;
/// The number of the first key of the probes, above those of the workers.
pub(crate) const FIRST_PROBE: u32 = 1_000_000;

/// A store, as one process would have it.
#[derive(Debug, Clone)]
pub(crate) struct Opened {
    pub(crate) store: Arc<dyn Store>,
    /// Whether a replay is as good as an acknowledged completion: all that must have an outcome before it is acknowledged
    /// have it before it is replayed.
    pub(crate) confirms: bool,
}

pub(crate) struct Load {
    pub(crate) round: Round,
    callers: Vec<Caller>,
    tasks: JoinSet<()>,
    history: History,
    probes: u32,
}

impl Load {
    /// Starts the workers of each store. Rounds with different `label`s use different keys.
    pub(crate) fn begin(stores: Vec<Opened>, label: &str, seed: u64, round: Round) -> Self {
        let history = History::default();
        let mut rng = Rng::new(seed);
        let mut load =
            Self { round, callers: Vec::new(), tasks: JoinSet::new(), history: history.clone(), probes: 0 };
        for (number, Opened { store, confirms }) in (0..).zip(stores) {
            let (history, label) = (history.clone(), label.to_owned());
            let first = Caller { store, history, label, confirms, worker: number * 100 };
            for worker in 1..=WORKERS {
                let caller = Caller { worker: first.worker + worker, ..first.clone() };
                load.tasks.spawn(work(caller, load.round.clone(), Rng::new(rng.next())));
            }
            load.callers.push(first);
        }
        load
    }

    /// The name in Redis of a key of the workers.
    pub(crate) fn redis_key(&self, key: u32) -> String {
        self.callers[0].redis_key(key)
    }

    /// Lets the workers run for `millis` milliseconds.
    pub(crate) async fn run(&self, millis: u64) {
        sleep(Duration::from_millis(millis)).await;
    }

    /// A caller of the first store, for calls besides those of the workers.
    pub(crate) fn caller(&self) -> &Caller {
        &self.callers[0]
    }

    pub(crate) fn history(&self) -> &History {
        &self.history
    }

    /// Waits until every store completes keys of all masters again, without having been reopened.
    ///
    /// # Panics
    /// When one does not.
    pub(crate) async fn answered(&mut self) {
        self.answered_by(self.callers.len()).await;
    }

    /// As [`answered`](Load::answered), by the first `stores` alone.
    ///
    /// # Panics
    /// When one of them does not.
    pub(crate) async fn answered_by(&mut self, stores: usize) {
        let keys = FIRST_PROBE + self.probes..FIRST_PROBE + self.probes + PROBES;
        self.probes += PROBES;
        for caller in &self.callers[..stores] {
            let mut probes = JoinSet::new();
            for key in keys.clone() {
                let caller = caller.clone();
                probes.spawn(async move { while !probe(&caller, key).await {} });
            }
            let all = timeout(LONGEST_OUTAGE, probes.join_all()).await;
            assert!(all.is_ok(), "calls do not succeed again by the store of worker {}", caller.worker);
        }
    }

    /// Stops the workers, reads every key once more, and checks the history.
    pub(crate) async fn finish(self, reads: Reads) -> Report {
        self.judged_by(&Rules::new(reads)).await
    }

    /// As [`finish`](Load::finish), by rules of the round's own.
    pub(crate) async fn judged_by(mut self, rules: &Rules) -> Report {
        self.end().await;
        check(&self.history.take(), rules)
    }

    /// Stops the workers, and reads every key once more.
    pub(crate) async fn end(&mut self) {
        self.stop().await;
        self.sweep().await;
    }

    /// Stops the workers.
    pub(crate) async fn stop(&mut self) {
        self.round.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
    }

    /// Reads and locks every key, so that the history shows whatever was lost.
    async fn sweep(&self) {
        let keys = self.round.keys();
        let mut sweeps = JoinSet::new();
        for lane in 0..16 {
            let caller = self.callers[0].clone();
            sweeps.spawn(async move {
                for key in (lane..keys).step_by(16) {
                    caller.get(key).await;
                    caller.lock(key, 0, &claim(), None).await;
                }
            });
        }
        sweeps.join_all().await;
    }
}

/// Locks and completes a key that no other caller uses. Whether it is completed now, by this call or an earlier one.
pub(crate) async fn probe(caller: &Caller, key: u32) -> bool {
    let claim = claim();
    let (lease, answer) = caller.lock(key, 0, &claim, None).await;
    let Some(lease) = lease else { return matches!(answer, Answer::Replayed(..)) };
    let value = format!("probe {key} of {:?}", claim.owner).into();
    matches!(caller.complete(key, &lease, value, RETENTION, None).await, Answer::Applied { .. })
}

fn claim() -> Claim {
    Claim { owner: new_owner(), lease: Duration::from_millis(500), retention: RETENTION }
}

/// In seconds, for messages.
pub(crate) fn seconds(micros: Micros) -> String {
    format!("{:.2} s", Duration::from_micros(micros).as_secs_f64())
}
