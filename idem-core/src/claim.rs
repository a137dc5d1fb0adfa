//! What a caller asks for when it wants a lease, and what it is granted.

use std::time::Duration;

use crate::identity::{Owner, Token};
use crate::record::Checkpoint;

/// What a caller asks for when it wants to run the work of a key.
///
/// These are two separate times. `lease` is how long a holder may be silent before another caller may take over: 1 ms
/// to 24 h, usually seconds to minutes. `retention` is how long the completed outcome is replayed: from the length of
/// the lease to 3,660 days, usually hours to days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// Made once per attempt; a resent `lock` carries the same one.
    pub owner: Owner,
    /// How long the holder may be silent.
    pub lease: Duration,
    /// How long the record outlasts an unfinished lease, and how long a completed outcome is kept.
    pub retention: Duration,
}

/// What a store grants to an acquired `lock`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Who holds the key from now on.
    pub token: Token,
    /// Which attempt this is. The first is 1.
    pub attempt: u32,
    /// The checkpoint on record.
    pub checkpoint: Option<Checkpoint>,
    /// What was left of the lease when the store decided.
    pub valid_for: Duration,
}
