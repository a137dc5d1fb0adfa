//! What was called and answered, when.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{BufRead, Write};
use std::sync::{Arc, Mutex, PoisonError};

use idem_core::{LostReason, Outcome};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// Microseconds of the machine's monotonic clock, which all its processes read alike.
pub(crate) type Micros = u64;

pub(crate) fn now() -> Micros {
    let time = clock_gettime(ClockId::Monotonic);
    u64::try_from(time.tv_sec).unwrap() * 1_000_000 + u64::try_from(time.tv_nsec).unwrap() / 1_000
}

/// One call, from before it was made until after it was answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Event {
    pub(crate) worker: u32,
    pub(crate) key: u32,
    pub(crate) begin: Micros,
    pub(crate) end: Micros,
    pub(crate) call: Call,
    pub(crate) answer: Answer,
}

/// A fencing token: its sequence, and enough of its owner.
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
    /// `confirms`: the store was told to let the replicas hold what it replays.
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
    /// For at most so long.
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
        /// Until when the holder may rely on it: read after the answer, so never too late.
        until: Micros,
    },
    InProgress,
    /// To `lock`.
    Replayed(Token, Digest),
    Mismatch,
    Applied {
        until: Micros,
    },
    Lost(Reason),
    /// To `get`; without an outcome it is not completed.
    Found(Token, Option<Digest>),
    Nothing,
    /// Whether nobody holds the key.
    Settled(bool),
    /// It may have been done, or not, or may still be done: a timeout, or a call that its caller dropped.
    Unknown,
    /// An error that no call should meet.
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

/// Stands for the bytes in a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Digest(pub(crate) u64);

impl Digest {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        Self(hasher.finish())
    }

    /// Of an outcome; every one of these tests is a value.
    pub(crate) fn of_outcome(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Value(bytes) => Self::of(bytes),
            Outcome::Unavailable(_) => Self(0),
        }
    }
}

/// Records what is called and answered.
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

    pub(crate) fn take(&self) -> Vec<Event> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// One line an event: how a process tells its history to another.
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
