//! `scan`: what is listed, in whatever pages.

use std::time::Duration;

use idem_core::record::UnavailableReason;
use idem_core::scan::{Entry, Expiry, RecordState, Scan, Stage, Summary};
use idem_core::{Effect, ErrorKind, Key, Outcome, Scope, Store, StoreExt as _};

use crate::listing::{MOST_CALLS, complete_some, everything, list, long, scope};
use crate::trial::{ExpectEffect, ExpectLock, RETENTION, Trial, key_in, must, value};

pub(super) async fn store_without_it_says_so(t: Trial) {
    let store = t.store();
    let answer = store.scan(&Scan::all(), None).await;
    if store.capabilities().scans {
        must("scan", answer);
    } else {
        let kind = answer.map_err(|error| error.kind());
        assert_eq!(kind, Err(ErrorKind::Unsupported));
        let erased = store.erase(&scope(), false, None).await.map_err(|error| error.kind());
        assert_eq!(erased, Err(ErrorKind::Unsupported));
    }
}

pub(super) async fn empty_store_lists_nothing(t: Trial) {
    assert!(list(&t, &everything()).await.is_empty());
}

pub(super) async fn every_record_is_told_as_get_has_it(t: Trial) {
    let keys = leave_one_of_each(&t).await;
    let listed = list(&t, &everything()).await;
    assert_eq!(listed.len(), keys.len());
    for (state, key) in keys {
        let (entry, record) = (&listed[&key], t.record(&key).await);
        let told = summary(entry);
        let expected = Summary::of(&record);
        assert_eq!(entry.state(), state);
        assert_eq!(
            (told.fingerprint, told.token, told.attempt),
            (expected.fingerprint, expected.token, expected.attempt)
        );
        t.assert_near(told.expires_at, expected.expires_at);
        match (told.stage, expected.stage) {
            (
                Stage::Unfinished { held, lease_until, checkpoint_step },
                Stage::Unfinished { held: also_held, lease_until: also_until, checkpoint_step: same_step },
            ) => {
                assert_eq!((held, checkpoint_step), (also_held, same_step));
                t.assert_near(lease_until, also_until);
            }
            (
                Stage::Completed { completed_at, unavailable },
                Stage::Completed { completed_at: also_at, unavailable: same_reason },
            ) => {
                assert_eq!(unavailable, same_reason);
                t.assert_near(completed_at, also_at);
            }
            (told, expected) => panic!("{told:?} should be {expected:?}"),
        }
    }
}

pub(super) async fn size_counts_the_outcome(t: Trial) {
    let (small, large) = (t.key("small"), t.key("large"));
    let outcome = |size: usize| Outcome::Value(vec![7; size].into());
    for (key, size) in [(&small, 10), (&large, 10_010)] {
        let lease = t.acquire(key).await;
        t.complete(&lease, outcome(size)).await.expect_applied();
    }
    let listed = list(&t, &everything()).await;
    let more = listed[&large].bytes.saturating_sub(listed[&small].bytes);
    assert!((9_900..10_100).contains(&more), "10,000 bytes more count as {more}");
}

pub(super) async fn pages_of_any_size_list_every_record(t: Trial) {
    let mut keys = complete_some(&t, 23).await;
    for number in 0..7 {
        let key = t.key(&format!("held-{number}"));
        t.lock(&key, &long(&t)).await.expect_acquired();
        keys.push(key);
    }
    keys.sort_unstable();
    for limit in [1, 2, 7, 29, 30, 31, 1_000] {
        let listed = list(&t, &everything().with_limit(limit)).await;
        assert_eq!(listed.keys().copied().collect::<Vec<_>>(), keys, "pages of {limit}");
    }
}

pub(super) async fn scope_is_listed_without_others(t: Trial) {
    let mut keys = Vec::new();
    for number in 0..24 {
        let key = key_in(["alice", "bob", "carol"][number % 3], &format!("order-{number}"));
        let lease = t.lock(&key, &long(&t)).await.expect_acquired();
        if number % 2 == 0 {
            t.complete(&lease, value(b"done")).await.expect_applied();
        }
        keys.push(key);
    }
    let bob = must("scope", Scope::new("bob"));
    let mut expected: Vec<_> = keys.into_iter().filter(|key| key.scope_prefix() == bob.prefix()).collect();
    expected.sort_unstable();
    for limit in [1, 3, 100] {
        let listed = list(&t, &Scan::of_scope(&bob).with_limit(limit)).await;
        assert_eq!(listed.keys().copied().collect::<Vec<_>>(), expected, "pages of {limit}");
    }
    let nobody = must("scope", Scope::new("nobody"));
    assert!(list(&t, &Scan::of_scope(&nobody)).await.is_empty());
}

pub(super) async fn states_are_listed_by_themselves(t: Trial) {
    let keys = leave_one_of_each(&t).await;
    let in_state = |state| keys.iter().filter(move |(of, _)| *of == state).map(|(_, key)| *key);
    for state in RecordState::ALL {
        let listed = list(&t, &Scan::all().with_state(state)).await;
        let mut expected: Vec<_> = in_state(state).collect();
        expected.sort_unstable();
        assert_eq!(listed.keys().copied().collect::<Vec<_>>(), expected, "{state}");
    }
    let two = Scan::all().with_state(RecordState::Lapsed).with_state(RecordState::Completed);
    let listed = list(&t, &two).await;
    assert_eq!(
        listed.len(),
        in_state(RecordState::Lapsed).chain(in_state(RecordState::Completed)).count(),
        "two states"
    );
}

pub(super) async fn expired_records_are_listed_only_where_wanted(t: Trial) {
    let expired = complete_some(&t, 3).await;
    t.acquire(&t.key("abandoned")).await;
    t.outlast_record().await;
    let fresh = t.key("fresh");
    t.acquire(&fresh).await;
    assert_eq!(list(&t, &Scan::all()).await.into_keys().collect::<Vec<_>>(), [fresh]);
    let listed = list(&t, &Scan::all().with_expiry(Expiry::Expired)).await;
    assert_eq!(listed.len(), expired.len() + 1);
    assert!(expired.iter().all(|key| listed[key].is_expired()));
    assert_eq!(list(&t, &everything()).await.len(), expired.len() + 2);
}

pub(super) async fn records_that_change_between_pages_are_not_missed(t: Trial) {
    let mut keys = complete_some(&t, 8).await;
    let mut leases = Vec::new();
    for number in 0..8 {
        let lease = t.lock(&t.key(&format!("held-{number}")), &long(&t)).await.expect_acquired();
        keys.push(*lease.key());
        leases.push(lease);
    }
    let mut passing: Vec<_> = (0..8).map(|number| t.key(&format!("passing-{number}"))).collect();
    for key in &passing {
        t.acquire(key).await;
    }
    let (scan, mut listed, mut after) = (everything().with_limit(2), Vec::new(), None);
    for call in 0..MOST_CALLS {
        let page = must("scan", t.store().scan(&scan, after.as_ref()).await);
        listed.extend(page.entries.into_iter().map(|entry| entry.key));
        match leases.pop() {
            Some(lease) if call % 2 == 0 => t.complete(&lease, value(b"done")).await.expect_applied(),
            Some(lease) => {
                assert_eq!(
                    must("renew", t.store().renew(&lease, Duration::from_hours(1)).await),
                    Effect::Applied
                );
            }
            None => {}
        }
        // Rather one that was listed: whoever counts records then skips one.
        let gone = passing.iter().position(|key| listed.contains(key)).map(|place| passing.remove(place));
        if let Some(gone) = gone.or_else(|| passing.pop()) {
            assert!(t.remove(&gone, true).await);
        }
        let newcomer = t.lock(&t.key(&format!("new-{call}")), &t.claim()).await.expect_acquired();
        if call % 2 == 0 {
            t.complete(&newcomer, value(b"done")).await.expect_applied();
        }
        after = page.next;
        if after.is_none() || call > 40 {
            break;
        }
    }
    // A scan that meets a newcomer with each page need not end, so it is let go on without them.
    for _ in 0..MOST_CALLS {
        let Some(cursor) = after else { break };
        let page = must("scan", t.store().scan(&everything(), Some(&cursor)).await);
        listed.extend(page.entries.into_iter().map(|entry| entry.key));
        after = page.next;
    }
    assert!(after.is_none(), "the scan does not end");
    let missed: Vec<_> = keys.iter().filter(|key| !listed.contains(key)).collect();
    assert!(missed.is_empty(), "{missed:?} were there all the time");
}

pub(super) async fn limit_outside_its_bounds_is_refused(t: Trial) {
    for limit in [0, Scan::MAX_LIMIT + 1, usize::MAX] {
        let answer = t.store().scan(&Scan::all().with_limit(limit), None).await;
        assert_eq!(answer.map_err(|error| error.kind()), Err(ErrorKind::InvalidArgument), "{limit}");
    }
    must("scan", t.store().scan(&Scan::all().with_limit(Scan::MAX_LIMIT), None).await);
}

pub(super) async fn damaged_record_does_not_end_it(mut t: Trial) {
    let sound = complete_some(&t, 5).await;
    let altered = t.key("altered");
    let lease = t.acquire(&altered).await;
    t.complete(&lease, value(b"an outcome of some length, to be altered")).await.expect_applied();
    t.corrupt(&altered).await;
    let listed = list(&t, &everything().with_limit(2)).await;
    assert!(sound.iter().all(|key| listed.contains_key(key)), "{listed:?}");
}

pub(super) async fn statistics_count_what_is_there(t: Trial) {
    let keys = leave_one_of_each(&t).await;
    let within = t.ticks(RETENTION * 2);
    let stats = must("stats", t.store().record_stats(within).await);
    for state in RecordState::ALL {
        let expected = keys.iter().filter(|(of, _)| *of == state).count();
        assert_eq!(stats.records(state), expected as u64, "{state}");
    }
    assert_eq!(stats.total(), keys.len() as u64);
    assert_eq!(stats.expiring(), stats.records(RecordState::Completed));
    assert_eq!(must("stats", t.store().record_stats(Duration::ZERO).await).expiring(), 0);
    assert!(stats.oldest_completion().is_some() && stats.oldest_lapse().is_some());
    let scopes = stats.scopes();
    assert_eq!(scopes.len(), 1);
    assert_eq!((scopes[0].prefix, scopes[0].records), (scope().prefix(), keys.len() as u64));
    assert_eq!(scopes[0].bytes, stats.bytes());
    assert!(stats.has_all_scopes());
}

/// Leaves a record in each state that a store can be brought to, and a second completed one without a result.
async fn leave_one_of_each(t: &Trial) -> Vec<(RecordState, Key)> {
    let lapsed = t.key("lapsed");
    let lease = t.acquire(&lapsed).await;
    t.checkpoint(&lease, 4, b"half way").await.expect_applied();
    t.outlast_lease().await;
    let held = t.key("held");
    t.lock(&held, &long(t)).await.expect_acquired();
    let released = t.key("released");
    let lease = t.lock(&released, &long(t)).await.expect_acquired();
    t.checkpoint(&lease, 9, b"half way").await.expect_applied();
    t.release(&lease).await.expect_applied();
    let (completed, unavailable) = (t.key("completed"), t.key("unavailable"));
    let lease = t.acquire(&completed).await;
    t.complete(&lease, value(b"done")).await.expect_applied();
    let lease = t.acquire(&unavailable).await;
    t.complete(&lease, Outcome::Unavailable(UnavailableReason::Streamed)).await.expect_applied();
    vec![
        (RecordState::Lapsed, lapsed),
        (RecordState::Held, held),
        (RecordState::Released, released),
        (RecordState::Completed, completed),
        (RecordState::Completed, unavailable),
    ]
}

fn summary(entry: &Entry) -> &Summary {
    let Some(summary) = &entry.summary else { panic!("{entry:?} is not damaged") };
    summary
}
