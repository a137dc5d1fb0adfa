//! The calls that were made to a store and their answers: by these the store is judged after a fault.

use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use idem_core::clock::Timestamp;
use idem_core::record::Replay;
use idem_core::{Key, Lease, Outcome, Owner, Scope, Token};

/// Everything that happened to a set of keys. Clones are the same history.
#[derive(Clone)]
pub(crate) struct History(Arc<Mutex<Vec<KeyHistory>>>);

pub(crate) struct KeyHistory {
    pub(crate) key: Key,
    /// Whether its records expire while the test runs, so that there is something to remove.
    pub(crate) short_lived: bool,
    /// In the order of their `lock` calls.
    pub(crate) attempts: Vec<Attempt>,
    /// Answers that contradict earlier ones.
    pub(crate) contradictions: Vec<String>,
}

/// One caller's attempt to run the work of a key.
#[derive(Clone)]
pub(crate) struct Attempt {
    pub(crate) owner: Owner,
    /// Set once the `lock` is acknowledged.
    pub(crate) lease: Option<Lease>,
    /// The store promised to hold the lease until here.
    pub(crate) held_until: Timestamp,
    pub(crate) checkpoints: Vec<Sent<(u64, Bytes)>>,
    pub(crate) completion: Option<Sent<Completing>>,
    pub(crate) release: Option<Sent<()>>,
}

/// A call that was sent, and whether it is known to have been applied.
#[derive(Clone)]
pub(crate) struct Sent<T> {
    pub(crate) what: T,
    pub(crate) acknowledged: bool,
}

#[derive(Clone)]
pub(crate) struct Completing {
    pub(crate) value: Bytes,
    /// By `complete_with`, together with a row in the application's table.
    pub(crate) with_row: bool,
}

/// Names one attempt of a history.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) key: usize,
    attempt: usize,
}

impl History {
    pub(crate) fn new(keys: usize, short_lived: usize) -> Self {
        let keys = (0..keys + short_lived).map(|number| KeyHistory {
            key: Key::new(&Scope::shared(), format!("key {number}")).unwrap(),
            short_lived: number >= keys,
            attempts: Vec::new(),
            contradictions: Vec::new(),
        });
        Self(Arc::new(Mutex::new(keys.collect())))
    }

    pub(crate) fn keys(&self) -> MutexGuard<'_, Vec<KeyHistory>> {
        self.0.lock().unwrap()
    }

    /// Notes that a `lock` is about to be sent.
    pub(crate) fn locking(&self, key: usize, owner: Owner) -> Place {
        let attempts = &mut self.keys()[key].attempts;
        attempts.push(Attempt {
            owner,
            lease: None,
            held_until: Timestamp::default(),
            checkpoints: Vec::new(),
            completion: None,
            release: None,
        });
        Place { key, attempt: attempts.len() - 1 }
    }

    pub(crate) fn change(&self, place: Place, change: impl FnOnce(&mut Attempt)) {
        change(&mut self.keys()[place.key].attempts[place.attempt]);
    }

    /// Notes that a caller got `replay`: from now on its completion counts as acknowledged.
    pub(crate) fn replayed(&self, key: usize, replay: &Replay) {
        self.keys()[key].replayed(replay);
    }

    pub(crate) fn contradicted(&self, key: usize, contradiction: String) {
        self.keys()[key].contradictions.push(contradiction);
    }

    pub(crate) fn attempts(&self) -> usize {
        self.keys().iter().map(|key| key.attempts.len()).sum()
    }

    /// How many keys have a completion that a caller knows of.
    pub(crate) fn acknowledged_completions(&self) -> usize {
        self.keys().iter().filter(|key| key.acknowledged().is_some()).count()
    }
}

impl KeyHistory {
    /// The attempt whose completion a caller knows of.
    pub(crate) fn acknowledged(&self) -> Option<&Attempt> {
        self.attempts.iter().find(|attempt| attempt.completion.as_ref().is_some_and(|sent| sent.acknowledged))
    }

    pub(crate) fn replayed(&mut self, replay: &Replay) {
        let Some(attempt) = self.attempts.iter_mut().find(|attempt| attempt.may_have_led_to(replay)) else {
            self.contradictions.push(format!("nobody completed it with {:?}", replay.outcome));
            return;
        };
        if let Some(sent) = &mut attempt.completion {
            sent.acknowledged = true;
        }
    }
}

impl Attempt {
    pub(crate) fn token(&self) -> Option<Token> {
        self.lease.as_ref().map(Lease::token)
    }

    pub(crate) fn may_have_led_to(&self, replay: &Replay) -> bool {
        let (Some(lease), Some(sent)) = (&self.lease, &self.completion) else { return false };
        lease.token() == replay.token && Outcome::Value(sent.what.value.clone()) == replay.outcome
    }
}
