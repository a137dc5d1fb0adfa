//! Real PostgreSQL processes for tests and benchmarks.
//!
//! Each server has a free port on 127.0.0.1 and a temporary folder. It is ended when its value is dropped, so also by a
//! panic, and when this process dies in any way. A machine without the server is a failure, never a skipped test.
//!
//! ```no_run
//! # async fn example() {
//! use idem_servers::postgres::Server;
//!
//! let server = Server::options().config("max_connections = 20").start().await;
//! assert_eq!(server.sql("SELECT 1 + 1").await, "2");
//! server.stop(); // a server that hangs
//! # }
//! ```
//!
//! Nothing here uses the client library of the store under test: `psql` speaks to the servers.

mod kind;
mod launch;
mod node;
mod options;
mod pair;
mod pooler;
mod server;
mod shared;
mod standby;

pub use kind::ServerKind;
pub use node::Node;
pub use options::ServerOptions;
pub use pair::{Pair, PairOptions};
pub use pooler::Pooler;
pub use server::Server;
pub use shared::{shared_lone, shared_lone_of, shared_pair_of, shared_pooled};
