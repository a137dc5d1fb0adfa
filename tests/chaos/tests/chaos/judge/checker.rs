//! Decides whether the contract allows a history: a pure function from a history to its violations.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use crate::judge::claims::{Attempt, Claim, Kind, attempts, claims};
use crate::judge::history::{Answer, Call, Event, Micros, Reason, Token};
use crate::judge::rules::{Reads, Report, Rule, Rules, Violation};

pub(crate) fn check(history: &[Event], rules: &Rules) -> Report {
    let mut report = Report { calls: history.len(), ..Report::default() };
    let mut keys = BTreeMap::<u32, Vec<&Event>>::new();
    for event in history {
        keys.entry(event.key).or_default().push(event);
    }
    for (key, mut events) in keys {
        events.sort_by_key(|event| (event.begin, event.end));
        let attempts = attempts(&events, rules);
        let claims = claims(&attempts, rules);
        let fingerprints = fingerprints(&events);
        report.acquired += attempts.values().filter(|attempt| attempt.acquired.is_some()).count();
        report.completed += attempts.values().filter(|attempt| attempt.accepted.is_some()).count();
        let mut of_key = OfKey {
            key,
            rules,
            events,
            attempts,
            claims,
            fingerprints,
            reported: BTreeSet::new(),
            report: &mut report,
        };
        of_key.claims_exclude_each_other();
        of_key.fence_rises();
        for event in of_key.events.clone() {
            of_key.count(event);
            of_key.is_outside_the_claims_of_others(event);
            of_key.holder_is_not_denied(event);
            of_key.replay_is_what_was_accepted(event);
            of_key.earlier_attempt_is_remembered(event);
            of_key.checkpoint_was_saved(event);
            of_key.is_up_to_date(event);
        }
        let OfKey { events, report, .. } = of_key;
        if report.violations.last().is_some_and(|violation| violation.key == key) {
            report.violated.insert(key, events.into_iter().cloned().collect());
        }
    }
    report
}

struct OfKey<'a> {
    key: u32,
    rules: &'a Rules,
    events: Vec<&'a Event>,
    attempts: BTreeMap<Token, Attempt>,
    claims: Vec<Claim>,
    fingerprints: HashMap<u64, u8>,
    /// Each pair of tokens is reported once a rule.
    reported: BTreeSet<(Rule, Token, Token)>,
    report: &'a mut Report,
}

impl OfKey<'_> {
    fn claims_exclude_each_other(&mut self) {
        for (number, first) in self.claims.clone().iter().enumerate() {
            for second in self.claims.clone().iter().skip(number + 1) {
                if first.token != second.token && first.overlaps(second) {
                    self.report_pair(rule_of(first.kind, second.kind), first, second.token, second);
                }
            }
        }
    }

    /// An attempt that was asked for when another one was known already has the higher sequence.
    fn fence_rises(&mut self) {
        if !self.rules.strict_sequence {
            return;
        }
        let mut fallen = Vec::new();
        // Of the attempts with a higher sequence, the one that was known first. Tokens are in the order of their sequences.
        let mut first: Option<(Micros, Token)> = None;
        for (token, attempt) in self.attempts.iter().rev() {
            let Some((_, acquired)) = attempt.acquired else { continue };
            if let Some((known, higher)) = first
                && known <= attempt.asked
            {
                fallen.push(format!(
                    "{token:?}, asked for at {}, after {higher:?}, known at {known}",
                    attempt.asked
                ));
            }
            if first.is_none_or(|(known, _)| acquired < known) {
                first = Some((acquired, *token));
            }
        }
        for what in fallen {
            self.report.violations.push(Violation { rule: Rule::FallenFence, key: self.key, what });
        }
    }

    /// A token whose call succeeded held or completed the key at some moment between the begin and the end of the
    /// call. No claim of another token may cover all of that time.
    fn is_outside_the_claims_of_others(&mut self, event: &Event) {
        let (kind, token) = match (&event.call, &event.answer) {
            (Call::Lock { .. }, Answer::Acquired { token, .. })
            | (
                Call::Renew(token) | Call::Checkpoint(token, _) | Call::Release(token),
                Answer::Applied { .. },
            ) => (Kind::Holds, *token),
            (Call::Complete { token, .. }, Answer::Applied { .. }) => (Kind::Completed, *token),
            _ => return,
        };
        // A `complete` that is sent again gets the answer of the first one, which may have taken effect long ago, and so may
        // a `release` of which the first answer was lost.
        let attempt = &self.attempts[&token];
        let begin = match event.call {
            Call::Complete { .. } => attempt.completes.iter().map(|(begin, ..)| *begin).min(),
            Call::Release(_) => attempt.perhaps_released,
            _ => None,
        };
        let begin = begin.unwrap_or(event.begin).min(event.begin);
        for claim in self.claims.clone() {
            if claim.token != token && claim.covers(begin, event.end) {
                self.report_pair(rule_of(claim.kind, kind), &claim, token, event);
            }
        }
    }

    fn holder_is_not_denied(&mut self, event: &Event) {
        let (Some(token), Answer::Lost(reason)) = (event.call.token(), &event.answer) else { return };
        let Some(attempt) = self.attempts.get(&token) else { return };
        let covered = |(from, until): &(Micros, Micros)| *from <= event.begin && event.end <= *until;
        if attempt.sent_no_end_before(event.end, event.begin) && attempt.held.iter().any(covered) {
            self.report(Rule::LostLease, event);
        }
        let sent_again = matches!(event.call, Call::Complete { .. });
        let completed = |claim: &Claim| {
            claim.token == token && claim.kind == Kind::Completed && claim.covers(event.begin, event.end)
        };
        if self.claims.iter().any(completed) && (sent_again || *reason != Reason::Completed) {
            self.report(Rule::LostCompletion, event);
        }
    }

    fn replay_is_what_was_accepted(&mut self, event: &Event) {
        let (token, bytes) = match (&event.call, &event.answer) {
            (Call::Lock { owner, .. }, Answer::Replayed(token, bytes)) => {
                // Each owner asks with one fingerprint.
                if self.fingerprints.get(owner) != self.fingerprints.get(&token.owner) {
                    self.report(Rule::WrongFingerprint, event);
                }
                (token, bytes)
            }
            (Call::Get, Answer::Found(token, Some(bytes))) => (token, bytes),
            _ => return,
        };
        let sent = self.attempts.get(token).is_some_and(|of| of.outcomes(event.end).any(|one| one == *bytes));
        let differs = self.events.iter().any(|other| match &other.answer {
            Answer::Replayed(one, other) | Answer::Found(one, Some(other)) => one == token && other != bytes,
            _ => false,
        });
        if !sent || differs {
            self.report(Rule::WrongOutcome, event);
        }
    }

    /// A record outlives its lease by the retention, so a takeover gets the next attempt number, a higher sequence and
    /// the checkpoint. Checked only where no call may have ended the record in between.
    fn earlier_attempt_is_remembered(&mut self, event: &Event) {
        let Answer::Acquired { token, attempt, saved, .. } = &event.answer else { return };
        for (before, known) in &self.attempts {
            let Some((number, acquired)) = known.acquired else { continue };
            // It was locked at the earliest when it was asked for, so perhaps before a step of the clock.
            let expires = self.rules.earliest_end(known.asked, known.last_held() + known.retention);
            let lives = acquired <= event.begin && event.end < expires;
            let ended = |other: &&Event| {
                let ends = matches!(other.call, Call::Complete { .. } | Call::Release(_));
                ends && other.begin < event.end
            };
            if before == token || !lives || self.events.iter().any(ended) {
                continue;
            }
            let step = saved.map(|saved| saved.step);
            if *attempt <= number || token.sequence <= before.sequence || step < known.saved {
                self.report(Rule::ForgottenAttempt, event);
                return;
            }
        }
    }

    fn checkpoint_was_saved(&mut self, event: &Event) {
        let Answer::Acquired { saved: Some(saved), .. } = &event.answer else { return };
        let sends = |other: &&Event| match &other.call {
            Call::Checkpoint(_, sent) => sent == saved && other.begin < event.end,
            _ => false,
        };
        if !self.events.iter().any(sends) {
            self.report(Rule::WrongCheckpoint, event);
        }
    }

    fn is_up_to_date(&mut self, event: &Event) {
        let covering = self.claims.iter().find(|claim| claim.covers(event.begin, event.end));
        let Some(claim) = covering else { return };
        let is_fresh = match (&event.call, &event.answer) {
            (Call::Get, Answer::Found(token, outcome)) => {
                *token == claim.token && outcome.is_some() == (claim.kind == Kind::Completed)
            }
            (Call::Get, Answer::Nothing) => false,
            (Call::Settled(_), Answer::Settled(settled)) => *settled == (claim.kind == Kind::Completed),
            (Call::Lock { owner, .. }, Answer::Mismatch | Answer::Replayed(..) | Answer::InProgress) => {
                let same = self.fingerprints.get(owner) == self.fingerprints.get(&claim.token.owner);
                match (same, claim.kind) {
                    (false, _) => event.answer == Answer::Mismatch,
                    (true, Kind::Holds) => event.answer == Answer::InProgress,
                    (true, Kind::Completed) => {
                        matches!(event.answer, Answer::Replayed(token, _) if token == claim.token)
                    }
                }
            }
            _ => true,
        };
        if !is_fresh {
            self.report.stale += 1;
            if self.rules.reads == Reads::AreFresh {
                self.report(Rule::StaleRead, event);
            }
        }
    }

    fn count(&mut self, event: &Event) {
        self.report.slowest = self.report.slowest.max(event.end - event.begin);
        self.report.unknown += usize::from(event.answer == Answer::Unknown);
        self.report.full += usize::from(event.answer == Answer::Full);
        if let (Call::Complete { token, .. }, answer) = (&event.call, &event.answer) {
            let attempt = &self.attempts[token];
            let is_late = matches!(answer, Answer::Applied { .. }) && attempt.last_held() < event.begin;
            self.report.late += usize::from(is_late);
            self.report.superseded += usize::from(*answer == Answer::Lost(Reason::Superseded));
        }
        self.report.replays += usize::from(matches!(event.answer, Answer::Replayed(..)));
        let waits = if let Call::Settled(longest) = event.call { longest } else { 0 };
        if event.end - event.begin > self.rules.longest_call + waits {
            self.report(Rule::Slow, event);
        }
        let is_full = event.answer == Answer::Full && !self.rules.disk_was_full;
        if is_full || matches!(event.answer, Answer::Failed(_)) {
            self.report(Rule::Failed, event);
        }
    }

    fn report(&mut self, rule: Rule, event: &Event) {
        let what = format!("{event:?}");
        self.report.violations.push(Violation { rule, key: self.key, what });
    }

    fn report_pair(&mut self, rule: Rule, claim: &Claim, token: Token, by: &impl fmt::Debug) {
        let pair = (claim.token.min(token), claim.token.max(token));
        if self.reported.insert((rule, pair.0, pair.1)) {
            let what = format!("{claim:?} against {by:?}");
            self.report.violations.push(Violation { rule, key: self.key, what });
        }
    }
}

impl Call {
    /// The token under which it is made.
    fn token(&self) -> Option<Token> {
        match self {
            Self::Renew(token)
            | Self::Checkpoint(token, _)
            | Self::Complete { token, .. }
            | Self::Release(token) => Some(*token),
            Self::Lock { .. } | Self::Get | Self::Settled(_) => None,
        }
    }
}

fn rule_of(one: Kind, other: Kind) -> Rule {
    match (one, other) {
        (Kind::Holds, Kind::Holds) => Rule::SecondHolder,
        (Kind::Completed, Kind::Completed) => Rule::SecondCompletion,
        _ => Rule::HeldAfterCompletion,
    }
}

fn fingerprints(events: &[&Event]) -> HashMap<u64, u8> {
    let of = |event: &&Event| match event.call {
        Call::Lock { owner, fingerprint, .. } => Some((owner, fingerprint)),
        _ => None,
    };
    events.iter().filter_map(of).collect()
}
