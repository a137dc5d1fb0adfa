//! Counting pages.

use std::time::Duration;

use idem_core::clock::Timestamp;
use idem_core::scan::{Entry, Page, RecordState, Stage, Stats, Summary};
use idem_core::{Fingerprint, Key, Owner, Scope, Token};

const NOW: Timestamp = Timestamp::from_micros(1_000_000_000);
const HOUR: Duration = Duration::from_hours(1);

fn entry(scope: &str, client_key: usize, bytes: u64, stage: Stage, expires_at: Timestamp) -> Entry {
    let key = Key::new(&Scope::new(scope).unwrap(), client_key.to_string()).unwrap();
    let token = Token { sequence: 1, owner: Owner::from_bytes([1; 16]) };
    let fingerprint = Fingerprint::from_bytes([2; 32]);
    Entry {
        key,
        bytes,
        as_of: NOW,
        summary: Some(Summary { fingerprint, token, attempt: 1, expires_at, stage }),
    }
}

fn completed(scope: &str, client_key: usize, bytes: u64, age: Duration, left: Duration) -> Entry {
    let stage = Stage::Completed { completed_at: NOW - age, unavailable: None };
    entry(scope, client_key, bytes, stage, NOW + left)
}

fn locked(client_key: usize, lease_until: Timestamp) -> Entry {
    let stage = Stage::Unfinished { held: true, lease_until, checkpoint_step: None };
    entry("a", client_key, 7, stage, NOW + HOUR)
}

fn counted(within: Duration, entries: Vec<Entry>) -> Stats {
    let mut stats = Stats::new(within);
    let examined = entries.len();
    stats.add(&Page { entries, examined, next: None });
    stats
}

#[test]
fn each_record_counts_once_where_it_belongs() {
    let second = Duration::from_secs(1);
    let damaged = Entry { summary: None, ..locked(9, NOW) };
    let stats = counted(
        HOUR,
        vec![
            completed("a", 1, 100, second * 5, HOUR),
            completed("a", 2, 100, second * 9, HOUR + second),
            completed("b", 3, 1_000, second * 500, Duration::ZERO),
            locked(4, NOW + second),
            locked(5, NOW),
            locked(6, NOW - second),
            damaged,
        ],
    );
    let by_state = RecordState::ALL.map(|state| stats.records(state));
    // Held, lapsed, released, completed, damaged.
    assert_eq!(by_state, [1, 2, 0, 2, 1]);
    assert_eq!((stats.expired(), stats.total(), stats.expiring()), (1, 7, 1));
    assert_eq!(stats.bytes(), 1_228);
    assert_eq!(stats.oldest_completion(), Some(NOW - second * 9));
    assert_eq!(stats.oldest_lapse(), Some(NOW - second));
    let scopes: Vec<_> = stats.scopes().iter().map(|share| (share.records, share.bytes)).collect();
    assert_eq!(scopes, [(1, 1_000), (6, 228)]);
    assert!(stats.has_all_scopes());
}

#[test]
fn large_scopes_are_told_however_many_there_are() {
    let mut stats = Stats::new(HOUR);
    for number in 0..20_000 {
        let small = completed(&format!("small-{number}"), 0, 1, HOUR, HOUR);
        let large = completed(&format!("large-{}", number % 5), number, 1_000, HOUR, HOUR);
        stats.add(&Page { entries: vec![small, large], examined: 2, next: None });
    }
    assert!(!stats.has_all_scopes());
    let scopes = stats.scopes();
    assert!(scopes.len() <= 4_096, "{}", scopes.len());
    for share in &scopes[..5] {
        assert_eq!((share.records, share.bytes), (4_000, 4_000_000));
    }
    assert!(scopes[5..].iter().all(|share| share.bytes == 1));
    assert_eq!(stats.total(), 40_000);
}
