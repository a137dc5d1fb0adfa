//! An address that has come to belong to another cluster.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use idem_core::{ErrorKind, LockAnswer, Store};
use idem_redis::{Acks, Deployment, RedisConfig, RedisStore};
use idem_servers::redis::{Cluster, Node, Server};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::support::{acquire, address, config, key, lock, refusal};

/// An address whose server can be replaced by another.
struct Reused {
    addr: SocketAddr,
    server: watch::Sender<SocketAddr>,
    connected: Arc<AtomicUsize>,
    _connections: JoinSet<()>,
}

impl Reused {
    async fn by(node: &Node) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (server, current) = watch::channel(node.addr());
        let connected = Arc::new(AtomicUsize::new(0));
        let mut connections = JoinSet::new();
        connections.spawn({
            let connected = Arc::clone(&connected);
            async move {
                let mut carried = JoinSet::new();
                while let Ok((mut client, _)) = listener.accept().await {
                    let (mut current, connected) = (current.clone(), Arc::clone(&connected));
                    carried.spawn(async move {
                        let at = *current.borrow_and_update();
                        let mut server = TcpStream::connect(at).await.unwrap();
                        connected.fetch_add(1, Ordering::SeqCst);
                        tokio::select! {
                            _ = copy_bidirectional(&mut client, &mut server) => {}
                            _ = current.changed() => {}
                        }
                    });
                }
            }
        });
        Self { addr, server, connected, _connections: connections }
    }
}

fn of(seeds: impl IntoIterator<Item = Node>) -> RedisConfig {
    let seeds: Vec<_> = seeds.into_iter().collect();
    let mut config = config(&seeds[0]);
    config.servers = seeds.iter().map(address).collect();
    (config.deployment, config.acks) = (Deployment::Cluster, Some(Acks::Count(0)));
    config
}

async fn clusters() -> [Cluster; 2] {
    let start = || Cluster::options().replicas(0).start();
    tokio::join!(start(), start()).into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_cluster_at_a_known_address_is_not_believed_whatever_its_epoch() {
    let [own, foreign] = clusters().await;
    let reused = Reused::by(&own.nodes()[0]).await;
    let store = RedisStore::open(of([Node::new(reused.addr), own.nodes()[1].clone()])).await.unwrap();
    for name in ["a", "b", "c", "d"] {
        acquire(&store, name).await;
    }
    let epoch = async |node: &Node| -> u64 {
        let info = node.run(&["CLUSTER", "INFO"]).await;
        info.field("cluster_current_epoch").unwrap().parse().unwrap()
    };
    // Raised above any epoch of the store's own cluster.
    while epoch(&foreign.nodes()[0]).await <= epoch(&own.nodes()[1]).await {
        for node in foreign.nodes() {
            node.run(&["CLUSTER", "BUMPEPOCH"]).await;
        }
    }
    let before = reused.connected.load(Ordering::SeqCst);
    reused.server.send_replace(foreign.nodes()[0].addr());
    let asked = async {
        while reused.connected.load(Ordering::SeqCst) < before + 3 {
            for name in ["a", "b", "c", "d"] {
                let answer = lock(&store, name).await;
                assert!(matches!(answer, Ok(LockAnswer::InProgress { .. })), "{name}: {answer:?}");
            }
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_mins(1), asked).await.unwrap();
    for name in ["a", "b", "c", "d"] {
        assert!(store.get(&key(name)).await.unwrap().is_some(), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_of_two_clusters_are_refused() {
    let [one, other] = clusters().await;
    let (kind, message) = refusal(of([one.nodes()[0].clone(), other.nodes()[0].clone()])).await;
    assert_eq!(kind, ErrorKind::InvalidConfig, "{message}");
    assert!(message.contains("different clusters"), "{message}");
}

/// Such as a server of a cluster that is just being created, or one that was removed from its own
/// (`redis-cli --cluster del-node`).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_cluster_is_not_believed_although_its_server_had_no_slots_at_first() {
    let own = Cluster::options().replicas(0).start().await;
    let reused = Reused::by(&own.nodes()[0]).await;
    let store = RedisStore::open(of([Node::new(reused.addr), own.nodes()[1].clone()])).await.unwrap();
    for name in ["a", "b", "c", "d"] {
        acquire(&store, name).await;
    }
    let foreign = Server::options().config("cluster-enabled yes").start().await;
    foreign.run(&["CLUSTER", "SET-CONFIG-EPOCH", "1000"]).await;
    let before = reused.connected.load(Ordering::SeqCst);
    reused.server.send_replace(foreign.addr());
    let asked = async {
        while reused.connected.load(Ordering::SeqCst) <= before {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_mins(1), asked).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    foreign.run(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]).await;
    let is_ok =
        async || foreign.run(&["CLUSTER", "INFO"]).await.field("cluster_state").as_deref() == Some("ok");
    while !is_ok().await {
        sleep(Duration::from_millis(50)).await;
    }
    for _ in 0..50 {
        for name in ["a", "b", "c", "d"] {
            let answer = lock(&store, name).await;
            assert!(!matches!(answer, Ok(LockAnswer::Acquired(_))), "{name} is held, and yet: {answer:?}");
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// Such as a server that was removed from a cluster, and raises its epoch by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configured_server_without_slots_does_not_hide_the_cluster() {
    let own = Cluster::options().replicas(0).start().await;
    let blank = Server::options().config("cluster-enabled yes").start().await;
    blank.run(&["CLUSTER", "SET-CONFIG-EPOCH", "1000"]).await;
    let opened = RedisStore::open(of([own.nodes()[0].clone(), blank.node().clone()])).await;
    assert!(opened.is_ok(), "{opened:?}");
}
