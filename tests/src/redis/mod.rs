//! Real Redis and Valkey processes for tests and benchmarks: one, a replicated pair, a cluster; of the
//! [`ServerKind`] that the test or the environment names.
//!
//! Each server has a free port on 127.0.0.1 and a temporary folder, and keeps nothing on disk unless told to.
//! It is killed when its value is dropped, so also by a panic, and when this process dies in any way. A machine
//! without the server is a failure, never a skipped test.
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! use idem_conformance::redis::Server;
//!
//! let server = Server::options().config("maxmemory 10mb").start().await;
//! server.command(&["SET", "greeting", "hello"]).await?;
//! server.stop(); // a server that hangs
//! # Ok(())
//! # }
//! ```
//!
//! Nothing here uses the client library of the store under test.

mod cluster;
mod keeper;
mod kind;
mod launch;
mod migration;
mod node;
mod pair;
mod port;
mod process;
mod replication;
mod server;
mod shared;
mod slots;
mod topology;
mod view;
mod wire;

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

pub use cluster::{Cluster, ClusterOptions};
pub use kind::ServerKind;
pub use migration::Migration;
pub use node::Node;
pub use pair::Pair;
pub use server::{Server, ServerOptions};
pub use shared::{shared_cluster, shared_cluster_of, shared_lone, shared_lone_of, shared_pair};
pub use slots::{SLOTS, slot};
pub use topology::Topology;
pub use wire::{Connection, Reply};

/// A server tells of no change by itself.
const PAUSE: Duration = Duration::from_millis(5);

/// Asks until the answer is yes, or `longest` is over: then what was missing last.
async fn poll<F>(longest: Duration, mut ask: impl FnMut() -> F) -> Result<(), String>
where
    F: Future<Output = Result<(), String>>,
{
    let deadline = Instant::now() + longest;
    loop {
        match ask().await {
            Ok(()) => return Ok(()),
            Err(missing) if Instant::now() > deadline => return Err(format!("{missing}, for {longest:?}")),
            Err(_) => sleep(PAUSE).await,
        }
    }
}

/// Starts them at once, and gives them in their order.
async fn start_all(options: Vec<ServerOptions>) -> Vec<Server> {
    let mut starting = JoinSet::new();
    for (number, options) in options.into_iter().enumerate() {
        starting.spawn(async move { (number, options.start().await) });
    }
    // Panics as they do.
    let mut started = starting.join_all().await;
    started.sort_by_key(|(number, _)| *number);
    started.into_iter().map(|(_, server)| server).collect()
}
