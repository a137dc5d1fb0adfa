//! What the rules of a round excuse, and what they require besides.

use crate::judge::checker_tests::{
    A, B, RETENTION, acquired, applied, complete, event, found_by, lock, release,
};
use crate::judge::history::{Answer, Call, Digest, Event, Reason};
use crate::judge::rules::{Reads, Rule, Rules, Step};

fn rules() -> Rules {
    Rules { longest_call: 100, ..Rules::new(Reads::AreFresh) }
}

fn with_step(from: u64, by: u64) -> Rules {
    Rules { steps: vec![Step { from, until: from + 1, by }], ..rules() }
}

#[test]
fn a_lease_ends_early_by_no_more_than_the_step_of_the_clock() {
    let history = |at| [acquired(A, (0, 10), 300), acquired(B, (at, at + 10), 400)];
    assert_eq!(found_by(&history(60), &rules()), [Rule::SecondHolder]);
    // The lease ended with the step.
    assert_eq!(found_by(&history(60), &with_step(50, 1_000)), []);
    // Nobody has set the clock yet.
    assert_eq!(found_by(&history(20), &with_step(50, 1_000)), [Rule::SecondHolder]);
    // It ended at 250.
    assert_eq!(found_by(&history(260), &with_step(50, 50)), []);
    assert_eq!(found_by(&history(200), &with_step(50, 50)), [Rule::SecondHolder]);
    // The step was over before.
    let later = [acquired(A, (60, 70), 300), acquired(B, (80, 90), 400)];
    assert_eq!(found_by(&later, &with_step(50, 1_000)), [Rule::SecondHolder]);
}

#[test]
fn a_completion_ends_early_by_no_more_than_the_step_of_the_clock() {
    let history = [
        acquired(A, (0, 10), 20),
        complete(A, (11, 15), 5, applied()),
        acquired(B, (100, 110), 120),
        complete(B, (115, 118), 6, applied()),
    ];
    assert_eq!(found_by(&history, &with_step(50, RETENTION)), []);
    assert_eq!(
        found_by(&history, &with_step(50, RETENTION / 2)),
        [Rule::SecondCompletion, Rule::HeldAfterCompletion]
    );
}

/// The lock was answered after the step, and may have been carried out before it.
#[test]
fn a_record_ends_early_by_a_step_of_the_clock_during_the_call_that_locked() {
    let first = Answer::Acquired { token: B, attempt: 1, saved: None, until: 60 };
    let history = [acquired(A, (0, 10), 20), lock(B, (30, 40), first)];
    assert_eq!(found_by(&history, &rules()), [Rule::ForgottenAttempt]);
    assert_eq!(found_by(&history, &with_step(4, RETENTION * 2)), []);
    assert_eq!(found_by(&history, &with_step(4, RETENTION / 2)), [Rule::ForgottenAttempt]);
}

/// The second call finds out that the first one has released the key, and cannot tell it from itself.
#[test]
fn a_release_that_is_sent_again_may_have_taken_effect_before_others_completed_the_key() {
    let history = [
        acquired(A, (0, 10), 300),
        release(A, (11, 15), Answer::Unknown),
        acquired(B, (20, 30), 200),
        complete(B, (31, 40), 5, applied()),
        release(A, (50, 60), applied()),
    ];
    assert_eq!(found_by(&history, &rules()), []);
    // What else was sent before cannot have released the key.
    let sent_before: [&[Event]; 3] = [
        &[],
        &[complete(A, (11, 15), 4, Answer::Unknown)],
        &[release(A, (11, 15), Answer::Lost(Reason::Superseded))],
    ];
    for sent in sent_before {
        let history = [&history[..1], sent, &history[2..]].concat();
        assert!(found_by(&history, &rules()).contains(&Rule::HeldAfterCompletion), "{sent:?}");
    }
}

#[test]
fn a_sequence_that_falls_after_a_release_is_found_where_sequences_are_strict() {
    let strict = Rules { strict_sequence: true, ..rules() };
    let history = [acquired(B, (0, 10), 20), release(B, (11, 15), applied()), acquired(A, (16, 20), 30)];
    assert_eq!(found_by(&history, &strict), [Rule::FallenFence]);
    assert_eq!(found_by(&history, &rules()), []);
    // Asked for at the same time: either may have come first.
    let together = [acquired(B, (0, 10), 12), acquired(A, (5, 20), 30)];
    assert_eq!(found_by(&together, &strict), []);
    // It was asked for before, and found again.
    let again = [lock(A, (0, 2), Answer::Unknown), acquired(B, (3, 10), 12), acquired(A, (16, 20), 30)];
    assert!(!found_by(&again, &strict).contains(&Rule::FallenFence));
    let rising = [acquired(A, (0, 10), 20), release(A, (11, 15), applied()), acquired(B, (16, 20), 30)];
    assert!(!found_by(&rising, &strict).contains(&Rule::FallenFence));
}

#[test]
fn a_full_disk_refuses_only_where_it_was_full_and_keeps_nothing() {
    let full = Rules { disk_was_full: true, ..rules() };
    let refused = [lock(A, (0, 10), Answer::Full)];
    assert_eq!(found_by(&refused, &full), []);
    assert_eq!(found_by(&refused, &rules()), [Rule::Failed]);
    let kept: [Event; 3] = [
        acquired(A, (0, 10), 100),
        complete(A, (11, 15), 5, Answer::Full),
        event((20, 30), Call::Get, Answer::Found(A, Some(Digest(5)))),
    ];
    assert_eq!(found_by(&kept, &full), [Rule::WrongOutcome]);
    let sent_again = [&kept[..2], &[complete(A, (16, 18), 5, applied())], &kept[2..]].concat();
    assert_eq!(found_by(&sent_again, &full), []);
}
