//! `remove`, which has no table.

use idem_core::backend::{Answer, Call, Change, Decision, decide};
use idem_core::clock::Timestamp;
use idem_core::record::Record;

use crate::support::*;

fn remove(record: Option<&Record>, force: bool, now: Timestamp) -> Decision {
    decide(record, Call::Remove { force }, now)
}

fn removed() -> Decision {
    Decision { answer: Answer::Removed(true), change: Change::Remove }
}

#[test]
fn live_lease_is_not_removed_unless_forced() {
    let last_moment = deadline() - MICRO;
    assert_eq!(remove(Some(&locked()), false, last_moment), unchanged(Answer::Removed(false)));
    assert_eq!(remove(Some(&locked()), true, last_moment), removed());
}

#[test]
fn lease_that_is_over_is_removed() {
    assert_eq!(remove(Some(&locked()), false, deadline()), removed());
}

#[test]
fn released_and_completed_records_are_removed() {
    assert_eq!(remove(Some(&released()), false, START), removed());
    assert_eq!(remove(Some(&completed()), false, START), removed());
}

#[test]
fn nothing_is_removed_where_there_is_nothing() {
    for force in [false, true] {
        assert_eq!(remove(None, force, START), unchanged(Answer::Removed(false)));
        let expired = completed().expires_at();
        assert_eq!(remove(Some(&completed()), force, expired), unchanged(Answer::Removed(false)));
    }
}
