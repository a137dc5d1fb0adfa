//! Needs: what some cases need and some stores lack.

use std::collections::BTreeSet;
use std::fmt;

use bytes::Bytes;
use idem_core::Outcome;

use crate::harness::{Harness, Time};
use crate::trial::{ExpectEffect, Trial};

/// Something that a case needs and that a store, or its harness, may lack.
///
/// A store names what it lacks in [`conformance!`](crate::conformance); one test per backend compares that list with
/// what the store and its harness really do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Need {
    /// [`Capabilities::durable`](idem_core::Capabilities): what it acknowledged outlives the process.
    Durable,
    /// [`Capabilities::shared`](idem_core::Capabilities): several processes may use it at once.
    Shared,
    /// [`Capabilities::strict_sequence`](idem_core::Capabilities): sequences rise across a removal.
    StrictSequence,
    /// [`Capabilities::notifies`](idem_core::Capabilities): a completion wakes those who wait for it.
    Notifies,
    /// [`Capabilities::scans`](idem_core::Capabilities): it lists its records.
    Scan,
    /// [`Harness::corrupt`]: stored bytes can be altered.
    Corrupt,
    /// [`Time::Manual`]: cases can move time to an exact moment, and set the wall clock back.
    ManualClock,
    /// Not [`Harness::expires_by_itself`]: expired records stay until they are swept.
    Sweep,
}

impl Need {
    /// Every need.
    pub const ALL: [Self; 8] = [
        Self::Durable,
        Self::Shared,
        Self::StrictSequence,
        Self::Notifies,
        Self::Scan,
        Self::Corrupt,
        Self::ManualClock,
        Self::Sweep,
    ];
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Finds out what `harness` and its store lack.
///
/// # Panics
/// When the store claims a capability that its harness gives no way to test.
pub(crate) async fn lacking(mut harness: Box<dyn Harness>) -> BTreeSet<Need> {
    let capabilities = harness.store().capabilities();
    let mut lacking = BTreeSet::new();
    let mut note = |need, present: bool| {
        if !present {
            lacking.insert(need);
        }
    };
    note(Need::StrictSequence, capabilities.strict_sequence);
    note(Need::Notifies, capabilities.notifies);
    note(Need::Scan, capabilities.scans);
    note(Need::ManualClock, matches!(harness.time(), Time::Manual(_)));
    note(Need::Sweep, !harness.expires_by_itself());
    note(Need::Durable, capabilities.durable);
    note(Need::Shared, capabilities.shared);
    if capabilities.durable {
        assert!(harness.reopen().await.is_ok(), "the store claims to be durable: `reopen` must be possible");
    }
    if capabilities.shared {
        assert!(harness.another().await.is_ok(), "the store claims to be shared: `another` must be possible");
    }
    let mut trial = Trial::new(harness);
    let key = trial.key("probe");
    let lease = trial.acquire(&key).await;
    trial.complete(&lease, Outcome::Value(Bytes::from_static(b"probe"))).await.expect_applied();
    note(Need::Corrupt, trial.try_corrupt(&key).await.is_ok());
    lacking
}
