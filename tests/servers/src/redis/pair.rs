//! A master and its replicas, without a cluster.

use std::time::Duration;

use super::options::ServerOptions;
use super::server::{Server, start_all};
use super::topology::in_sync;
use crate::process::poll;

const LONGEST_SYNC: Duration = Duration::from_secs(30);

/// A master with its replicas. There is no sentinel, so roles change only by commands of the test.
#[derive(Debug)]
pub struct Pair {
    master: Server,
    replicas: Vec<Server>,
}

impl Pair {
    /// Starts a master and as many replicas as `replicas` says, and waits until all are in sync.
    ///
    /// # Panics
    /// When a server does not start or does not get in sync.
    pub async fn start(replicas: usize) -> Self {
        Self::start_with(replicas, &Server::options()).await
    }

    /// Does as [`start`](Pair::start), with these options for every server.
    ///
    /// # Panics
    /// Those of [`start`](Pair::start).
    pub async fn start_with(replicas: usize, options: &ServerOptions) -> Self {
        let mut servers = start_all(vec![options.clone(); replicas + 1]).await.into_iter();
        let Some(master) = servers.next() else { panic!("no master was started") };
        let replicas: Vec<_> = servers.collect();
        for replica in &replicas {
            replica.run(&["REPLICAOF", &master.host().to_string(), &master.port().to_string()]).await;
        }
        let pair = Self { master, replicas };
        pair.wait_ok().await;
        pair
    }

    /// The master.
    #[must_use]
    pub fn master(&self) -> &Server {
        &self.master
    }

    /// The replicas.
    #[must_use]
    pub fn replicas(&self) -> &[Server] {
        &self.replicas
    }

    /// Waits until every replica's link is up, the master sees it online, and it has confirmed all writes. A restarted
    /// replica needs another `REPLICAOF` first.
    ///
    /// # Panics
    /// When that takes too long.
    pub async fn wait_ok(&self) {
        let replicas: Vec<_> = self.replicas.iter().map(Server::node).collect();
        if let Err(missing) = poll(LONGEST_SYNC, || in_sync(&self.master, &replicas, 0)).await {
            panic!("the pair did not get in sync: {missing}\n{}", self.master.log());
        }
    }
}
