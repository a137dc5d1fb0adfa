//! Real Redis and Valkey processes for tests and benchmarks: a single server, a replicated pair or a cluster, of the
//! [`ServerKind`] that the test or the environment names.
//!
//! Each server has a free port on 127.0.0.1 and a temporary folder, and keeps nothing on disk unless configured to.
//! It is killed when its value is dropped, including by a panic, and when this process dies in any way. On a machine
//! without the server, tests fail; they are never skipped.
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! use idem_servers::redis::Server;
//!
//! let server = Server::options().config("maxmemory 10mb").start().await;
//! server.command(&["SET", "greeting", "hello"]).await?;
//! server.stop(); // now the server hangs
//! # Ok(())
//! # }
//! ```
//!
//! This crate does not use the client library of the store under test.

mod cluster;
mod kind;
mod launch;
mod node;
mod options;
mod pair;
mod server;
mod shared;
mod topology;
mod wire;

pub use cluster::{Cluster, ClusterOptions};
pub use kind::ServerKind;
pub use node::Node;
pub use options::ServerOptions;
pub use pair::Pair;
pub use server::Server;
pub use shared::{shared_cluster, shared_cluster_of, shared_lone, shared_lone_of, shared_pair};
pub use topology::{Migration, SLOTS, Topology, slot};
pub use wire::{Connection, Reply};
