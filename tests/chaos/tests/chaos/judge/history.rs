//! The history of a round: which calls were made, when, and what they returned.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{BufRead, Write};
use std::sync::{Arc, Mutex, PoisonError};

use idem_core::{LostReason, Outcome};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// Microseconds of the machine's monotonic clock, which is the same for all processes.
pub(crate) type Micros = u64;

pub(crate) fn now() -> Micros {
    let time = clock_gettime(ClockId::Monotonic);
    u64::try_from(time.tv_sec).unwrap() * 1_000_000 + u64::try_from(time.tv_nsec).unwrap() / 1_000
}

/// One call, from just before it was made until just after it was answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Event {
    pub(crate) worker: u32,
    pub(crate) key: u32,
    pub(crate) begin: Micros,
    pub(crate) end: Micros,
    pub(crate) call: Call,
    pub(crate) answer: Answer,
}

/// A fencing token: its sequence, and the part of its owner that tells it apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Token {
    pub(crate) sequence: u64,
    pub(crate) owner: u64,
}

impl From<idem_core::Token> for Token {
    fn from(token: idem_core::Token) -> Self {
        Self { sequence: token.sequence, owner: owner(&token.owner) }
    }
}

pub(crate) fn owner(owner: &idem_core::Owner) -> u64 {
    owner.as_bytes().iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

/// Durations in microseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Call {
    /// `confirms`: the store is configured to replay only what the replicas hold.
    Lock {
        owner: u64,
        fingerprint: u8,
        retention: u64,
        confirms: bool,
    },
    Renew(Token),
    Checkpoint(Token, Saved),
    Complete {
        token: Token,
        bytes: Digest,
        retention: u64,
    },
    Release(Token),
    Get,
    /// With the longest time to wait.
    Settled(u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Saved {
    pub(crate) step: u64,
    pub(crate) bytes: Digest,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Answer {
    Acquired {
        token: Token,
        attempt: u32,
        saved: Option<Saved>,
        /// Until when the holder may rely on the lease: measured so that it is never too late.
        until: Micros,
    },
    InProgress,
    /// The answer of `lock` for a completed key.
    Replayed(Token, Digest),
    Mismatch,
    Applied {
        until: Micros,
    },
    Lost(Reason),
    /// The answer of `get`. Without an outcome, the record is not completed.
    Found(Token, Option<Digest>),
    Nothing,
    /// Whether nobody holds the key.
    Settled(bool),
    /// The call timed out or was dropped: it may have taken effect, or not, or may do so later.
    Unknown,
    /// The server's disk is full: the call changed nothing.
    Full,
    /// An error that no call should return.
    Failed(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Reason {
    Superseded,
    Completed,
    Released,
    Gone,
}

impl From<LostReason> for Reason {
    fn from(reason: LostReason) -> Self {
        match reason {
            LostReason::Superseded => Self::Superseded,
            LostReason::Completed => Self::Completed,
            LostReason::Released => Self::Released,
            LostReason::Gone => Self::Gone,
        }
    }
}

/// A hash that stands for bytes in a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Digest(pub(crate) u64);

impl Digest {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        Self(hasher.finish())
    }

    /// The digest of an outcome. These tests complete keys with values only.
    pub(crate) fn of_outcome(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Value(bytes) => Self::of(bytes),
            Outcome::Unavailable(_) => Self(0),
        }
    }
}

/// The events of a round, shared by all its callers.
#[derive(Debug, Clone, Default)]
pub(crate) struct History(Arc<Mutex<Vec<Event>>>);

impl History {
    pub(crate) fn add(&self, event: Event) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(event);
    }

    pub(crate) fn extend(&self, events: Vec<Event>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(events);
    }

    pub(crate) fn copied(&self) -> Vec<Event> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many calls were refused because the disk was full.
    pub(crate) fn refused_as_full(&self) -> usize {
        let events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        events.iter().filter(|event| event.answer == Answer::Full).count()
    }

    pub(crate) fn take(&self) -> Vec<Event> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Writes one event a line, so that another process can read the history.
pub(crate) fn write(events: &[Event], mut to: impl Write) {
    for event in events {
        serde_json::to_writer(&mut to, event).unwrap();
        to.write_all(b"\n").unwrap();
    }
    to.flush().unwrap();
}

pub(crate) fn read(from: impl BufRead) -> Vec<Event> {
    from.lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect()
}
