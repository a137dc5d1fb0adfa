//! For one key: what callers may rely on because of the answers they got, and from when to when.
//!
//! A claim begins when the answer arrives. It ends at the latest when the contract says, counted from before the call
//! was sent. A holder's claim also ends with the first `complete` or `release` that it sends: from then on it relies on
//! nothing until that call is answered. A contradiction of a claim can therefore not be excused by clocks, delays or
//! unknown effects.

use std::collections::BTreeMap;

use crate::judge::history::{Answer, Call, Digest, Event, Micros, Token};
use crate::judge::rules::Rules;

/// A span of time in which `token`, by the answers it got, holds the key or has completed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) token: Token,
    pub(crate) kind: Kind,
    pub(crate) from: Micros,
    pub(crate) until: Micros,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Holds,
    Completed,
}

impl Claim {
    /// Whether all of a call lies in the claim, so that the claim stood whenever the call took effect.
    pub(crate) fn covers(&self, begin: Micros, end: Micros) -> bool {
        self.from <= begin && end <= self.until
    }

    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        self.from.max(other.from) < self.until.min(other.until)
    }
}

/// What is known of one token of a key.
#[derive(Debug, Default)]
pub(crate) struct Attempt {
    pub(crate) retention: u64,
    /// The number of the attempt, and the end of the first `lock` that acquired it.
    pub(crate) acquired: Option<(u32, Micros)>,
    /// The begin of the first `lock` of its owner, answered or not.
    pub(crate) asked: Micros,
    /// Each span of validity as it was granted, regardless of what the holder did in it.
    pub(crate) held: Vec<(Micros, Micros)>,
    /// The begins of the calls that end the attempt, answered or not.
    pub(crate) ends: Vec<Micros>,
    /// The begin of the first `release` of which nobody knows whether it was carried out.
    pub(crate) perhaps_released: Option<Micros>,
    /// The begin, bytes and retention of each `complete`.
    pub(crate) completes: Vec<(Micros, Digest, u64)>,
    /// The end of the first `complete` that was answered `Applied`, or of the first confirmed replay.
    pub(crate) accepted: Option<Micros>,
    /// The highest step whose checkpoint was answered `Applied`.
    pub(crate) saved: Option<u64>,
}

impl Attempt {
    /// The last moment at which, by the answers it got, it holds the key.
    pub(crate) fn last_held(&self) -> Micros {
        self.held.iter().map(|(_, until)| *until).max().unwrap_or(0)
    }

    /// The outcomes sent before `before` that may have become the record's.
    pub(crate) fn outcomes(&self, before: Micros) -> impl Iterator<Item = Digest> {
        // A `complete` sent after one was accepted changes nothing.
        let before = self.accepted.map_or(before, |accepted| accepted.min(before));
        self.completes.iter().filter(move |(begin, ..)| *begin < before).map(|(_, bytes, _)| *bytes)
    }

    fn accept(&mut self, end: Micros) {
        self.accepted = Some(self.accepted.map_or(end, |accepted| accepted.min(end)));
    }

    /// Whether the holder sent no `complete` or `release` before `moment`, apart from the call that begins at `except`.
    pub(crate) fn sent_no_end_before(&self, moment: Micros, except: Micros) -> bool {
        self.ends.iter().all(|begin| *begin >= moment || *begin == except)
    }
}

/// What `events`, those of one key in the order of their begins, show of each token.
pub(crate) fn attempts(events: &[&Event], rules: &Rules) -> BTreeMap<Token, Attempt> {
    let mut attempts = BTreeMap::<Token, Attempt>::new();
    for event in events {
        match (&event.call, &event.answer) {
            (Call::Lock { retention, .. }, Answer::Acquired { token, attempt, until, .. }) => {
                let of = attempts.entry(*token).or_default();
                of.retention = *retention;
                of.held.push((event.end, rules.earliest_end(event.begin, *until)));
                if of.acquired.is_none_or(|(_, end)| event.end < end) {
                    of.acquired = Some((*attempt, event.end));
                }
            }
            (Call::Renew(token), Answer::Applied { until }) => {
                let until = rules.earliest_end(event.begin, *until);
                attempts.entry(*token).or_default().held.push((event.end, until));
            }
            (Call::Checkpoint(token, saved), Answer::Applied { until }) => {
                let of = attempts.entry(*token).or_default();
                of.held.push((event.end, rules.earliest_end(event.begin, *until)));
                of.saved = of.saved.max(Some(saved.step));
            }
            (Call::Complete { token, bytes, retention }, answer) => {
                let of = attempts.entry(*token).or_default();
                of.ends.push(event.begin);
                // A full disk keeps nothing.
                if *answer != Answer::Full {
                    of.completes.push((event.begin, *bytes, *retention));
                }
                if matches!(answer, Answer::Applied { .. }) {
                    of.accept(event.end);
                }
            }
            (Call::Lock { confirms: true, .. }, Answer::Replayed(token, _)) => {
                attempts.entry(*token).or_default().accept(event.end);
            }
            (Call::Release(token), answer) => {
                let of = attempts.entry(*token).or_default();
                of.ends.push(event.begin);
                if *answer == Answer::Unknown {
                    of.perhaps_released.get_or_insert(event.begin);
                }
            }
            _ => {}
        }
    }
    for (token, attempt) in &mut attempts {
        let asks = |event: &&&Event| matches!(event.call, Call::Lock { owner, .. } if owner == token.owner);
        attempt.asked = events.iter().filter(asks).map(|event| event.begin).min().unwrap_or(0);
    }
    attempts
}

/// What each token claims.
pub(crate) fn claims(attempts: &BTreeMap<Token, Attempt>, rules: &Rules) -> Vec<Claim> {
    let mut claims = Vec::new();
    for (token, attempt) in attempts {
        let end = attempt.ends.iter().copied().min().unwrap_or(Micros::MAX);
        for (from, until) in &attempt.held {
            claims.push(Claim { token: *token, kind: Kind::Holds, from: *from, until: end.min(*until) });
        }
        let expires = attempt
            .completes
            .iter()
            .map(|(begin, _, retention)| rules.earliest_end(*begin, begin + retention))
            .min();
        if let (Some(from), Some(until)) = (attempt.accepted, expires) {
            claims.push(Claim { token: *token, kind: Kind::Completed, from, until });
        }
    }
    claims.retain(|claim| claim.from < claim.until);
    claims.sort_by_key(|claim| claim.from);
    claims
}
