//! The reference: a map of records, changed by `decide` alone.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use idem_core::backend::{Answer, Call, Change, decide};
use idem_core::clock::Timestamp;
use idem_core::record::{Checkpoint, Record};
use idem_core::{Claim, Fingerprint, Outcome, Owner, Token, UnavailableReason};

use super::step::Step;

/// What a store must answer and keep.
#[derive(Debug, Clone, Default)]
pub(super) struct Reference {
    /// Ticks since the beginning.
    pub(super) elapsed: u32,
    /// The answer to the last step. `None` when the step made no call.
    pub(super) answer: Option<Answer>,
    /// The grant that the last step used or made, if any.
    pub(super) grant: Option<usize>,
    /// Every lease that was ever granted, including lost ones.
    grants: Vec<(u8, Token)>,
    records: BTreeMap<u8, Record>,
    /// A number for every `lock`, so that no two tokens are equal.
    locks: u64,
}

/// The unit of time of the reference. The harness chooses how long it is for the store.
pub(super) const TICK: Duration = Duration::from_secs(1);

impl Reference {
    /// The state after `step`.
    pub(super) fn apply(mut self, step: &Step) -> Self {
        self.answer = None;
        self.grant = None;
        match step {
            Step::Pass { time } => self.elapsed += time,
            Step::Expire { .. } | Step::Reopen => {}
            Step::Lock { key, owner, fingerprint, lease, retention } => {
                self.locks += 1;
                let call = Call::Lock {
                    fingerprint: fingerprint_of(*fingerprint),
                    claim: claim_of(*owner, TICK * *lease, TICK * *retention),
                    min_sequence: self.now().as_micros() + self.locks,
                };
                self.call(*key, call);
            }
            Step::Remove { key, force } => self.call(*key, Call::Remove { force: *force }),
            Step::Renew { grant, lease } => {
                let duration = TICK * *lease;
                self.held(*grant, |token| Call::Renew { token, duration });
            }
            Step::Checkpoint { grant, step, progress, lease } => {
                let checkpoint = Checkpoint::new(*step, bytes_of(*progress));
                let duration = TICK * *lease;
                self.held(*grant, |token| Call::Checkpoint { token, checkpoint, duration });
            }
            Step::Complete { grant, outcome, retention } => {
                let (outcome, retention) = (outcome_of(*outcome), TICK * *retention);
                self.held(*grant, |token| Call::Complete { token, outcome, retention });
            }
            Step::Release { grant } => self.held(*grant, |token| Call::Release { token }),
        }
        self
    }

    pub(super) fn now(&self) -> Timestamp {
        Timestamp::from_micros(1_000_000_000_000) + TICK * self.elapsed
    }

    /// The record of `key`, unless it has expired.
    pub(super) fn record(&self, key: u8) -> Option<&Record> {
        self.records.get(&key).filter(|record| !record.is_expired(self.now()))
    }

    fn held(&mut self, grant: u8, call: impl FnOnce(Token) -> Call) {
        if self.grants.is_empty() {
            return;
        }
        // Counted from the latest grant, which is the most likely to be still held.
        let grant = self.grants.len() - 1 - usize::from(grant) % self.grants.len();
        let (key, token) = self.grants[grant];
        self.grant = Some(grant);
        self.call(key, call(token));
    }

    fn call(&mut self, key: u8, call: Call) {
        let decision = decide(self.records.get(&key), call, self.now());
        match decision.change {
            Change::None => {}
            Change::Put(record) => {
                self.records.insert(key, record);
            }
            Change::Remove => {
                self.records.remove(&key);
            }
        }
        if let Answer::Acquired(grant) = &decision.answer {
            self.grant = Some(self.grants.len());
            self.grants.push((key, grant.token));
        }
        self.answer = Some(decision.answer);
    }
}

pub(super) fn claim_of(owner: u8, lease: Duration, retention: Duration) -> Claim {
    Claim { owner: Owner::from_bytes([owner; 16]), lease, retention }
}

pub(super) fn fingerprint_of(number: u8) -> Fingerprint {
    Fingerprint::builder("model v1").part([number]).finish()
}

pub(super) fn outcome_of(number: u8) -> Outcome {
    match number {
        0 => Outcome::Unavailable(UnavailableReason::Streamed),
        number => Outcome::Value(bytes_of(number)),
    }
}

/// Bytes of any length from zero to a few kilobytes.
pub(super) fn bytes_of(number: u8) -> Bytes {
    vec![number; usize::from(number) * 1_500].into()
}
