//! A connection on which the server's data has not been checked yet: all calls need the same check.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use idem_core::{ErrorKind, Store};
use idem_redis::{Deployment, RedisConfig, RedisStore};
use idem_servers::redis::{Cluster, Node, Server, slot};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::proxy::{Act, Proxy, has};
use crate::support::{address, completed, config, key};

const LONG: Duration = Duration::from_mins(1);

/// A durable server to which the store reconnects while it is loading, so that its marker cannot be read.
struct Unchecked {
    server: Server,
    proxy: Proxy,
    /// Whether the server is slow to answer `INFO`.
    is_slow: Arc<AtomicBool>,
    /// How often the server was asked for `INFO`.
    asked: Arc<AtomicUsize>,
    is_loading: Arc<AtomicBool>,
}

impl Unchecked {
    async fn start() -> Self {
        let server = Server::options().appendonly().start().await;
        let (is_slow, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let is_loading = Arc::new(AtomicBool::new(false));
        let proxy = Proxy::start(&server, {
            let (is_slow, is_loading, asked) =
                (Arc::clone(&is_slow), Arc::clone(&is_loading), Arc::clone(&asked));
            move |_, request| {
                if has(request, "\r\nidem:marker:0\r\n") && is_loading.swap(false, Ordering::SeqCst) {
                    return Act::AnswerInstead(b"-LOADING it is starting\r\n");
                }
                if has(request, "\r\nINFO\r\n") {
                    asked.fetch_add(1, Ordering::SeqCst);
                    if is_slow.load(Ordering::SeqCst) {
                        return Act::Late(Duration::from_millis(400));
                    }
                }
                Act::Pass
            }
        })
        .await;
        Self { server, proxy, is_slow, asked, is_loading }
    }

    fn config(&self) -> RedisConfig {
        let mut config = config(&self.proxy.node());
        (config.response_timeout, config.check_interval) = (Duration::from_mins(1), Duration::from_hours(1));
        config
    }

    async fn connect_again(&self, store: &RedisStore) {
        self.is_loading.store(true, Ordering::SeqCst);
        self.server.run(&["CLIENT", "KILL", "TYPE", "normal"]).await;
        while self.is_loading.load(Ordering::SeqCst) {
            let _ = timeout(Duration::from_millis(20), store.get(&key("order"))).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_slower_than_a_call_is_not_restarted_by_every_call() {
    let unchecked = Unchecked::start().await;
    let mut config = unchecked.config();
    config.call_timeout = Duration::from_millis(300);
    let store = RedisStore::open(config).await.unwrap();
    unchecked.is_slow.store(true, Ordering::SeqCst);
    unchecked.connect_again(&store).await;
    let answered = async { while store.get(&key("order")).await.is_err() {} };
    assert!(
        timeout(Duration::from_secs(20), answered).await.is_ok(),
        "the server answers in 0.4 s, and yet no call succeeds"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_calls_share_one_check_that_finds_the_data_lost() {
    let unchecked = Unchecked::start().await;
    let store = RedisStore::open(unchecked.config()).await.unwrap();
    completed(&store, "order").await;
    unchecked.server.run(&["FLUSHALL"]).await;
    unchecked.connect_again(&store).await;
    sleep(Duration::from_millis(200)).await;
    let before = unchecked.asked.load(Ordering::SeqCst);
    let mut calls = JoinSet::new();
    for _ in 0..200 {
        let store = store.clone();
        calls.spawn(async move { store.get(&key("order")).await });
    }
    for answer in timeout(LONG, calls.join_all()).await.unwrap() {
        assert!(matches!(&answer, Err(error) if error.kind() == ErrorKind::Corrupt), "{answer:?}");
    }
    let asked = unchecked.asked.load(Ordering::SeqCst) - before;
    assert!(asked <= 20, "200 calls sent {asked} INFO");
}

/// When the connection is begun, the master has no slots, and so no marker to look for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_gets_its_first_slot_while_connecting_is_checked_again() {
    let cluster = Cluster::options().replicas(2).start().await;
    let (newcomer, seeds) = (cluster.replica_of(&cluster.nodes()[0]).await, &cluster.nodes()[..3]);
    newcomer.run(&["CLUSTER", "RESET", "SOFT"]).await;
    let (open, gate) = watch::channel(true);
    let (reached, mut at_gate) = watch::channel(false);
    let proxy = Proxy::start(&newcomer, move |_, request| {
        if has(request, "\r\nLOAD\r\n") && !*gate.borrow() {
            reached.send_replace(true);
            return Act::Gate(gate.clone());
        }
        Act::Pass
    })
    .await;
    join_as(&newcomer, &proxy.node(), &cluster).await;
    let mut config = config(&proxy.node());
    config.servers = seeds.iter().chain([&proxy.node()]).map(address).collect();
    let long = Duration::from_mins(1);
    (config.deployment, config.check_interval) = (Deployment::Cluster, Duration::from_hours(1));
    (config.call_timeout, config.response_timeout, config.connect_timeout) = (long, long, long);
    let store = RedisStore::open(config).await.unwrap();
    let first = slot(b"idem:marker:0");
    let mut names = (0..1_000_000).map(|number| format!("order {number}"));
    let name = names.find(|name| slot(store.redis_key(&key(name)).as_bytes()) == first).unwrap();
    completed(&store, &name).await;

    open.send_replace(false);
    newcomer.run(&["CLIENT", "KILL", "TYPE", "normal"]).await;
    // After a failed call the store asks all servers for the layout, and connects to those that it has no connection to.
    while !*at_gate.borrow_and_update() {
        cluster.master_of(first).await.run(&["CLIENT", "KILL", "TYPE", "normal"]).await;
        store.get(&key(&name)).await.unwrap();
        let _ = timeout(Duration::from_millis(200), at_gate.changed()).await;
    }
    cluster.migrate_slot(first, &newcomer).await;
    newcomer.run(&["FLUSHALL"]).await;
    let asking = tokio::spawn({
        let store = store.clone();
        async move { store.get(&key(&name)).await }
    });
    sleep(Duration::from_millis(500)).await;
    open.send_replace(true);
    let answer = asking.await.unwrap();
    assert!(
        matches!(&answer, Err(error) if error.kind() == ErrorKind::Corrupt),
        "the data are lost: {answer:?}"
    );
}

/// Has `newcomer` join `cluster` as a master that announces the address of `announced`.
async fn join_as(newcomer: &Node, announced: &Node, cluster: &Cluster) {
    let port = announced.port().to_string();
    newcomer.run(&["CONFIG", "SET", "cluster-announce-port", &port]).await;
    let first = &cluster.nodes()[0];
    newcomer.run(&["CLUSTER", "MEET", &first.host().to_string(), &first.port().to_string()]).await;
    let known = async {
        for node in cluster.nodes() {
            let knows = |nodes: &str| {
                nodes.lines().any(|line| line.contains(&format!(":{port}@")) && line.contains("master"))
            };
            while !knows(&node.run(&["CLUSTER", "NODES"]).await.text()) {
                sleep(Duration::from_millis(50)).await;
            }
        }
    };
    timeout(LONG, known).await.unwrap();
    cluster.wait_ok().await;
}
