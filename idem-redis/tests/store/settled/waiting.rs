//! Waiting for a key that another store holds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use idem_core::{Lease, Store};
use idem_redis::{Acks, RedisStore};
use idem_servers::redis::{Cluster, Node, Server, slot};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

use crate::support::{acquire, calls_of, cluster_config, complete, config, key, lone};

const LONG: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread")]
async fn waiters_of_another_store_are_notified_and_leave_no_subscription_or_connection_behind() {
    let (server, store) = lone().await;
    let other = RedisStore::open(config(&server)).await.unwrap();
    let lease = acquire(&store, "order").await;
    let mut waiters = JoinSet::new();
    for _ in 0..500 {
        let other = other.clone();
        waiters.spawn(async move { other.settled(&key("order"), LONG).await });
    }
    let name = store.redis_key(lease.key());
    subscribed(&server, &name, "1").await;
    let clients = server.run(&["CLIENT", "LIST"]).await.text();
    // One for the calls of each store, one for the notifications of `other`, and the one that asks.
    assert!(clients.lines().count() <= 4, "{clients}");
    let _ = complete(&store, &lease).await.unwrap();
    let answers = timeout(Duration::from_secs(20), waiters.join_all()).await.unwrap();
    assert!(answers.into_iter().all(|settled| settled.unwrap()));
    subscribed(&server, &name, "0").await;
}

#[tokio::test]
async fn waiters_beyond_the_bound_and_without_notifications_still_end() {
    let server = Server::options().config("user idem on >pw ~* resetchannels +@all").start().await;
    for (most, username) in [(0, None), (1_024, Some("idem"))] {
        let mut config = config(&server);
        config.max_waiters = most;
        config.username = username.map(str::to_owned);
        config.password = username.map(|_| "pw".to_owned());
        let store = RedisStore::open(config).await.unwrap();
        let lease = acquire(&store, &format!("order-{most}")).await;
        let waiting = waits(&store, &lease);
        sleep(Duration::from_millis(50)).await;
        let _ = complete(&store, &lease).await.unwrap();
        assert!(timeout(Duration::from_secs(20), waiting).await.unwrap().unwrap().unwrap());
    }
}

/// How often the server ran a script: while a test waits for a key, that is how often the key was polled.
async fn polls(server: &Server) -> u64 {
    calls_of(server, "evalsha").await
}

/// Counted, not timed: four polls are due in a second, and one where notifications come.
#[tokio::test]
async fn a_waiter_without_notifications_polls_more_often() {
    let server = Server::options().config("user idem on >pw ~* resetchannels +@all").start().await;
    for (username, at_least, at_most) in [(Some("idem"), 9, u64::MAX), (None, 0, 8)] {
        let mut config = config(&server);
        config.check_interval = LONG;
        config.username = username.map(str::to_owned);
        config.password = username.map(|_| "pw".to_owned());
        let store = RedisStore::open(config).await.unwrap();
        let lease = acquire(&store, &format!("order of {username:?}")).await;
        let before = polls(&server).await;
        assert!(!store.settled(lease.key(), Duration::from_secs(5)).await.unwrap());
        let polls = polls(&server).await - before;
        assert!((at_least..=at_most).contains(&polls), "{polls} polls of {username:?}");
    }
}

#[tokio::test]
async fn a_waiter_whose_connection_is_killed_still_ends() {
    let (server, store) = lone().await;
    let lease = acquire(&store, "order").await;
    let waiting = waits(&store, &lease);
    subscribed(&server, &store.redis_key(lease.key()), "1").await;
    server.run(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
    let _ = complete(&store, &lease).await.unwrap();
    assert!(timeout(Duration::from_secs(20), waiting).await.unwrap().unwrap().unwrap());
}

#[tokio::test]
async fn failed_connections_and_dropped_stores_leave_no_task_behind() {
    let (server, store) = lone().await;
    let lease = acquire(&store, "order").await;
    let name = store.redis_key(lease.key());
    // One more task, for the connection for notifications.
    let most = alive() + 1;
    for _ in 0..8 {
        let waiting = waits(&store, &lease);
        subscribed(&server, &name, "1").await;
        server.run(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
        waiting.abort();
        // Reconnects.
        assert!(store.get(lease.key()).await.unwrap().is_some());
        at_most(most).await;
    }
    drop((store, lease));
    at_most(0).await;
}

fn alive() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

async fn at_most(tasks: usize) {
    let ended = async {
        while alive() > tasks {
            sleep(Duration::from_millis(5)).await;
        }
    };
    let ended = timeout(Duration::from_secs(10), ended).await;
    ended.unwrap_or_else(|_| panic!("{} tasks are left, beyond {tasks}", alive()));
}

/// A task that waits for the key of `lease`.
fn waits(store: &RedisStore, lease: &Lease) -> JoinHandle<idem_core::Result<bool>> {
    let (store, key) = (store.clone(), *lease.key());
    tokio::spawn(async move { store.settled(&key, LONG).await })
}

async fn subscribed(server: &Node, channel: &str, count: &str) {
    let wait = async {
        while server.run(&["PUBSUB", "SHARDNUMSUB", channel]).await.elements()[1].text() != count {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(20), wait).await.unwrap();
}

/// The error reply to a refused subscription must not be taken for the answer to another call.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_who_may_not_subscribe_gets_the_answers_to_its_own_calls() {
    let server = Server::options().config("user idem on >pw ~* &* +@all -@pubsub").start().await;
    let mut config = config(&server);
    (config.username, config.password) = (Some("idem".to_owned()), Some("pw".to_owned()));
    (config.response_timeout, config.call_timeout) = (Duration::from_secs(10), LONG);
    let store = RedisStore::open(config).await.unwrap();
    let lease = acquire(&store, "watched").await;
    let load = Load::begin(&store);
    for _ in 0..50 {
        assert!(!store.settled(lease.key(), Duration::from_millis(1)).await.unwrap());
    }
    load.end().await;
}

/// The server of a slot that moved away answers its subscribers with an error.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiters_whose_slot_moves_away_mix_up_no_answers() {
    let cluster = Cluster::start().await;
    let mut config = cluster_config(&cluster);
    // Generous, so that sixteen callers on a busy machine get no answer too late.
    (config.acks, config.response_timeout) = (Some(Acks::Count(0)), Duration::from_secs(10));
    config.call_timeout = LONG;
    let store = RedisStore::open(config).await.unwrap();
    let load = Load::begin(&store);
    for round in 0..6 {
        let lease = acquire(&store, &format!("watched {round}")).await;
        let slot = slot(store.redis_key(lease.key()).as_bytes());
        let from = cluster.master_of(slot).await;
        let waiting = waits(&store, &lease);
        subscribed(&from, &store.redis_key(lease.key()), "1").await;
        let to = cluster.masters().await.into_iter().find(|node| *node != from).unwrap();
        cluster.migrate_slot(slot, &to).await;
        // Before the waiter polls again, and learns where the slot is now.
        waiting.abort();
        sleep(Duration::from_millis(100)).await;
    }
    load.end().await;
}

/// Concurrent callers, each of whose answers is checked.
struct Load {
    callers: JoinSet<u32>,
    stop: Arc<AtomicBool>,
}

impl Load {
    fn begin(store: &RedisStore) -> Self {
        let (mut callers, stop) = (JoinSet::new(), Arc::new(AtomicBool::new(false)));
        for caller in 0..16 {
            let (store, stop) = (store.clone(), Arc::clone(&stop));
            callers.spawn(async move {
                let mut turn = 0;
                while !stop.load(Ordering::Relaxed) {
                    let lease = acquire(&store, &format!("{caller}-{turn}")).await;
                    let record = store.get(lease.key()).await.unwrap().unwrap();
                    assert_eq!(record.token, lease.token(), "the answer to another call");
                    turn += 1;
                }
                turn
            });
        }
        Self { callers, stop }
    }

    async fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        let turns: u32 = self.callers.join_all().await.into_iter().sum();
        assert!(turns > 100, "hardly any call was made");
    }
}
