//! What a store keeps for one key.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use crate::clock::Timestamp;
use crate::identity::{Fingerprint, Token};

/// What a store keeps for one key.
///
/// *Expired* is never stored as a state: it follows from the times and the store's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What the first request asked for.
    pub fingerprint: Fingerprint,
    /// Who holds the key, or held it last.
    pub token: Token,
    /// The number of the last attempt. The first is 1.
    pub attempt: u32,
    /// Locked or completed.
    pub state: State,
    /// The store's time when the record was read or decided on, to compare the other times with. Not stored.
    pub as_of: Timestamp,
}

/// The state of a [`Record`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// An attempt is running, or was left unfinished.
    Locked(Locked),
    /// The work ran to its end.
    Completed(Completion),
}

/// An attempt that is running, or was left unfinished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locked {
    /// False once the holder released the key and left a checkpoint: the next attempt may begin at once.
    pub held: bool,
    /// When the lease is over, by the store's clock.
    pub deadline: Timestamp,
    /// How long the record outlasts its lease.
    pub retention: Duration,
    /// The checkpoint that a holder saved last.
    pub checkpoint: Option<Checkpoint>,
}

/// Work that ran to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// What every retry gets.
    pub outcome: Outcome,
    /// When it was completed, by the store's clock.
    pub completed_at: Timestamp,
    /// When the store forgets it, by the store's clock.
    pub expires_at: Timestamp,
}

impl Record {
    /// When the store forgets this record: for a locked one its lease deadline plus the retention.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        match &self.state {
            State::Locked(locked) => locked.deadline + locked.retention,
            State::Completed(completed) => completed.expires_at,
        }
    }

    /// Whether the store has forgotten this record at `now`.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        now >= self.expires_at()
    }

    /// What is left at `now` of a lease that somebody holds; `None` when nobody does.
    #[must_use]
    pub fn live_lease(&self, now: Timestamp) -> Option<Duration> {
        match &self.state {
            State::Locked(locked) if locked.held && now < locked.deadline => Some(locked.deadline.since(now)),
            State::Locked(_) | State::Completed(_) => None,
        }
    }

    /// What was left of a lease that somebody held when the record was read; `None` when nobody did.
    #[must_use]
    pub fn lease_remaining(&self) -> Option<Duration> {
        self.live_lease(self.as_of)
    }

    /// The outcome, once completed.
    #[must_use]
    pub fn outcome(&self) -> Option<&Outcome> {
        match &self.state {
            State::Completed(completed) => Some(&completed.outcome),
            State::Locked(_) => None,
        }
    }

    /// The checkpoint of an unfinished attempt.
    #[must_use]
    pub fn checkpoint(&self) -> Option<&Checkpoint> {
        match &self.state {
            State::Locked(locked) => locked.checkpoint.as_ref(),
            State::Completed(_) => None,
        }
    }
}

/// Work that ran to its end before, as [`Store::lock`](crate::Store::lock) answers a retry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replay {
    /// What the work resulted in.
    pub outcome: Outcome,
    /// When it was completed, by the store's clock.
    pub completed_at: Timestamp,
    /// When the store forgets it, by the store's clock.
    pub expires_at: Timestamp,
    /// Who completed it.
    pub token: Token,
}

/// Bytes that a holder saved midway for the next attempt: a recovery point.
#[derive(Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Rises from one checkpoint to the next.
    pub step: u64,
    /// What the holder saved.
    pub progress: Bytes,
}

impl Checkpoint {
    /// A checkpoint.
    #[must_use]
    pub fn new(step: u64, progress: Bytes) -> Self {
        Self { step, progress }
    }
}

impl fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Checkpoint(step {}, {} bytes)", self.step, self.progress.len())
    }
}

/// What work that ran to its end left for every retry.
#[derive(Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The result, as bytes. Every retry gets the same ones.
    Value(Bytes),
    /// The work ran to its end, and its result could not be kept. A retry gets this answer and never runs the work
    /// again.
    Unavailable(UnavailableReason),
}

impl Outcome {
    /// The size of the result in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        match self {
            Self::Value(bytes) => bytes.len(),
            Self::Unavailable(_) => 0,
        }
    }
}

/// Without the bytes: they are large, and may be secret.
impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(bytes) => write!(f, "Value({} bytes)", bytes.len()),
            Self::Unavailable(reason) => write!(f, "Unavailable({reason:?})"),
        }
    }
}

/// Why the result of work that ran to its end was not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UnavailableReason {
    /// It is larger than what is kept: by the store, or by the layer that made it.
    TooLarge,
    /// It was streamed, so it was never in memory as a whole.
    Streamed,
    /// The connection changed its protocol.
    Upgraded,
    /// The work panicked, and what it did before is unknown.
    Panicked,
    /// It could not be encoded, or its type cannot read back what it wrote.
    NotEncodable,
    /// Some other reason, or one that a newer version wrote.
    Other,
}

impl fmt::Display for UnavailableReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLarge => "the result was too large to be kept",
            Self::Streamed => "the result was streamed",
            Self::Upgraded => "the connection changed its protocol",
            Self::Panicked => "the work panicked",
            Self::NotEncodable => "the result could not be encoded and read back",
            Self::Other => "the result was not kept",
        })
    }
}
