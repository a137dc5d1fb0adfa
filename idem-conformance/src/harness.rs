//! What a backend supplies so that the cases can run against it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use idem_core::clock::{Clock as _, ManualClock};
use idem_core::{Key, Store};

/// A fresh store for one case, and everything around it that a case needs.
///
/// Every case makes its own harness and drops it at its end. So a harness also owns what must live as long as the
/// store: a temporary folder, a server process.
///
/// Two methods are enough for a store with a manual clock. The others are abilities that a store may lack. Each missing
/// one must be named in [`conformance!`](crate::conformance), and the cases that need it are then reported by name.
#[async_trait]
pub trait Harness: Send + Sync + 'static {
    /// The store under test: the same one at every call, until [`reopen`](Harness::reopen).
    ///
    /// It must hold nothing yet, and must not share keys with the store of any other harness.
    fn store(&self) -> Arc<dyn Store>;

    /// How time passes for this store.
    fn time(&self) -> Time;

    /// The size of the largest outcome that the store is configured to accept, by default
    /// [`LARGEST_OUTCOME`]. The same bound must hold for a checkpoint.
    fn largest_outcome(&self) -> usize {
        LARGEST_OUTCOME
    }

    /// Whether expired records disappear from this store without a call of [`Store::expire`], as they do where the
    /// storage has an expiry of its own. Do not return true because of a background sweeper: switch it off for the
    /// cases.
    fn expires_by_itself(&self) -> bool {
        false
    }

    /// Closes the store and opens the same data again. Every durable store can.
    ///
    /// # Errors
    /// [`Unsupported`] for a store that keeps nothing.
    async fn reopen(&mut self) -> Result<(), Unsupported> {
        Err(Unsupported)
    }

    /// A second store over the same data, as another process would open it. Every shared store has one.
    ///
    /// # Errors
    /// [`Unsupported`] for a store that belongs to one process.
    async fn another(&mut self) -> Result<Arc<dyn Store>, Unsupported> {
        Err(Unsupported)
    }

    /// Alters bytes of the stored record of `key`, as a failing disk would.
    ///
    /// # Errors
    /// [`Unsupported`] where the store keeps no bytes, or none can be reached.
    async fn corrupt(&mut self, key: &Key) -> Result<(), Unsupported> {
        let _ = key;
        Err(Unsupported)
    }
}

/// The largest outcome that a store must be configured to accept for the cases, unless its harness names another size.
pub const LARGEST_OUTCOME: usize = 64 * 1024;

/// How time passes for a store.
#[derive(Debug, Clone)]
pub enum Time {
    /// The store and its leases follow this clock, which only the cases move.
    Manual(ManualClock),
    /// The store follows a clock that nobody can move, such as a server's: the cases wait.
    Real {
        /// The unit in which the cases count. It must be longer than a few store calls take on a busy machine, and
        /// longer than the resolution of the store's clock. 50 ms suits a server on the same machine.
        tick: Duration,
    },
}

impl Time {
    /// The unit in which the cases count.
    #[must_use]
    pub fn tick(&self) -> Duration {
        match self {
            Self::Manual(_) => Duration::from_secs(1),
            Self::Real { tick } => *tick,
        }
    }

    /// Lets `duration` pass.
    pub async fn advance(&self, duration: Duration) {
        match self {
            Self::Manual(clock) => clock.advance(duration),
            Self::Real { .. } => tokio::time::sleep(duration).await,
        }
    }

    /// The time since some fixed moment.
    pub(crate) fn elapsed(&self) -> Duration {
        match self {
            Self::Manual(clock) => clock.monotonic(),
            Self::Real { .. } => idem_core::clock::SystemClock.monotonic(),
        }
    }

    /// How far two readings of the same moment may differ.
    pub(crate) fn tolerance(&self) -> Duration {
        match self {
            Self::Manual(_) => Duration::ZERO,
            Self::Real { tick } => *tick,
        }
    }
}

/// The harness of this store cannot do that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsupported;

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this store's harness cannot do that")
    }
}

impl std::error::Error for Unsupported {}
