//! Workers that use stores while faults happen to the servers.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use idem_core::Claim;
use idem_redis::{Acks, RedisConfig, RedisStore};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::callers::caller::{Caller, new_owner};
use crate::callers::worker::{RETENTION, Round, work};
use crate::judge::checker::check;
use crate::judge::history::{Answer, History, Micros};
use crate::judge::rules::{Reads, Report, Rules};
use crate::rng::Rng;

pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(2);
/// How late a call may be because other processes use the CPU.
const SLACK: Duration = Duration::from_secs(2);
/// Much longer than a failover takes.
const LONGEST_OUTAGE: Duration = Duration::from_secs(40);
/// Workers of each store.
const WORKERS: u32 = 12;
/// Keys of one probe: enough for every master to have some.
const PROBES: u32 = 24;
/// The number of the first key of the probes, above those of the workers.
const FIRST_PROBE: u32 = 1_000_000;

pub(crate) struct Load {
    pub(crate) round: Round,
    callers: Vec<Caller>,
    tasks: JoinSet<()>,
    history: History,
    probes: u32,
}

/// Time limits that suit the failovers of these tests: a call may fail before a failover is complete.
pub(crate) fn limits(mut config: RedisConfig, acks: Option<Acks>) -> RedisConfig {
    config.acks = acks;
    config.call_timeout = CALL_TIMEOUT;
    config.connect_timeout = Duration::from_millis(500);
    config.response_timeout = Duration::from_millis(800);
    config.ack_timeout = Duration::from_millis(300);
    config.check_interval = Duration::from_secs(2);
    config
}

pub(crate) fn cluster_config(servers: &[SocketAddr], acks: Option<Acks>) -> RedisConfig {
    let servers = servers.iter().map(|addr| addr.to_string().parse().unwrap());
    limits(RedisConfig::cluster(servers), acks)
}

impl Load {
    /// Opens a store for each of `configs` and starts its workers. Rounds with different `label`s use different keys.
    pub(crate) async fn begin(configs: Vec<RedisConfig>, label: &str, seed: u64, round: Round) -> Self {
        let history = History::default();
        let mut rng = Rng::new(seed);
        let mut load =
            Self { round, callers: Vec::new(), tasks: JoinSet::new(), history: history.clone(), probes: 0 };
        for (number, config) in (0..).zip(configs) {
            let confirms = config.confirm_replays;
            let store = RedisStore::open(config).await.unwrap();
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
        let keys = FIRST_PROBE + self.probes..FIRST_PROBE + self.probes + PROBES;
        self.probes += PROBES;
        for caller in &self.callers {
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
    pub(crate) async fn finish(mut self, reads: Reads) -> Report {
        self.stop().await;
        self.sweep().await;
        let longest_call = u64::try_from((CALL_TIMEOUT + SLACK).as_micros()).unwrap();
        check(&self.history.take(), Rules { longest_call, reads })
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
