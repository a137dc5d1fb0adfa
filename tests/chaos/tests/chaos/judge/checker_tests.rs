//! Each rule of the checker, on handmade histories: what it finds, and what it must not find.

use crate::judge::checker::check;
use crate::judge::history::{Answer, Call, Digest, Event, Micros, Reason, Saved, Token};
use crate::judge::rules::{Reads, Rule, Rules};

pub(super) const RETENTION: u64 = 1_000;
pub(super) const A: Token = Token { sequence: 1, owner: 1 };
pub(super) const B: Token = Token { sequence: 2, owner: 2 };

pub(super) fn rules(history: &[Event], reads: Reads) -> Vec<Rule> {
    found_by(history, &Rules { longest_call: 100, ..Rules::new(reads) })
}

pub(super) fn found_by(history: &[Event], rules: &Rules) -> Vec<Rule> {
    let report = check(history, rules);
    let mut rules: Vec<_> = report.violations.iter().map(|violation| violation.rule).collect();
    rules.sort();
    rules.dedup();
    rules
}

/// The rules violated, whichever order the events were recorded in.
fn found(history: &[Event]) -> Vec<Rule> {
    let found = rules(history, Reads::MayBeStale);
    let reversed: Vec<_> = history.iter().rev().cloned().collect();
    assert_eq!(rules(&reversed, Reads::MayBeStale), found);
    found
}

pub(super) fn event((begin, end): (Micros, Micros), call: Call, answer: Answer) -> Event {
    Event { worker: 0, key: 7, begin, end, call, answer }
}

pub(super) fn lock(token: Token, at: (Micros, Micros), answer: Answer) -> Event {
    event(
        at,
        Call::Lock { owner: token.owner, fingerprint: 0, retention: RETENTION, confirms: false },
        answer,
    )
}

pub(super) fn acquired(token: Token, at: (Micros, Micros), until: Micros) -> Event {
    attempt(token, at, until, u32::try_from(token.sequence).unwrap())
}

fn attempt(token: Token, at: (Micros, Micros), until: Micros, attempt: u32) -> Event {
    lock(token, at, Answer::Acquired { token, attempt, saved: None, until })
}

pub(super) fn complete(token: Token, at: (Micros, Micros), bytes: u64, answer: Answer) -> Event {
    event(at, Call::Complete { token, bytes: Digest(bytes), retention: RETENTION }, answer)
}

pub(super) fn applied() -> Answer {
    Answer::Applied { until: 0 }
}

pub(super) fn release(token: Token, at: (Micros, Micros), answer: Answer) -> Event {
    event(at, Call::Release(token), answer)
}

#[test]
fn an_ordinary_history_is_no_violation() {
    let history = [
        acquired(A, (0, 10), 100),
        lock(B, (20, 30), Answer::InProgress),
        event((20, 31), Call::Settled(9), Answer::Settled(false)),
        event((20, 51), Call::Settled(30), Answer::Settled(true)),
        event((30, 35), Call::Renew(A), Answer::Applied { until: 130 }),
        event((36, 38), Call::Get, Answer::Found(A, None)),
        complete(A, (40, 50), 5, applied()),
        complete(A, (50, 60), 6, applied()),
        lock(B, (60, 70), Answer::Replayed(A, Digest(5))),
        event((70, 75), Call::Get, Answer::Found(A, Some(Digest(5)))),
        event((75, 76), Call::Renew(A), Answer::Lost(Reason::Completed)),
        acquired(B, (1_045, 1_055), 1_100),
    ];
    assert_eq!(rules(&history, Reads::AreFresh), []);
}

#[test]
fn a_second_holder_is_found_while_the_first_lease_is_live() {
    assert_eq!(found(&[acquired(A, (0, 10), 100), acquired(B, (20, 30), 200)]), [Rule::SecondHolder]);
    // Answered too late to be of use, but granted while the first token held the key.
    assert_eq!(found(&[acquired(A, (0, 10), 100), acquired(B, (20, 30), 25)]), [Rule::SecondHolder]);
    let renewed = event((30, 40), Call::Renew(A), Answer::Applied { until: 300 });
    assert_eq!(
        found(&[acquired(A, (0, 10), 100), renewed, acquired(B, (120, 130), 140)]),
        [Rule::SecondHolder]
    );
    let applied_to_b = event((50, 60), Call::Renew(B), Answer::Applied { until: 60 });
    assert_eq!(found(&[acquired(A, (0, 10), 100), applied_to_b]), [Rule::SecondHolder]);
}

#[test]
fn a_holder_after_the_lease_or_after_a_release_is_no_violation() {
    assert_eq!(found(&[acquired(A, (0, 10), 100), acquired(B, (90, 110), 200)]), []);
    for answer in [applied(), Answer::Unknown] {
        let history = [acquired(A, (0, 10), 100), release(A, (20, 30), answer), acquired(B, (21, 25), 200)];
        assert_eq!(found(&history), []);
    }
    let other_key = Event { key: 8, ..acquired(B, (20, 30), 200) };
    assert_eq!(found(&[acquired(A, (0, 10), 100), other_key]), []);
}

#[test]
fn an_unknown_lock_or_renewal_claims_nothing() {
    let unknown = [lock(A, (0, 10), Answer::Unknown), acquired(B, (5, 15), 100)];
    assert_eq!(found(&unknown), []);
    let renewal = event((20, 30), Call::Renew(A), Answer::Unknown);
    let history = [acquired(A, (0, 10), 50), renewal, acquired(B, (60, 70), 200)];
    assert_eq!(found(&history), []);
}

#[test]
fn two_accepted_completions_are_found() {
    let history = [
        acquired(A, (0, 10), 20),
        acquired(B, (30, 40), 100),
        complete(A, (41, 50), 5, applied()),
        complete(B, (51, 60), 6, applied()),
    ];
    assert_eq!(found(&history), [Rule::SecondCompletion, Rule::HeldAfterCompletion]);
    let unknown = [
        acquired(A, (0, 10), 20),
        complete(A, (15, 18), 5, Answer::Unknown),
        acquired(B, (30, 40), 100),
        complete(B, (51, 60), 6, applied()),
    ];
    assert_eq!(found(&unknown), []);
}

#[test]
fn a_confirmed_replay_is_an_accepted_completion() {
    let history = |confirms| {
        let call = Call::Lock { owner: 3, fingerprint: 0, retention: RETENTION, confirms };
        found(&[
            acquired(A, (0, 10), 20),
            complete(A, (15, 18), 5, Answer::Unknown),
            event((20, 25), call, Answer::Replayed(A, Digest(5))),
            acquired(B, (30, 40), 100),
            complete(B, (51, 60), 6, applied()),
        ])
    };
    assert_eq!(history(true), [Rule::SecondCompletion, Rule::HeldAfterCompletion]);
    assert_eq!(history(false), []);
}

#[test]
fn the_next_generation_may_complete_again() {
    let history = [
        acquired(A, (0, 10), 100),
        complete(A, (20, 30), 5, applied()),
        acquired(B, (1_015, 1_025), 1_100),
        complete(B, (1_030, 1_040), 6, applied()),
    ];
    assert_eq!(found(&history), []);
    // The retention counts from the first try, which may be the one that took effect.
    let resent = [
        acquired(A, (0, 10), 100),
        complete(A, (20, 30), 5, Answer::Unknown),
        complete(A, (500, 510), 5, applied()),
        acquired(B, (1_025, 1_030), 1_100),
    ];
    assert_eq!(found(&resent), []);
}

#[test]
fn a_holder_after_an_accepted_completion_is_found() {
    let history =
        [acquired(A, (0, 10), 100), complete(A, (20, 30), 5, applied()), acquired(B, (40, 50), 100)];
    assert_eq!(found(&history), [Rule::HeldAfterCompletion]);
}

#[test]
fn a_live_lease_reported_as_lost_is_found() {
    let lost = |reason| Answer::Lost(reason);
    for reason in [Reason::Gone, Reason::Superseded, Reason::Released, Reason::Completed] {
        let history = [acquired(A, (0, 10), 100), event((20, 30), Call::Renew(A), lost(reason))];
        assert_eq!(found(&history), [Rule::LostLease]);
        let history = [acquired(A, (0, 10), 100), complete(A, (20, 30), 5, lost(reason))];
        assert_eq!(found(&history), [Rule::LostLease]);
    }
    let over = [acquired(A, (0, 10), 25), event((20, 30), Call::Renew(A), lost(Reason::Gone))];
    assert_eq!(found(&over), []);
    let resent = [
        acquired(A, (0, 10), 100),
        release(A, (20, 30), Answer::Unknown),
        release(A, (31, 40), lost(Reason::Gone)),
    ];
    assert_eq!(found(&resent), []);
}

#[test]
fn an_accepted_completion_that_is_later_refused_is_found() {
    let first = [acquired(A, (0, 10), 15), complete(A, (20, 30), 5, applied())];
    for reason in [Reason::Gone, Reason::Superseded] {
        let again = complete(A, (40, 50), 5, Answer::Lost(reason));
        assert_eq!(found(&[&first[..], &[again]].concat()), [Rule::LostCompletion]);
    }
    let expired = complete(A, (1_015, 1_025), 5, Answer::Lost(Reason::Gone));
    assert_eq!(found(&[&first[..], &[expired]].concat()), []);
}

#[test]
fn a_replay_of_other_bytes_is_found() {
    let first = [acquired(A, (0, 10), 100), complete(A, (20, 30), 5, applied())];
    let after = |events: &[Event]| found(&[&first[..], events].concat());
    assert_eq!(after(&[lock(B, (40, 50), Answer::Replayed(A, Digest(6)))]), [Rule::WrongOutcome]);
    assert_eq!(after(&[event((40, 50), Call::Get, Answer::Found(A, Some(Digest(6))))]), [Rule::WrongOutcome]);
    // Sent, but after another was accepted.
    let second = complete(A, (31, 35), 6, applied());
    assert_eq!(after(&[second, lock(B, (40, 50), Answer::Replayed(A, Digest(6)))]), [Rule::WrongOutcome]);
    // Nobody completed it yet.
    let early = lock(B, (12, 18), Answer::Replayed(A, Digest(5)));
    assert_eq!(after(&[early]), [Rule::WrongOutcome]);
}

#[test]
fn replays_of_one_completion_that_differ_are_found() {
    let history = [
        acquired(A, (0, 10), 100),
        complete(A, (20, 30), 5, Answer::Unknown),
        complete(A, (31, 35), 6, Answer::Unknown),
        lock(B, (40, 50), Answer::Replayed(A, Digest(5))),
        lock(B, (60, 70), Answer::Replayed(A, Digest(6))),
    ];
    assert_eq!(found(&history), [Rule::WrongOutcome]);
    assert_eq!(found(&history[..4]), []);
}

#[test]
fn an_outcome_for_another_fingerprint_is_found() {
    let other = Call::Lock { owner: 2, fingerprint: 1, retention: RETENTION, confirms: false };
    let history = |answer| {
        let asked = event((40, 50), other.clone(), answer);
        found(&[acquired(A, (0, 10), 100), complete(A, (20, 30), 5, applied()), asked])
    };
    assert_eq!(history(Answer::Replayed(A, Digest(5))), [Rule::WrongFingerprint]);
    assert_eq!(history(Answer::Mismatch), []);
}

#[test]
fn an_attempt_that_is_forgotten_is_found() {
    let history = |second| found(&[acquired(A, (0, 10), 100), second]);
    assert_eq!(history(attempt(B, (120, 130), 200, 1)), [Rule::ForgottenAttempt]);
    assert_eq!(history(attempt(B, (120, 130), 200, 2)), []);
    let older = Token { sequence: 0, ..B };
    assert_eq!(history(attempt(older, (120, 130), 200, 2)), [Rule::ForgottenAttempt]);
    // The record may be gone by then.
    assert_eq!(history(attempt(B, (1_090, 1_110), 1_200, 1)), []);
    let released = release(A, (50, 60), Answer::Unknown);
    assert_eq!(found(&[acquired(A, (0, 10), 100), released, attempt(B, (120, 130), 200, 1)]), []);
}

#[test]
fn a_checkpoint_that_is_forgotten_is_found() {
    let saved = Saved { step: 3, bytes: Digest(9) };
    let checkpoint = event((20, 30), Call::Checkpoint(A, saved), Answer::Applied { until: 100 });
    let next = |saved| lock(B, (120, 130), Answer::Acquired { token: B, attempt: 2, saved, until: 200 });
    let history = |saved| found(&[acquired(A, (0, 10), 100), checkpoint.clone(), next(saved)]);
    assert_eq!(history(Some(saved)), []);
    assert_eq!(history(None), [Rule::ForgottenAttempt]);
    assert_eq!(history(Some(Saved { step: 3, bytes: Digest(8) })), [Rule::WrongCheckpoint]);
}

#[test]
fn stale_answers_are_found_where_they_are_not_allowed() {
    let first = [acquired(A, (0, 10), 100), complete(A, (20, 30), 5, applied())];
    let other = Call::Lock { owner: 2, fingerprint: 1, retention: RETENTION, confirms: false };
    for stale in [
        event((40, 50), Call::Get, Answer::Nothing),
        event((40, 50), Call::Get, Answer::Found(A, None)),
        lock(B, (40, 50), Answer::InProgress),
        lock(B, (40, 50), Answer::Mismatch),
        event((40, 50), other, Answer::InProgress),
        event((11, 19), Call::Get, Answer::Nothing),
        event((11, 19), Call::Settled(5), Answer::Settled(true)),
        event((40, 50), Call::Settled(5), Answer::Settled(false)),
    ] {
        let history = [&first[..], &[stale]].concat();
        assert_eq!(rules(&history, Reads::AreFresh), [Rule::StaleRead]);
        assert_eq!(found(&history), []);
    }
}

#[test]
fn slow_calls_and_unexpected_errors_are_found() {
    assert_eq!(found(&[lock(A, (0, 101), Answer::Unknown)]), [Rule::Slow]);
    assert_eq!(found(&[lock(A, (0, 100), Answer::Unknown)]), []);
    assert_eq!(found(&[event((0, 150), Call::Settled(50), Answer::Settled(true))]), []);
    assert_eq!(found(&[event((0, 151), Call::Settled(50), Answer::Settled(true))]), [Rule::Slow]);
    assert_eq!(found(&[lock(A, (0, 10), Answer::Failed("Corrupt".to_owned()))]), [Rule::Failed]);
}
