//! The values that go into a store call and come out of it.

use std::time::Duration;

use crate::{Lease, Outcome, Owner, Timestamp, Token};

/// What a caller asks for when it wants to run the work of a key.
///
/// Two separate times, always: `lease` is how long a holder may be silent before another may take over
/// (1 ms to 24 h; seconds to minutes make sense), `retention` is how long the completed outcome is replayed
/// (from the lease to 3,660 days; hours to days make sense).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// Made once per attempt; a resent `lock` carries the same one.
    pub owner: Owner,
    /// How long the holder may be silent.
    pub lease: Duration,
    /// How long the record outlasts an unfinished lease, and how long a completed outcome is kept.
    pub retention: Duration,
}

/// The answer to [`Store::lock`](crate::Store::lock).
#[derive(Debug, Clone)]
#[must_use = "only `Acquired` allows the work to run"]
pub enum LockOutcome {
    /// The caller holds the key: it may run the work.
    Acquired(Lease),
    /// Another caller holds the key.
    InProgress {
        /// What is left of its lease. A hint: it may renew, complete or die.
        remaining: Duration,
    },
    /// The work ran to its end before; this is its result.
    Completed(Completion),
    /// The key was used for a different request. Nothing of that request is shown.
    FingerprintMismatch,
}

/// Work that ran to its end, as [`Store::lock`](crate::Store::lock) tells a retry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// What the work resulted in.
    pub outcome: Outcome,
    /// When it was completed, by the store's clock.
    pub completed_at: Timestamp,
    /// When the store forgets it, by the store's clock.
    pub expires_at: Timestamp,
    /// Who completed it.
    pub token: Token,
}

/// The answer to a call that only a holder may make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a lost lease means that another caller may be running the work"]
pub enum Fenced {
    /// Done, or done before by the same call.
    Applied,
    /// The caller does not hold the key; nothing was written.
    Lost(LostReason),
}

/// Why a caller does not hold the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LostReason {
    /// Another attempt took over.
    Superseded,
    /// The holder itself completed the key.
    Completed,
    /// The holder itself released the key.
    Released,
    /// There is no record: released, removed, or past its retention.
    Gone,
}
