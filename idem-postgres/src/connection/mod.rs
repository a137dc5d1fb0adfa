//! Connections, and the queues of calls that share them.

mod cancel;
mod connector;
mod link;
mod listener;
mod login_failure;
mod own;
mod ownership;
#[cfg(any(feature = "deadpool-postgres", feature = "sqlx"))]
pub(crate) mod pool;
mod prepared;
mod queue;
mod session;
mod timelines;
#[cfg(feature = "tls")]
mod tls;

pub(crate) use connector::{Connector, Opened};
pub(crate) use link::{Connection, Link, Source};
pub(crate) use listener::Listener;
pub(crate) use ownership::Ownership;
pub(crate) use queue::{Lanes, Queue};

use idem_core::Owner;

use crate::error::Failure;

/// 128 random bits, to tell this store's sessions and statements from all others.
fn random_hex() -> Result<String, Failure> {
    let random = Owner::random().map_err(|error| Failure::reconnect(error.message()))?;
    Ok(format!("{:032x}", u128::from_be_bytes(*random.as_bytes())))
}
