//! Checks whether a store's records after a fault agree with the answers that its callers got before.

use std::fmt;

use bytes::Bytes;
use idem_core::Store;
use idem_core::clock::{Clock, ManualClock};
use idem_core::record::{Locked, Record, Replay, State};
use idem_redb::RedbStore;

use super::history::{Attempt, History, KeyHistory, Sent};
use super::workload::fingerprint;

/// Broken promises of a store. Every test but that of the lying disk asks for none.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// Acknowledged, and not in the store.
    pub(crate) lost: Vec<String>,
    /// An outcome, fingerprint or checkpoint that no caller sent, or that belongs to another attempt.
    pub(crate) wrong: Vec<String>,
    /// A key that was completed, or booked, more than once.
    pub(crate) twice: Vec<String>,
    /// The file could not be opened, or a key could not be read.
    pub(crate) unreadable: Vec<String>,
}

impl Verdict {
    pub(crate) fn is_clean(&self) -> bool {
        self.lost.is_empty() && self.wrong.is_empty() && self.twice.is_empty() && self.unreadable.is_empty()
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.lost.extend(other.lost);
        self.wrong.extend(other.wrong);
        self.twice.extend(other.twice);
        self.unreadable.extend(other.unreadable);
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (lost, wrong, twice) = (self.lost.len(), self.wrong.len(), self.twice.len());
        write!(f, "{lost} lost, {wrong} wrong, {twice} twice, {} unreadable", self.unreadable.len())
    }
}

/// Reads every key, and compares it with `history`. Changes nothing.
pub(crate) async fn read(store: &RedbStore, history: &History, clock: &ManualClock) -> Verdict {
    let mut verdict = Verdict::default();
    let count = history.keys().len();
    for number in 0..count {
        let key = history.keys()[number].key;
        match store.get(&key).await {
            Ok(record) => verdict.record(&history.keys()[number], record.as_ref(), clock),
            Err(error) => verdict.unreadable.push(format!("{key:?}: {error}")),
        }
    }
    for key in history.keys().iter() {
        let contradictions = key.contradictions.iter();
        verdict.wrong.extend(contradictions.map(|contradiction| format!("{:?}: {contradiction}", key.key)));
    }
    verdict
}

impl Verdict {
    fn record(&mut self, history: &KeyHistory, record: Option<&Record>, clock: &ManualClock) {
        let key = history.key;
        let state = record.map(|record| (record, &record.state));
        if history.short_lived && !matches!(state, Some((_, State::Completed(_)))) {
            return;
        }
        match (state, history.acknowledged()) {
            (Some((record, State::Completed(completed))), acknowledged) => {
                let replay = Replay {
                    outcome: completed.outcome.clone(),
                    completed_at: completed.completed_at,
                    expires_at: completed.expires_at,
                    token: record.token,
                };
                let led_to_it = |attempt: &Attempt| attempt.may_have_led_to(&replay);
                if !history.attempts.iter().any(led_to_it) {
                    self.wrong.push(format!("{key:?}: nobody completed it with {record:?}"));
                } else if !history.short_lived && !acknowledged.is_none_or(led_to_it) {
                    self.wrong.push(format!("{key:?}: another completion was acknowledged than {record:?}"));
                }
                if record.fingerprint != fingerprint() {
                    self.wrong.push(format!("{key:?}: its fingerprint changed"));
                }
            }
            (state, Some(_)) => self.lost.push(format!("{key:?}: completed, and now {state:?}")),
            (Some((record, State::Locked(locked))), None) => self.locked(history, record, locked, clock),
            (None, None) => {
                if let Some(newest) = newest(history)
                    && (newest.release.is_none() || saved(newest).is_some())
                {
                    self.lost.push(format!("{key:?}: locked by {:?}, and now gone", newest.lease));
                }
            }
        }
    }

    fn locked(&mut self, history: &KeyHistory, record: &Record, locked: &Locked, clock: &ManualClock) {
        let shown = format!("{:?}: {record:?}", history.key);
        let newest = newest(history);
        let of_newest = newest.is_some_and(|newest| newest.token() == Some(record.token));
        match newest {
            Some(newest) if of_newest => {
                let released = newest.release.as_ref();
                if locked.held && released.is_some_and(|sent| sent.acknowledged) {
                    self.lost.push(format!("{shown}, although it was released"));
                }
                if !locked.held && released.is_none() {
                    self.wrong.push(format!("{shown}, although nobody released it"));
                }
                // Compared by the wall clock: if the power fails between a store's readings of its two clocks, its time
                // is behind by what passed between them, and its leases last that much longer.
                let behind = clock.wall().since(record.as_of);
                if locked.held && locked.deadline + behind < newest.held_until {
                    self.lost
                        .push(format!("{shown}, although it was to be held until {:?}", newest.held_until));
                }
            }
            newest => {
                // Not the newest acknowledged lock: only a lock whose answer was lost can have replaced that one.
                let asked =
                    |attempt: &Attempt| attempt.lease.is_none() && attempt.owner == record.token.owner;
                if !history.attempts.iter().any(asked) {
                    self.lost.push(format!("{shown}, and the newest is {:?}", newest.map(Attempt::token)));
                }
                if let Some(newest) = newest
                    && (newest.held_until > clock.wall() && newest.release.is_none()
                        || newest.token().is_some_and(|token| token.sequence >= record.token.sequence))
                {
                    self.lost.push(format!("{shown}, although {:?} held it", newest.lease));
                }
            }
        }
        self.checkpoint(history, newest, locked, &shown);
    }

    /// Checks that the stored checkpoint was sent, and that no acknowledged one is lost.
    fn checkpoint(&mut self, history: &KeyHistory, newest: Option<&Attempt>, locked: &Locked, shown: &str) {
        let stored = locked.checkpoint.as_ref().map(|checkpoint| (checkpoint.step, &checkpoint.progress));
        if let Some((step, progress)) = stored {
            let sent = |sent: &Sent<(u64, Bytes)>| sent.what.0 == step && sent.what.1 == *progress;
            if !history.attempts.iter().any(|attempt| attempt.checkpoints.iter().any(sent)) {
                self.wrong.push(format!("{shown}: nobody saved that checkpoint"));
            }
        }
        if let Some(saved) = newest.and_then(saved)
            && stored.is_none_or(|(step, _)| step < saved)
        {
            self.lost.push(format!("{shown}: the checkpoint of step {saved} was saved"));
        }
    }
}

fn newest(history: &KeyHistory) -> Option<&Attempt> {
    let locked = history.attempts.iter().filter(|attempt| attempt.lease.is_some());
    locked.max_by_key(|attempt| attempt.token().map(|token| token.sequence))
}

/// The highest step whose checkpoint is certain to be in the record of this attempt.
fn saved(attempt: &Attempt) -> Option<u64> {
    let inherited = attempt.lease.as_ref()?.checkpoint().map(|checkpoint| checkpoint.step);
    let own = attempt.checkpoints.iter().filter(|sent| sent.acknowledged).map(|sent| sent.what.0).max();
    inherited.max(own)
}
