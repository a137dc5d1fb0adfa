//! Servers shared by many tests. The first test that needs them starts them.
//!
//! `cargo test` runs the tests of a binary in one process, and the servers end with it. nextest runs each test in a
//! process of its own: the first one starts the servers under a file lock and hands them to a keeper, which ends them
//! once nextest has ended, however it ended. The other processes find the addresses in a file.

use std::fs::{self, File};
use std::io::{self, PipeWriter};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::OnceCell;

use super::cluster::Cluster;
use super::kind::ServerKind;
use super::node::Node;
use super::options::ServerOptions;
use super::pair::Pair;
use super::process::hand_over;
use super::server::Server;
use super::topology::Topology;
use super::wire::Reply;

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
    let share = async || share(kind, "lone", start).await.swap_remove(0);
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
    let share = async || match <[Node; 2]>::try_from(share(ServerKind::chosen(), "pair", start).await) {
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
    let share = async || Topology::of(share(kind, "cluster", start).await).await;
    SHARED[kind as usize].get_or_init(share).await.clone()
}

/// The nodes that another process of this run has started, or else those that `start` starts now.
async fn share(
    kind: ServerKind,
    shape: &str,
    start: impl AsyncFnOnce(ServerOptions) -> Vec<Node>,
) -> Vec<Node> {
    let (reader, writer) = need("a pipe", io::pipe());
    // With `appendonly`, so that the store reports itself as durable.
    let options = Server::options().kind(kind).appendonly().leash(Arc::new(reader));
    let Some(folder) = run_folder(kind, shape) else {
        let nodes = start(options).await;
        hold(writer);
        return nodes;
    };
    need("the folder of this run", fs::create_dir_all(&folder));
    let lock = need("a lock file", File::create(folder.join("lock")));
    // Held while this process starts the servers. It is released when this function or this process ends.
    let lock = tokio::task::spawn_blocking(move || lock.lock().map(|()| lock)).await;
    let _lock = need("the lock", lock.map_err(io::Error::other).flatten());
    if let Some(nodes) = known(&folder).await {
        return nodes;
    }
    let nodes = start(options).await;
    need("a keeper", hand_over(writer, &folder));
    need("a note of the addresses", note(&folder, &nodes));
    nodes
}

/// Keeps the pipe open, and so the servers running, until this process ends.
fn hold(writer: PipeWriter) {
    std::mem::forget(writer);
}

/// The folder shared by the processes of one run of nextest; `None` without nextest.
fn run_folder(kind: ServerKind, shape: &str) -> Option<PathBuf> {
    let run = std::env::var("NEXTEST_RUN_ID").ok()?;
    let plain = !run.is_empty() && run.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    plain.then(|| std::env::temp_dir().join(format!("idem-redis-run-{run}-{kind}-{shape}")))
}

/// The servers that another process wrote down, if all of them still answer.
async fn known(folder: &Path) -> Option<Vec<Node>> {
    let noted = fs::read_to_string(folder.join("nodes")).ok()?;
    let nodes: Vec<_> =
        noted.lines().map(|line| Some(Node::new(line.parse().ok()?))).collect::<Option<_>>()?;
    for node in &nodes {
        let alive = matches!(node.command(&["PING"]).await, Ok(Reply::Status(pong)) if pong == "PONG");
        if !alive {
            return None;
        }
    }
    Some(nodes).filter(|nodes| !nodes.is_empty())
}

/// Writes down the addresses. The file appears complete or not at all, even if this process is killed meanwhile.
fn note(folder: &Path, nodes: &[Node]) -> io::Result<()> {
    let lines = nodes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    fs::write(folder.join("nodes.new"), lines)?;
    fs::rename(folder.join("nodes.new"), folder.join("nodes"))
}

fn need<T>(what: &str, result: io::Result<T>) -> T {
    result.unwrap_or_else(|error| panic!("shared servers need {what}: {error}"))
}
