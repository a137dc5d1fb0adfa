//! What a scan tells of a record.

use std::time::Duration;

use super::cursor::Cursor;
use super::request::RecordState;
use crate::clock::Timestamp;
use crate::identity::{Fingerprint, Key, Token};
use crate::record::{Outcome, Record, State, UnavailableReason};

/// Some of the records that a scan lists.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// In no order that a caller may rely on.
    pub entries: Vec<Entry>,
    /// How many records were looked at, those that are not listed included.
    pub examined: usize,
    /// Where the scan goes on; `None`: this was all.
    pub next: Option<Cursor>,
}

/// One record, without its outcome or checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Whose record it is.
    pub key: Key,
    /// How many bytes the store keeps for the record, as far as it can tell: with its key, outcome and checkpoint, without
    /// what indexes and unused space add.
    pub bytes: u64,
    /// The store's time when the record was read.
    pub as_of: Timestamp,
    /// `None`: the record is damaged, or of a later version.
    pub summary: Option<Summary>,
}

/// A record without its outcome or checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// What the first request asked for.
    pub fingerprint: Fingerprint,
    /// Who holds the key, or held it last.
    pub token: Token,
    /// The number of the last attempt. The first is 1.
    pub attempt: u32,
    /// When the store forgets the record.
    pub expires_at: Timestamp,
    /// How far the work is.
    pub stage: Stage,
}

/// How far the work of a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// An attempt is running, or was left unfinished.
    Unfinished {
        /// False once the holder released the key and left a checkpoint.
        held: bool,
        /// When the lease is over, by the store's clock.
        lease_until: Timestamp,
        /// The step of the checkpoint, where there is one.
        checkpoint_step: Option<u64>,
    },
    /// The work ran to its end.
    Completed {
        /// When, by the store's clock.
        completed_at: Timestamp,
        /// Why its result was not kept; `None`: it was.
        unavailable: Option<UnavailableReason>,
    },
}

impl Entry {
    /// For those who write a store that has the whole record at hand, read at `record.as_of`.
    #[must_use]
    pub fn of(key: Key, record: &Record, bytes: u64) -> Self {
        Self { key, bytes, as_of: record.as_of, summary: Some(Summary::of(record)) }
    }

    /// The record's state, as of when it was read, whether or not it has expired.
    #[must_use]
    pub fn state(&self) -> RecordState {
        match self.summary.as_ref().map(|summary| summary.stage) {
            None => RecordState::Damaged,
            Some(Stage::Completed { .. }) => RecordState::Completed,
            Some(Stage::Unfinished { held: false, .. }) => RecordState::Released,
            Some(Stage::Unfinished { .. }) if self.lease_remaining().is_some() => RecordState::Held,
            Some(Stage::Unfinished { .. }) => RecordState::Lapsed,
        }
    }

    /// What is left of a lease that somebody holds; `None` when nobody does.
    #[must_use]
    pub fn lease_remaining(&self) -> Option<Duration> {
        match self.summary.as_ref()?.stage {
            Stage::Unfinished { held: true, lease_until, .. } if self.as_of < lease_until => {
                Some(lease_until.since(self.as_of))
            }
            _ => None,
        }
    }

    /// Whether it has expired: callers no longer find it, and nothing has removed it yet. A damaged record has not expired.
    #[must_use]
    pub fn is_expired(&self) -> bool {
        self.summary.as_ref().is_some_and(|summary| self.as_of >= summary.expires_at)
    }
}

impl Summary {
    /// That of `record`.
    #[must_use]
    pub fn of(record: &Record) -> Self {
        let stage = match &record.state {
            State::Locked(locked) => Stage::Unfinished {
                held: locked.held,
                lease_until: locked.deadline,
                checkpoint_step: locked.checkpoint.as_ref().map(|checkpoint| checkpoint.step),
            },
            State::Completed(completed) => Stage::Completed {
                completed_at: completed.completed_at,
                unavailable: match &completed.outcome {
                    Outcome::Value(_) => None,
                    Outcome::Unavailable(reason) => Some(*reason),
                },
            },
        };
        Self {
            fingerprint: record.fingerprint,
            token: record.token,
            attempt: record.attempt,
            expires_at: record.expires_at(),
            stage,
        }
    }
}
