//! A primary that is lost, and a standby that takes its place.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use idem_core::{Effect, ErrorKind, Store as _};
use idem_postgres::{PostgresConfig, PostgresStore};
use idem_servers::postgres::{Node, Pair};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::support::{RETENTION, claim, config_of, end_sessions, key, lock, open, value};

const LONGEST: Duration = Duration::from_mins(2);

/// Knows both servers, and outlasts a failover.
fn config(pair: &Pair) -> PostgresConfig {
    let mut config = config_of(pair.primary().node());
    config.servers.push(pair.standby().addr().to_string().parse().unwrap());
    (config.sweep, config.call_timeout) = (false, LONGEST);
    (config.connect_timeout, config.response_timeout) = (Duration::from_millis(500), Duration::from_secs(1));
    config
}

/// Callers that complete one key after the other.
struct Load {
    callers: JoinSet<Vec<String>>,
    acknowledged: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
}

impl Load {
    fn start(store: &PostgresStore, callers: usize) -> Self {
        let mut load = Self { callers: JoinSet::new(), acknowledged: Arc::default(), over: Arc::default() };
        for caller in 0..callers {
            let (store, acknowledged, over) =
                (store.clone(), Arc::clone(&load.acknowledged), Arc::clone(&load.over));
            load.callers.spawn(async move {
                let mut names = Vec::new();
                while !over.load(Ordering::Relaxed) {
                    let name = format!("{caller}-{}", names.len());
                    complete(&store, &name).await;
                    names.push(name);
                    acknowledged.fetch_add(1, Ordering::Relaxed);
                }
                names
            });
        }
        load
    }

    /// Waits until so many more are acknowledged.
    async fn go_on(&self, more: usize) {
        let enough = self.acknowledged.load(Ordering::Relaxed) + more;
        let acknowledged = async {
            while self.acknowledged.load(Ordering::Relaxed) < enough {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(LONGEST, acknowledged).await.unwrap();
    }

    /// The names of the keys that are completed.
    async fn end(self) -> Vec<String> {
        self.over.store(true, Ordering::Relaxed);
        self.callers.join_all().await.concat()
    }
}

async fn complete(store: &PostgresStore, name: &str) {
    let lease = lock(store, &key(name), &claim()).await;
    assert_eq!(lease.attempt(), 1, "{name}");
    assert_eq!(store.complete(&lease, value("done"), RETENTION).await.unwrap(), Effect::Applied, "{name}");
}

async fn completed(server: Node, config: &PostgresConfig) -> usize {
    let rows = format!("SELECT count(*) FROM {}.records WHERE state = 3", config.schema);
    server.sql(&rows).await.parse().unwrap()
}

#[tokio::test]
async fn what_a_synchronous_standby_acknowledged_outlives_the_primary_and_is_there_once() {
    for freezes in [false, true] {
        let pair = Pair::start().await;
        let mut config = config(&pair);
        config.acks = 1;
        let store = open(&config).await;
        let load = Load::start(&store, 32);
        load.go_on(200).await;
        if freezes {
            pair.primary().stop();
        } else {
            pair.primary().kill();
        }
        pair.promote().await;
        let _follower = pair.follower().await;
        load.go_on(200).await;
        if freezes {
            // It goes on with what it had begun, and nobody believes it.
            pair.primary().cont();
            load.go_on(200).await;
        }
        let names = load.end().await;
        assert_eq!(completed(pair.standby().node(), &config).await, names.len());
        for name in names {
            let record = store.get(&key(&name)).await.unwrap().unwrap_or_else(|| panic!("{name} is lost"));
            assert_eq!(record.attempt, 1, "{name}");
        }
        assert!(store.capabilities().replicated);
    }
}

/// What nobody has promised.
#[tokio::test]
async fn what_an_asynchronous_standby_does_not_have_is_lost_with_the_primary() {
    let pair = Pair::options().asynchronous().start().await;
    let config = config(&pair);
    let store = open(&config).await;
    for number in 0..20 {
        complete(&store, &format!("kept {number}")).await;
    }
    pair.wait_ok().await;
    pair.standby().kill();
    for number in 0..30 {
        complete(&store, &format!("lost {number}")).await;
    }
    assert!(store.capabilities().durable && !store.capabilities().replicated);
    pair.primary().kill();
    pair.standby().restart().await;
    pair.promote().await;
    for (what, number, is_there) in [("kept", 20, true), ("lost", 30, false)] {
        for number in 0..number {
            let record = store.get(&key(format!("{what} {number}"))).await.unwrap();
            assert_eq!(record.is_some(), is_there, "{what} {number}");
        }
    }
    // Nothing of them is left, so the work would be done again.
    complete(&store, "lost 0").await;
}

/// It takes writes, stands first in the list, and knows nothing of the other one.
#[tokio::test]
async fn an_old_primary_that_comes_back_does_not_take_the_store_back() {
    let pair = Pair::options().asynchronous().start().await;
    let mut config = config(&pair);
    config.call_timeout = Duration::from_secs(15);
    let store = open(&config).await;
    complete(&store, "before").await;
    pair.wait_ok().await;
    pair.primary().kill();
    pair.promote().await;
    complete(&store, "after").await;
    pair.primary().restart().await;
    for number in 0..3 {
        end_sessions(pair.standby()).await;
        complete(&store, &number.to_string()).await;
    }
    assert_eq!(completed(pair.standby().node(), &config).await, 5);
    assert_eq!(completed(pair.primary().node(), &config).await, 1);
    // Not even when nobody else is there.
    pair.standby().kill();
    let error = timeout(LONGEST, store.get(&key("before"))).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("it was replaced: its timeline is 1"), "{error}");
    // A process that begins now knows nothing of this.
    config.migrate = false;
    assert!(open(&config).await.get(&key("before")).await.unwrap().is_some());
}

/// Some connections of the store were not used while it was frozen.
#[tokio::test]
async fn an_old_primary_that_was_frozen_is_not_believed_by_connections_that_slept() {
    let pair = Pair::options().asynchronous().start().await;
    let config = config(&pair);
    let store = open(&config).await;
    let lease = lock(&store, &key("order"), &claim()).await;
    pair.wait_ok().await;
    pair.primary().stop();
    pair.promote().await;
    // By another connection than completions.
    drop(lock(&store, &key("other"), &claim()).await);
    pair.primary().cont();
    assert_eq!(store.complete(&lease, value("done"), RETENTION).await.unwrap(), Effect::Applied);
    assert_eq!(completed(pair.standby().node(), &config).await, 1);
    assert_eq!(completed(pair.primary().node(), &config).await, 0);
}
