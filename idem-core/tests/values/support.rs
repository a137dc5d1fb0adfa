//! The values that these tests share, and a clock in nanoseconds.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use idem_core::backend::{Grant, LeaseControl, Sent};
use idem_core::clock::{Clock, SharedClock, Timestamp};
use idem_core::{Claim, Fingerprint, Key, Lease, Owner, Scope, Token};

pub(crate) const LEASE: Duration = Duration::from_secs(10);

pub(crate) fn key() -> Key {
    Key::new(&Scope::new("tenant-7").unwrap(), "order-1").unwrap()
}

pub(crate) fn fingerprint() -> Fingerprint {
    Fingerprint::builder("test").part("order").finish()
}

pub(crate) fn claim() -> Claim {
    Claim { owner: Owner::from_bytes([7; 16]), lease: LEASE, retention: Duration::from_secs(100) }
}

pub(crate) fn grant(valid_for: Duration) -> Grant {
    let token = Token { sequence: 5, owner: claim().owner };
    Grant { token, attempt: 1, checkpoint: None, valid_for }
}

pub(crate) fn lease(sent: &Sent, valid_for: Duration) -> Lease {
    Lease::granted(key(), fingerprint(), &claim(), grant(valid_for), sent)
}

/// A clock finer than a microsecond, as the system's is.
#[derive(Debug, Clone, Default)]
pub(crate) struct NanoClock(Arc<AtomicU64>);

impl NanoClock {
    pub(crate) fn set(&self, nanos: u64) {
        self.0.store(nanos, Ordering::SeqCst);
    }

    pub(crate) fn shared(&self) -> SharedClock {
        Arc::new(self.clone())
    }
}

impl Clock for NanoClock {
    fn wall(&self) -> Timestamp {
        Timestamp::from_micros(1_000_000)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::SeqCst))
    }
}
