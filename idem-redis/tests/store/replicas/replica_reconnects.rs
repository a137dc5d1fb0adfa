//! A replica that comes back before its master has noticed that it was gone: for a moment the master has it twice.

use std::sync::Arc;
use std::time::Duration;

use idem_core::Store;
use idem_redis::RedisStore;
use idem_servers::redis::{Node, Server};
use tokio::io::{AsyncReadExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::support::{config, lock, recovers};

const LONG: Duration = Duration::from_secs(30);

/// A way to a server on which the server is not told at once that the other side has gone.
struct HalfOpen {
    node: Node,
    /// Ends the client's side of every connection.
    leave: Arc<Notify>,
    /// Ends the server's side, too.
    told: Arc<Notify>,
    _connections: JoinSet<()>,
}

impl HalfOpen {
    async fn before(server: &Node) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (node, to) = (Node::new(listener.local_addr().unwrap()), server.addr());
        let (leave, told) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let mut connections = JoinSet::new();
        connections.spawn({
            let (leave, told) = (Arc::clone(&leave), Arc::clone(&told));
            async move {
                let mut carried = JoinSet::new();
                while let Ok((mut client, _)) = listener.accept().await {
                    let (leave, told) = (Arc::clone(&leave), Arc::clone(&told));
                    carried.spawn(async move {
                        let mut server = TcpStream::connect(to).await.unwrap();
                        tokio::select! {
                            _ = copy_bidirectional(&mut client, &mut server) => return,
                            () = leave.notified() => drop(client),
                        }
                        let mut nowhere = [0; 4_096];
                        let swallow =
                            async { while server.read(&mut nowhere).await.is_ok_and(|read| read > 0) {} };
                        tokio::select! {
                            () = swallow => {}
                            () = told.notified() => {}
                        }
                    });
                }
            }
        });
        Self { node, leave, told, _connections: connections }
    }
}

async fn online(master: &Node, replicas: usize) {
    let seen = async {
        loop {
            let info = master.run(&["INFO", "replication"]).await.text();
            if info.lines().filter(|line| line.contains("state=online")).count() == replicas {
                break;
            }
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(LONG, seen).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_its_master_has_twice_for_a_moment_is_one() {
    let (master, replica) = (Server::lone().await, Server::lone().await);
    let way = HalfOpen::before(&master).await;
    replica.run(&["REPLICAOF", &way.node.host().to_string(), &way.node.port().to_string()]).await;
    online(&master, 1).await;
    let store = RedisStore::open(config(&master)).await.unwrap();
    assert!(store.capabilities().replicated);
    // In step, and not only online.
    recovers(|| lock(&store, "before")).await;

    way.leave.notify_waiters();
    online(&master, 2).await;
    // Some checks.
    sleep(Duration::from_secs(1)).await;
    way.told.notify_waiters();
    online(&master, 1).await;

    let goes_on = async {
        let mut last = None;
        for turn in 0..5 {
            match lock(&store, &format!("after {turn}")).await {
                Ok(_) => return None,
                Err(error) => last = Some(error),
            }
        }
        last
    };
    let refused = goes_on.await;
    assert!(refused.is_none(), "its one replica holds all that is written, and yet: {refused:?}");
}
