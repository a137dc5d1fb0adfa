//! `execute` over a connection that loses answers: a resent call finds out what the lost one did.

use std::time::Duration;

use idem_core::{ErrorKind, Execution};

use crate::executing::{ExpectExecution, ORDER, assert_replays, describe_attempt, execute_on, forbidden};
use crate::trial::{Trial, must};
use crate::wrap::Lossy;

/// After this time `execute` gives a call up. Long enough for a call that is answered, also on a busy disk.
const SOON: Duration = Duration::from_secs(1);

pub(super) async fn lock_whose_answer_was_lost_is_found_again(t: Trial) {
    let line = Lossy::new(t.store(), 2, 0);
    let answer = execute_on(&t, line, &t.policy(), describe_attempt).await;
    must("execute", answer).expect_executed("attempt 1 from None");
    assert_replays(&t, "attempt 1 from None").await;
}

pub(super) async fn completion_whose_answer_was_lost_is_found_again(t: Trial) {
    let line = Lossy::new(t.store(), 0, 2);
    let answer = execute_on(&t, line, &t.policy(), describe_attempt).await;
    must("execute", answer).expect_executed("attempt 1 from None");
    assert_replays(&t, "attempt 1 from None").await;
}

pub(super) async fn lock_of_unknown_effect_is_released(t: Trial) {
    let line = Lossy::new(t.store(), u32::MAX, 0);
    let answer = execute_on(&t, line, &t.policy().resend_for(SOON), forbidden).await;
    let Err(error) = answer else { panic!("{answer:?} should be an error") };
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(t.get(&t.key(ORDER)).await.is_none(), "the lease that was granted is released");
}

pub(super) async fn completion_of_unknown_effect_is_never_released(t: Trial) {
    let line = Lossy::new(t.store(), 0, u32::MAX);
    let answer = must("execute", execute_on(&t, line, &t.policy().resend_for(SOON), describe_attempt).await);
    let Execution::Unknown(value, error) = answer else { panic!("{answer:?} should be Unknown") };
    assert_eq!((&*value, error.kind()), ("attempt 1 from None", ErrorKind::Timeout));
    assert_replays(&t, "attempt 1 from None").await;
}
