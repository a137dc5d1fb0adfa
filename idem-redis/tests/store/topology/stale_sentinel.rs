//! A sentinel that was cut off before a failover, and is the only one that answers afterwards.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use idem_core::LockAnswer;
use idem_redis::{Acks, RedisConfig, RedisStore};
use idem_servers::redis::{Node, Server};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::support::{acquire, address, config, lock};

/// A fake sentinel, which can be made silent.
struct Sentinel {
    node: Node,
    is_silent: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    _connections: JoinSet<()>,
}

impl Sentinel {
    async fn naming(master: &Node, epoch: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (node, master) = (Node::new(listener.local_addr().unwrap()), master.addr());
        let (is_silent, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let mut connections = JoinSet::new();
        connections.spawn({
            let (is_silent, answered) = (Arc::clone(&is_silent), Arc::clone(&answered));
            async move {
                let mut carried = JoinSet::new();
                while let Ok((client, _)) = listener.accept().await {
                    if !is_silent.load(Ordering::SeqCst) {
                        carried.spawn(answer(client, master, epoch, Arc::clone(&answered)));
                    }
                }
            }
        });
        Self { node, is_silent, answered, _connections: connections }
    }
}

fn text(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

async fn answer(mut client: TcpStream, master: SocketAddr, epoch: u64, answered: Arc<AtomicUsize>) {
    let mut asked = [0; 4_096];
    while let Ok(read @ 1..) = client.read(&mut asked).await {
        let words = String::from_utf8_lossy(&asked[..read]).to_uppercase();
        let mut replies = String::new();
        for command in words.split('*').skip(1) {
            replies += &if command.contains("HELLO") {
                "%1\r\n".to_owned() + &text("proto") + ":3\r\n"
            } else if command.contains("GET-MASTER-ADDR-BY-NAME") {
                "*2\r\n".to_owned() + &text(&master.ip().to_string()) + &text(&master.port().to_string())
            } else if command.contains("MASTER") {
                answered.fetch_add(1, Ordering::SeqCst);
                let pairs = ["num-slaves", "0", "config-epoch", &epoch.to_string()].map(text).concat();
                "*4\r\n".to_owned() + &pairs
            } else {
                "+OK\r\n".to_owned()
            };
        }
        if client.write_all(replies.as_bytes()).await.is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stale_sentinel_is_not_believed_although_it_alone_answers() {
    let (former, present) = (Server::lone().await, Server::lone().await);
    let (stale, fresh) = (Sentinel::naming(&former, 1).await, Sentinel::naming(&present, 2).await);
    let mut config: RedisConfig = config(&present);
    let sentinels = [address(&stale.node), address(&fresh.node)];
    config.deployment = RedisConfig::sentinel("shop", sentinels.clone()).deployment;
    (config.servers, config.acks) = (sentinels.to_vec(), Some(Acks::Count(0)));
    let store = RedisStore::open(config).await.unwrap();
    let _lease = acquire(&store, "order").await;
    let written = present.run(&["EXISTS", &store.redis_key(&crate::support::key("order"))]).await;
    assert_eq!(written.text(), "1", "the sentinel with the higher epoch names the master");

    fresh.is_silent.store(true, Ordering::SeqCst);
    let before = stale.answered.load(Ordering::SeqCst);
    let asked = async {
        while stale.answered.load(Ordering::SeqCst) < before + 3 {
            let answer = lock(&store, "order").await;
            assert!(matches!(answer, Ok(LockAnswer::InProgress { .. })), "it is held, and yet: {answer:?}");
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_mins(1), asked).await.unwrap();
    let answer = lock(&store, "order").await;
    assert!(matches!(answer, Ok(LockAnswer::InProgress { .. })), "it is held, and yet: {answer:?}");
}

/// Periodic checks are an hour apart, so only the failed call can trigger the search.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_server_makes_the_store_look_for_the_master_again() {
    let (former, present) = (Server::lone().await, Server::lone().await);
    let (stale, fresh) = (Sentinel::naming(&former, 1).await, Sentinel::naming(&present, 2).await);
    fresh.is_silent.store(true, Ordering::SeqCst);
    let mut config: RedisConfig = config(&present);
    let sentinels = [address(&stale.node), address(&fresh.node)];
    config.deployment = RedisConfig::sentinel("shop", sentinels.clone()).deployment;
    (config.servers, config.acks) = (sentinels.to_vec(), Some(Acks::Count(0)));
    config.check_interval = Duration::from_hours(1);
    let store = RedisStore::open(config).await.unwrap();
    let _lease = acquire(&store, "order").await;

    // The server that the stale sentinel names is refused, and the other sentinel knows of a failover.
    former.run(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]).await;
    former.run(&["CLIENT", "KILL", "TYPE", "normal"]).await;
    assert!(lock(&store, "another").await.is_err(), "it evicts");
    fresh.is_silent.store(false, Ordering::SeqCst);
    crate::support::recovers(|| lock(&store, "another")).await;
}
