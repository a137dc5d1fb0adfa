//! Servers shared by the tests of one run.

use std::io::PipeReader;
use std::sync::Arc;

use tokio::sync::OnceCell;

use super::cluster::Cluster;
use super::kind::ServerKind;
use super::node::Node;
use super::options::ServerOptions;
use super::pair::Pair;
use super::server::Server;
use super::topology::Topology;
use super::wire::Reply;
use crate::process::{Noted, share};

/// A value for each kind of server.
type Shared<T> = [OnceCell<T>; ServerKind::ALL.len()];

/// A single server for all tests of this run, of the kind that the environment names. A test must not change its
/// configuration, and must use keys that no other test uses.
///
/// # Panics
/// When it does not start.
pub async fn shared_lone() -> Node {
    shared_lone_of(ServerKind::chosen()).await
}

/// Like [`shared_lone`], but of this kind.
///
/// # Panics
/// When it does not start.
pub async fn shared_lone_of(kind: ServerKind) -> Node {
    static SHARED: Shared<Node> = [const { OnceCell::const_new() }; _];
    let start = async |options: ServerOptions| vec![options.start().await.node().clone()];
    let share = async || shared(kind, "lone", start).await.swap_remove(0);
    SHARED[kind as usize].get_or_init(share).await.clone()
}

/// A master and its replica, in this order, for all tests of this run. The rules of [`shared_lone`] apply.
///
/// # Panics
/// When they do not start.
pub async fn shared_pair() -> [Node; 2] {
    static SHARED: OnceCell<[Node; 2]> = OnceCell::const_new();
    let start = async |options: ServerOptions| {
        let pair = Pair::start_with(1, &options).await;
        pair.replicas().iter().chain([pair.master()]).rev().map(|server| server.node().clone()).collect()
    };
    let share = async || match <[Node; 2]>::try_from(shared(ServerKind::chosen(), "pair", start).await) {
        Ok(nodes) => nodes,
        Err(nodes) => panic!("a pair of {}", nodes.len()),
    };
    SHARED.get_or_init(share).await.clone()
}

/// A cluster of three masters with a replica each, for all tests of this run. The rules of [`shared_lone`] apply.
///
/// # Panics
/// When it does not start.
pub async fn shared_cluster() -> Topology {
    shared_cluster_of(ServerKind::chosen()).await
}

/// Like [`shared_cluster`], but of this kind.
///
/// # Panics
/// When it does not start.
pub async fn shared_cluster_of(kind: ServerKind) -> Topology {
    static SHARED: Shared<Topology> = [const { OnceCell::const_new() }; _];
    let start = async |options: ServerOptions| {
        let cluster = Cluster::options().kind(kind).kept_and_leashed(&options).start().await;
        cluster.nodes().to_vec()
    };
    let share = async || Topology::of(shared(kind, "cluster", start).await).await;
    SHARED[kind as usize].get_or_init(share).await.clone()
}

/// The nodes that another process of this run has started, or else those that `start` starts now.
async fn shared(
    kind: ServerKind,
    shape: &str,
    start: impl AsyncFnOnce(ServerOptions) -> Vec<Node>,
) -> Vec<Node> {
    // With `appendonly`, so that the store reports itself as durable.
    let options = |leash: PipeReader| Server::options().kind(kind).appendonly().leash(Arc::new(leash));
    share(&format!("redis-{kind}-{shape}"), async |leash| start(options(leash)).await).await
}

impl Noted for Node {
    fn note(&self) -> String {
        self.to_string()
    }

    fn read(note: &str) -> Option<Self> {
        Some(Self::new(note.parse().ok()?))
    }

    async fn is_alive(&self) -> bool {
        matches!(self.command(&["PING"]).await, Ok(Reply::Status(pong)) if pong == "PONG")
    }
}
