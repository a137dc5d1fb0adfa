//! A cluster of servers.

use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use super::kind::ServerKind;
use super::node::Node;
use super::options::ServerOptions;
use super::server::{Server, start_all};
use super::topology::{SLOTS, Topology};
use crate::process::poll;

const LONGEST_MEETING: Duration = Duration::from_secs(30);

/// A running cluster. Dropping it kills its servers and removes their folders.
///
/// It is also its [`Topology`]: `cluster.masters().await`, `cluster.failover(&replica).await`.
#[derive(Debug)]
pub struct Cluster {
    topology: Topology,
    servers: Vec<Server>,
}

/// How to start a [`Cluster`].
#[must_use]
pub struct ClusterOptions {
    masters: usize,
    replicas: usize,
    node_timeout: Duration,
    kind: ServerKind,
    each: Box<dyn Fn(usize, ServerOptions) -> ServerOptions + Send + Sync>,
}

impl Cluster {
    /// Starts three masters with a replica each, and waits until [`wait_ok`](Topology::wait_ok) is satisfied. That
    /// takes a little over two seconds, since a master of a new cluster refuses commands for that long.
    ///
    /// # Panics
    /// Those of [`ClusterOptions::start`].
    pub async fn start() -> Self {
        Self::options().start().await
    }

    /// How to start one that differs from the defaults.
    ///
    /// # Panics
    /// Those of [`ServerKind::chosen`].
    pub fn options() -> ClusterOptions {
        ClusterOptions {
            masters: 3,
            replicas: 1,
            node_timeout: Duration::from_secs(2),
            kind: ServerKind::chosen(),
            each: Box::new(|_, options| options),
        }
    }

    /// The servers: the initial masters, then their replicas.
    #[must_use]
    pub fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// The server of this node, to kill, freeze or restart it.
    ///
    /// # Panics
    /// When the node is not of this cluster.
    #[must_use]
    pub fn server(&self, node: &Node) -> &Server {
        let found = self.servers.iter().find(|server| server.addr == node.addr);
        found.unwrap_or_else(|| panic!("{node} is not of this cluster"))
    }

    /// The nodes of the cluster.
    #[must_use]
    pub fn topology(&self) -> &Topology {
        &self.topology
    }
}

impl Deref for Cluster {
    type Target = Topology;

    fn deref(&self) -> &Topology {
        &self.topology
    }
}

impl ClusterOptions {
    /// How many masters there are: 3 by default, which is the fewest that can hold an election.
    pub fn masters(mut self, masters: usize) -> Self {
        self.masters = masters;
        self
    }

    /// How many replicas each master has: 1 by default.
    pub fn replicas(mut self, replicas: usize) -> Self {
        self.replicas = replicas;
        self
    }

    /// `cluster-node-timeout`: how long a node may be silent before the others replace it, 2 s by default.
    pub fn node_timeout(mut self, node_timeout: Duration) -> Self {
        self.node_timeout = node_timeout;
        self
    }

    /// Servers of this kind, whatever `IDEM_REDIS` names.
    pub fn kind(mut self, kind: ServerKind) -> Self {
        self.kind = kind;
        self
    }

    /// Changes the options of each server, by its number: first the masters, from 0, then the replicas of the first
    /// master, those of the second, and so on.
    pub fn each(
        mut self,
        change: impl Fn(usize, ServerOptions) -> ServerOptions + Send + Sync + 'static,
    ) -> Self {
        self.each = Box::new(change);
        self
    }

    /// Its servers keep their data on disk, and live until the leash of `options` ends.
    pub(super) fn kept_and_leashed(self, options: &ServerOptions) -> Self {
        let options = options.clone();
        self.each(move |_, each| each.appendonly().leash_of(&options))
    }

    /// Starts the cluster and waits until [`wait_ok`](Topology::wait_ok) is satisfied.
    ///
    /// # Panics
    /// When there are no masters, a server does not start, or the cluster does not form.
    pub async fn start(self) -> Cluster {
        assert!((1..=usize::from(SLOTS)).contains(&self.masters), "a cluster needs a master");
        let count = self.masters * (1 + self.replicas);
        let options = (0..count).map(|number| (self.each)(number, self.server())).collect();
        let servers = start_all(options).await;
        let topology = Topology::of(servers.iter().map(|server| server.node().clone()).collect()).await;
        let cluster = Cluster { topology, servers };
        let (masters, replicas) = cluster.nodes().split_at(self.masters);
        assign_slots(masters).await;
        introduce(&cluster).await;
        for (number, replica) in replicas.iter().enumerate() {
            let master = cluster.id(&masters[number / self.replicas]);
            replica.run(&["CLUSTER", "REPLICATE", master]).await;
        }
        cluster.wait_ok().await;
        cluster
    }

    /// Replicas do not migrate to another master by themselves, so that roles change only by failures and by
    /// commands of the test.
    fn server(&self) -> ServerOptions {
        Server::options()
            .kind(self.kind)
            .config("cluster-enabled yes")
            .config("cluster-config-file nodes.conf")
            .config(format!("cluster-node-timeout {}", self.node_timeout.as_millis()))
            .config("cluster-allow-replica-migration no")
    }
}

impl fmt::Debug for ClusterOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterOptions")
            .field("masters", &self.masters)
            .field("replicas", &self.replicas)
            .field("node_timeout", &self.node_timeout)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// Gives each master its slots, and an epoch of its own, since otherwise the masters would first have to resolve
/// conflicting epochs.
async fn assign_slots(masters: &[Node]) {
    let border = |number: usize| number * usize::from(SLOTS) / masters.len();
    for (number, master) in masters.iter().enumerate() {
        let (first, last) = (border(number), border(number + 1) - 1);
        master.run(&["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()]).await;
        master.run(&["CLUSTER", "SET-CONFIG-EPOCH", &(number + 1).to_string()]).await;
    }
}

/// Introduces every node to every other, since gossip would take seconds.
async fn introduce(cluster: &Cluster) {
    let nodes = cluster.nodes();
    for (number, node) in nodes.iter().enumerate() {
        for other in &nodes[number + 1..] {
            node.run(&["CLUSTER", "MEET", &other.host().to_string(), &other.port().to_string()]).await;
        }
    }
    if let Err(missing) = poll(LONGEST_MEETING, || cluster.has_met()).await {
        panic!("the nodes do not know each other: {missing}");
    }
}
