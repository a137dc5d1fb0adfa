//! Callers at work on a store while something happens to its servers.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use idem_core::Claim;
use idem_redis::{Acks, RedisConfig, RedisStore};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::callers::caller::{Caller, new_owner};
use crate::callers::worker::{Ground, RETENTION, work};
use crate::judge::checker::check;
use crate::judge::history::{Answer, History, Micros};
use crate::judge::rules::{Reads, Report, Rules};
use crate::rng::Rng;

pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(2);
/// How late a call may be because other processes use the processor.
const SLACK: Duration = Duration::from_secs(2);
/// Much longer than a failover takes.
const LONGEST_OUTAGE: Duration = Duration::from_secs(40);
/// Workers of each store.
const WORKERS: u32 = 12;
/// So many keys that every master has some.
const PROBES: u32 = 24;
/// Beyond the keys of the workers.
const FIRST_PROBE: u32 = 1_000_000;

pub(crate) struct Load {
    pub(crate) ground: Ground,
    callers: Vec<Caller>,
    tasks: JoinSet<()>,
    history: History,
    probes: u32,
}

/// Time limits that fit a failover of a test: each call may end before it is over.
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
    /// Opens a store for each of `configs` and sets workers on it. The keys of rounds with another `label` are
    /// others.
    pub(crate) async fn begin(configs: Vec<RedisConfig>, label: &str, seed: u64, ground: Ground) -> Self {
        let history = History::default();
        let mut rng = Rng::new(seed);
        let mut load =
            Self { ground, callers: Vec::new(), tasks: JoinSet::new(), history: history.clone(), probes: 0 };
        for (number, config) in (0..).zip(configs) {
            let confirms = config.confirm_replays;
            let store = RedisStore::open(config).await.unwrap();
            let (history, label) = (history.clone(), label.to_owned());
            let first = Caller { store, history, label, confirms, worker: number * 100 };
            for worker in 1..=WORKERS {
                let caller = Caller { worker: first.worker + worker, ..first.clone() };
                load.tasks.spawn(work(caller, load.ground.clone(), Rng::new(rng.next())));
            }
            load.callers.push(first);
        }
        load
    }

    /// Of a key of the workers.
    pub(crate) fn redis_key(&self, key: u32) -> String {
        self.callers[0].redis_key(key)
    }

    /// Lets them work for so long.
    pub(crate) async fn run(&self, millis: u64) {
        sleep(Duration::from_millis(millis)).await;
    }

    /// One more caller, by the first store.
    pub(crate) fn caller(&self) -> &Caller {
        &self.callers[0]
    }

    pub(crate) fn history(&self) -> &History {
        &self.history
    }

    /// Waits until calls for keys of all masters succeed by every store, which nobody opened again.
    ///
    /// # Panics
    /// When they do not.
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

    /// Ends the work, looks at every key once more, and judges.
    pub(crate) async fn finish(mut self, reads: Reads) -> Report {
        self.stop().await;
        self.sweep().await;
        let longest_call = u64::try_from((CALL_TIMEOUT + SLACK).as_micros()).unwrap();
        check(&self.history.take(), Rules { longest_call, reads })
    }

    /// Ends the work.
    pub(crate) async fn stop(&mut self) {
        self.ground.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
    }

    /// What was accepted is still there, and what was lost is found.
    async fn sweep(&self) {
        let keys = self.ground.keys();
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

/// Whether a key nobody else asks for is locked and completed, by however many calls.
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

/// In seconds, for people.
pub(crate) fn seconds(micros: Micros) -> String {
    format!("{:.2} s", Duration::from_micros(micros).as_secs_f64())
}
