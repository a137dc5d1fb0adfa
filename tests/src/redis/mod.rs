//! Real `redis-server` processes for tests and benchmarks: one, a replicated pair, a cluster.
//!
//! Each server has a free port on 127.0.0.1 and a temporary folder, and keeps nothing on disk unless told to.
//! It is killed when its value is dropped, so also by a panic, and when this process dies in any way. A machine
//! without `redis-server` is a failure, never a skipped test.
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

mod node;
mod port;
mod process;
mod server;
mod wire;

use std::time::Duration;

use tokio::time::{Instant, sleep};

pub use node::Node;
pub use server::{Server, ServerOptions};
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
