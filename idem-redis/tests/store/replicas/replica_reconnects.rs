//! A replica that comes back before its master has noticed that it was gone: for a moment the master lists it twice.

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

/// A proxy in front of a server that can leave connections half open: the server does not notice that the client is gone.
struct HalfOpen {
    node: Node,
    /// Ends the client's side of every connection.
    close_client: Arc<Notify>,
    /// Ends the server's side too.
    close_server: Arc<Notify>,
    _connections: JoinSet<()>,
}

impl HalfOpen {
    async fn before(server: &Node) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (node, to) = (Node::new(listener.local_addr().unwrap()), server.addr());
        let (close_client, close_server) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let mut connections = JoinSet::new();
        connections.spawn({
            let (close_client, close_server) = (Arc::clone(&close_client), Arc::clone(&close_server));
            async move {
                let mut carried = JoinSet::new();
                while let Ok((mut client, _)) = listener.accept().await {
                    let (close_client, close_server) = (Arc::clone(&close_client), Arc::clone(&close_server));
                    carried.spawn(async move {
                        let mut server = TcpStream::connect(to).await.unwrap();
                        tokio::select! {
                            _ = copy_bidirectional(&mut client, &mut server) => return,
                            () = close_client.notified() => drop(client),
                        }
                        let mut nowhere = [0; 4_096];
                        let swallow =
                            async { while server.read(&mut nowhere).await.is_ok_and(|read| read > 0) {} };
                        tokio::select! {
                            () = swallow => {}
                            () = close_server.notified() => {}
                        }
                    });
                }
            }
        });
        Self { node, close_client, close_server, _connections: connections }
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
async fn a_replica_listed_twice_is_counted_once() {
    let (master, replica) = (Server::lone().await, Server::lone().await);
    let proxy = HalfOpen::before(&master).await;
    replica.run(&["REPLICAOF", &proxy.node.host().to_string(), &proxy.node.port().to_string()]).await;
    online(&master, 1).await;
    let store = RedisStore::open(config(&master)).await.unwrap();
    assert!(store.capabilities().replicated);
    // The replica acknowledges writes, and is not only online.
    recovers(|| lock(&store, "before")).await;

    proxy.close_client.notify_waiters();
    online(&master, 2).await;
    // Time for several checks.
    sleep(Duration::from_secs(1)).await;
    proxy.close_server.notify_waiters();
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
    assert!(refused.is_none(), "the one replica holds every write, and yet: {refused:?}");
}
