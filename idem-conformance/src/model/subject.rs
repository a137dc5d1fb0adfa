//! Runs the steps on the store, and compares it with the reference.

use std::collections::HashMap;
use std::time::Duration;

use idem_core::backend::Answer;
use idem_core::{Key, Lease, LockAnswer, Owner, Token};
use proptest::test_runner::TestCaseError;
use proptest::{prop_assert, prop_assert_eq};

use super::compare::{Clocks, compare_belief, compare_record};
use super::reference::{Reference, bytes_of, claim_of, fingerprint_of, outcome_of};
use super::step::{KEYS, Step};
use crate::harness::Harness;
use crate::trial::{Trial, must};

type Compared = Result<(), TestCaseError>;

/// The store, and what is known of it from earlier steps.
pub(super) struct Subject {
    trial: Trial,
    began: Duration,
    /// Every lease that was ever granted, as in the reference.
    leases: Vec<Lease>,
    /// The store's token for each token of the reference. Sequences differ, but equal tokens must stay equal.
    tokens: HashMap<Token, Token>,
    /// The highest sequence of each key so far.
    sequences: HashMap<u8, u64>,
    reopened: bool,
    /// How many owners were made so far.
    owners: u128,
}

enum Actual {
    Nothing,
    Locked(LockAnswer, Owner),
    Effect(idem_core::Effect),
    Removed(bool),
    Expired { removed: usize, budget: usize },
}

impl Subject {
    pub(super) fn new(harness: Box<dyn Harness>) -> Self {
        let trial = Trial::new(harness);
        let began = trial.time().elapsed();
        Self {
            trial,
            began,
            leases: Vec::new(),
            tokens: HashMap::new(),
            sequences: HashMap::new(),
            reopened: false,
            owners: 0,
        }
    }

    /// Runs `step`, and compares the answer and the records with those of `reference`, to which the step has been
    /// applied.
    pub(super) async fn apply(&mut self, step: &Step, reference: &Reference) -> Compared {
        let actual = self.run(step, reference).await;
        let mut records = Vec::new();
        for key in 0..KEYS {
            records.push(self.trial.get(&self.key(key)).await);
        }
        if self.ahead_of(reference) >= self.trial.time().tolerance()
            && !self.trial.time().tolerance().is_zero()
        {
            // On a real clock the answers may then differ and still be right.
            return Err(TestCaseError::reject("this machine was too slow for its real clock"));
        }
        self.compare(step, actual, reference)?;
        let clocks = self.clocks();
        for (key, record) in (0..KEYS).zip(&records) {
            compare_record(&clocks, reference, key, record.as_ref(), &self.tokens)?;
            if let Some(record) = record {
                compare_belief(&clocks, &self.key(key), record, &self.leases)?;
            }
        }
        Ok(())
    }

    async fn run(&mut self, step: &Step, reference: &Reference) -> Actual {
        let (store, tick) = (self.trial.store(), self.trial.time().tick());
        let lease = reference.grant.and_then(|grant| self.leases.get(grant));
        match (step, lease) {
            (Step::Pass { .. }, _) => {
                let left = (tick * reference.elapsed).saturating_sub(self.elapsed());
                self.trial.time().advance(left).await;
                Actual::Nothing
            }
            (Step::Reopen, _) => {
                self.trial.reopen().await;
                self.reopened = true;
                Actual::Nothing
            }
            (Step::Expire { budget }, _) => {
                let expired = must("expire", store.expire(*budget).await);
                Actual::Expired { removed: expired.removed, budget: *budget }
            }
            (Step::Remove { key, force }, _) => {
                Actual::Removed(must("remove", store.remove(&self.key(*key), *force).await))
            }
            (Step::Lock { key, owner, fingerprint, lease, retention }, _) => {
                let mut claim = claim_of(*owner, tick * *lease, tick * *retention);
                if !store.capabilities().strict_sequence {
                    claim.owner = self.owner_of_an_attempt(reference);
                }
                let lock = store.lock(&self.key(*key), &fingerprint_of(*fingerprint), &claim).await;
                Actual::Locked(must("lock", lock), claim.owner)
            }
            (Step::Renew { lease: duration, .. }, Some(lease)) => {
                Actual::Effect(must("renew", store.renew(lease, tick * *duration).await))
            }
            (Step::Checkpoint { step, progress, lease: duration, .. }, Some(lease)) => {
                let checkpoint = store.checkpoint(lease, *step, bytes_of(*progress), tick * *duration).await;
                Actual::Effect(must("checkpoint", checkpoint))
            }
            (Step::Complete { outcome, retention, .. }, Some(lease)) => {
                let complete = store.complete(lease, outcome_of(*outcome), tick * *retention).await;
                Actual::Effect(must("complete", complete))
            }
            (Step::Release { .. }, Some(lease)) => {
                Actual::Effect(must("release", store.release(lease).await))
            }
            (_, None) => Actual::Nothing,
        }
    }

    fn compare(&mut self, step: &Step, actual: Actual, reference: &Reference) -> Compared {
        match (actual, &reference.answer) {
            (Actual::Nothing, None) => Ok(()),
            (Actual::Expired { removed, budget }, None) => {
                prop_assert!(removed <= budget, "expire removed {removed}, allowed were {budget}");
                Ok(())
            }
            (Actual::Removed(actual), Some(Answer::Removed(expected))) => {
                prop_assert_eq!(actual, *expected);
                Ok(())
            }
            (Actual::Effect(actual), Some(Answer::Effect(expected))) => {
                prop_assert_eq!(actual, *expected);
                if let (Step::Complete { .. }, idem_core::Effect::Applied) = (step, actual) {
                    let lease = reference.grant.and_then(|grant| self.leases.get(grant));
                    prop_assert!(lease.is_some_and(Lease::is_completed), "the lease knows of its completion");
                }
                Ok(())
            }
            (Actual::Locked(actual, owner), Some(expected)) => {
                self.compare_lock(step, actual, owner, expected)
            }
            (_, expected) => {
                Err(TestCaseError::fail(format!("the store answered something other than {expected:?}")))
            }
        }
    }

    fn compare_lock(&mut self, step: &Step, actual: LockAnswer, owner: Owner, expected: &Answer) -> Compared {
        let clocks = self.clocks();
        match (actual, expected) {
            (LockAnswer::FingerprintMismatch, Answer::FingerprintMismatch) => Ok(()),
            (LockAnswer::InProgress { remaining }, Answer::InProgress(expected)) => {
                clocks.compare("what is left of the lease", remaining, *expected)
            }
            (LockAnswer::Completed(actual), Answer::Completed(expected)) => {
                prop_assert_eq!(&actual.outcome, &expected.outcome);
                prop_assert_eq!(Some(&actual.token), self.tokens.get(&expected.token));
                let retention = expected.expires_at.since(expected.completed_at);
                clocks.compare("the retention", actual.expires_at.since(actual.completed_at), retention)
            }
            (LockAnswer::Acquired(lease), Answer::Acquired(grant)) => {
                prop_assert_eq!(lease.attempt(), grant.attempt);
                prop_assert_eq!(lease.checkpoint(), grant.checkpoint.as_ref());
                prop_assert_eq!(lease.token().owner, owner);
                clocks.compare("the lease", lease.remaining(), grant.valid_for)?;
                let Step::Lock { key, .. } = step else {
                    return Err(TestCaseError::fail("only `lock` acquires"));
                };
                self.compare_token(*key, lease.token(), grant.token, grant.attempt)?;
                self.leases.push(lease);
                Ok(())
            }
            (actual, expected) => Err(TestCaseError::fail(format!("{actual:?} should be {expected:?}"))),
        }
    }

    /// The owner of a `lock`: that of the attempt that it resends, or a new one.
    ///
    /// The steps reuse a few owners. Where a record was removed and its sequence begins anew, that would give two
    /// attempts the same token, which cannot happen to callers that make an owner for each attempt.
    fn owner_of_an_attempt(&mut self, reference: &Reference) -> Owner {
        let resent = match &reference.answer {
            Some(Answer::Acquired(grant)) => self.tokens.get(&grant.token),
            _ => None,
        };
        self.owners += 1;
        resent.map_or_else(|| Owner::from_bytes(self.owners.to_be_bytes()), |token| token.owner)
    }

    /// A token that the reference knows must be the same as before. A new token must be higher than the last.
    fn compare_token(&mut self, key: u8, actual: Token, expected: Token, attempt: u32) -> Compared {
        if let Some(before) = self.tokens.get(&expected) {
            prop_assert_eq!(actual, *before, "the same attempt has another token");
            return Ok(());
        }
        let rises = attempt > 1 || self.trial.store().capabilities().strict_sequence;
        let last = self.sequences.insert(key, actual.sequence);
        if let Some(last) = last.filter(|_| rises) {
            prop_assert!(actual.sequence > last, "the sequence {} follows {last}", actual.sequence);
        }
        self.tokens.insert(expected, actual);
        Ok(())
    }

    fn clocks(&self) -> Clocks {
        // A store that resumes from its highest sequence starts ahead by a microsecond for each `lock`.
        let ahead = if self.reopened { Duration::from_millis(1) } else { Duration::ZERO };
        let time = self.trial.time();
        Clocks { tick: time.tick(), tolerance: time.tolerance().max(ahead) }
    }

    fn key(&self, key: u8) -> Key {
        self.trial.key(&format!("order-{key}"))
    }

    fn elapsed(&self) -> Duration {
        self.trial.time().elapsed().saturating_sub(self.began)
    }

    /// How far the store's time is ahead of the reference's.
    fn ahead_of(&self, reference: &Reference) -> Duration {
        self.elapsed().saturating_sub(self.trial.time().tick() * reference.elapsed)
    }
}
