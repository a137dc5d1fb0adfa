//! What attacks on young locks and on the mark ahead showed.

use std::time::Duration;

use idem_core::{
    Claim, ErrorKind, Expired, Fenced, Key, ManualClock, Outcome, Owner, Store, codec::checksum,
};
use redb::{Database, ReadableTable};

use crate::support::call::{acquire, at, config, key, open};
use crate::support::disk::{Disk, Failure};
use crate::support::locks::{LOCKS, Rows, lock_all, row_of_notes, rows, stats};
use crate::support::workload::{LEASE, clock, fingerprint};

const NOON: u64 = 1_800_000_000;
const RESERVED: Duration = Duration::from_millis(250);

/// docs/time.md: "until the next restart evens it out".
#[tokio::test]
async fn the_next_restart_evens_out_what_a_crash_has_brought_time_ahead() {
    let disk = Disk::new();
    let clock = ManualClock::new(at(NOON));
    let store = open(&disk, config(), &clock).await.unwrap();
    acquire(&store, &key(0)).await;
    clock.advance(Duration::from_millis(20));
    let crashed = Disk::holding(disk.bytes());
    let again = open(&crashed, config(), &clock).await.unwrap();
    acquire(&again, &key(1)).await;
    clock.advance(Duration::from_secs(60));
    again.close().await.unwrap();
    clock.advance(Duration::from_secs(60));
    let last = open(&crashed, config(), &clock).await.unwrap();
    let as_of = last.get(&key(1)).await.unwrap().unwrap().as_of;
    assert_eq!(as_of, at(NOON) + Duration::from_millis(120_020));
}

/// docs/time.md: "up to that much ahead of the true one".
#[tokio::test]
async fn crashes_in_a_row_bring_time_ahead_by_no_more_than_one_reservation() {
    let mut disk = Disk::new();
    let clock = ManualClock::new(at(NOON));
    for number in 0..20 {
        let store = open(&disk, config(), &clock).await.unwrap();
        acquire(&store, &key(number)).await;
        let ahead =
            store.get(&key(number)).await.unwrap().unwrap().as_of.since(idem_core::Clock::wall(&clock));
        assert!(ahead <= RESERVED, "{ahead:?} ahead after {number} crashes");
        clock.advance(Duration::from_millis(50));
        disk = Disk::holding(disk.bytes());
    }
}

/// Each bite of an `expire` looks at as many young ones as it may remove: a renewed one hides the others.
#[tokio::test]
async fn a_young_lock_that_was_renewed_hides_no_expired_one() {
    let (disk, clock) = (Disk::new(), clock());
    let store = open(&disk, config(), &clock).await.unwrap();
    let claim = |lease| Claim { owner: Owner::random().unwrap(), lease, retention: Duration::from_secs(1) };
    let short = Duration::from_secs(1);
    let idem_core::LockOutcome::Acquired(lease) =
        store.lock(&key(0), &fingerprint(), &claim(short)).await.unwrap()
    else {
        panic!("it is free")
    };
    assert_eq!(store.renew(&lease, Duration::from_secs(1_000)).await.unwrap(), Fenced::Applied);
    clock.advance(Duration::from_millis(1));
    let _left = store.lock(&key(1), &fingerprint(), &claim(short)).await.unwrap();
    clock.advance(LEASE);
    assert_eq!(rows(&disk), Rows { locks: 2, notes: 0 });
    assert_eq!(store.expire(1).await.unwrap().removed, 1);
    assert_eq!(store.expire(1).await.unwrap(), Expired { removed: 0, more: false });
}

fn change(disk: &Disk, change: impl FnOnce(&Database)) {
    let database = Database::builder().create_with_backend(disk.open().unwrap()).unwrap();
    change(&database);
    database.close().unwrap();
}

/// An older version opens and closes the file of a process that died: it writes the mark alone.
#[tokio::test]
async fn what_a_store_holds_is_told_rightly_once_an_older_version_has_used_a_file_after_a_crash() {
    counted_once_changed(|database| {
        let txn = database.begin_write().unwrap();
        {
            let mut locks = txn.open_table(LOCKS).unwrap();
            let mut row = [0; Key::STORAGE_LEN];
            row[16..32].copy_from_slice(&u128::MAX.to_be_bytes());
            let mut mark = locks.get(&row).unwrap().unwrap().value().to_vec();
            mark[23] ^= 1;
            let sum = checksum(&Key::from_storage_key([0; Key::STORAGE_LEN]), &mark[..24]);
            mark[24..].copy_from_slice(&sum.to_be_bytes());
            locks.insert(&row, &mark[..]).unwrap();
        }
        txn.commit().unwrap();
    })
    .await;
}

#[tokio::test]
async fn what_a_store_holds_is_told_rightly_once_a_damaged_count_was_looked_through() {
    counted_once_changed(|database| {
        let txn = database.begin_write().unwrap();
        {
            let mut locks = txn.open_table(LOCKS).unwrap();
            let mut row = locks.get(&row_of_notes()).unwrap().unwrap().value().to_vec();
            row[0] ^= 1;
            locks.insert(&row_of_notes(), &row[..]).unwrap();
        }
        txn.commit().unwrap();
    })
    .await;
}

async fn counted_once_changed(how: impl FnOnce(&Database)) {
    let (disk, clock) = (Disk::new(), clock());
    let store = open(&disk, config(), &clock).await.unwrap();
    lock_all(&store, 700).await;
    let crashed = Disk::holding(disk.bytes());
    change(&crashed, how);
    let store = open(&crashed, config(), &clock).await.unwrap();
    println!("{:?} {:?} when opened", rows(&crashed), stats(&store).await);
    while store.expire(100).await.unwrap().more {}
    println!("{:?} {:?} once looked through", rows(&crashed), stats(&store).await);
    let looked_through = stats(&store).await;
    store.close().await.unwrap();
    let store = open(&crashed, config(), &clock).await.unwrap();
    println!("{:?} {:?} closed and opened", rows(&crashed), stats(&store).await);
    clock.advance(2 * LEASE);
    while store.expire(100).await.unwrap().more {}
    println!("{:?} {:?} all expired", rows(&crashed), stats(&store).await);
    for number in 0..10 {
        acquire(&store, &key(number)).await;
    }
    println!("{:?} {:?} ten more", rows(&crashed), stats(&store).await);
    assert_eq!((looked_through, stats(&store).await), ((700, 0), (10, 0)));
}

/// Holders go on while the locks of a crash are looked through on a full disk.
#[tokio::test]
async fn the_search_after_a_crash_costs_no_holder_its_call_on_a_full_disk() {
    for crashes in [false, true] {
        let (disk, clock) = (Disk::new(), clock());
        let store = open(&disk, config(), &clock).await.unwrap();
        lock_all(&store, 12_000).await;
        let crashed = Disk::holding(disk.bytes());
        if !crashes {
            store.close().await.unwrap();
        }
        let disk = if crashes { crashed } else { disk };
        println!("{:?}", rows(&disk));
        let store = open(&disk, config(), &clock).await.unwrap();
        let mut leases = Vec::new();
        for number in 20_000..20_030 {
            leases.push(acquire(&store, &key(number)).await);
        }
        let used = disk.used_blocks();
        disk.change_faults(|faults, _| faults.space = Some(used));
        let huge = Outcome::Value(vec![7; 4 << 20].into());
        let error = store.complete(&leases[0], huge, leases[0].retention()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Full, "{error}");
        let (mut refused, mut failed) = (0, 0);
        for round in 0..300_u32 {
            failed += u32::from(store.expire(1).await.is_err());
            let asked = Duration::from_secs(100 + u64::from(round));
            for lease in &leases[1..6] {
                refused += u32::from(store.renew(lease, asked).await.is_err());
            }
        }
        println!("crashes {crashes}: {refused} of 1500 renewals refused, {failed} of 300 expires failed");
        assert_eq!(refused, 0, "crashes: {crashes}");
    }
}

/// A look that began before the failed commit passes over what the file has afterwards.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn locks_of_a_commit_that_failed_are_found_though_a_sweep_was_looking_meanwhile() {
    let mut left = Vec::new();
    for after in 0..40 {
        let (disk, clock) = (Disk::new(), clock());
        let mut config = config();
        (config.sweep, config.sweep_interval) = (true, Duration::from_millis(1));
        let store = open(&disk, config, &clock).await.unwrap();
        let short = Duration::from_millis(10);
        let mut callers = tokio::task::JoinSet::new();
        for number in 0..900 {
            let store = store.clone();
            callers.spawn(async move {
                let claim = Claim { owner: Owner::random().unwrap(), lease: short, retention: short };
                let idem_core::LockOutcome::Acquired(lease) =
                    store.lock(&key(1_000 + number), &fingerprint(), &claim).await.unwrap()
                else {
                    panic!("free")
                };
                assert_eq!(store.renew(&lease, Duration::from_secs(3_600)).await.unwrap(), Fenced::Applied);
            });
        }
        callers.join_all().await;
        // From now on each look reads all of them.
        clock.advance(Duration::from_secs(1));
        tokio::time::sleep(Duration::from_millis(15)).await;
        disk.change_faults(|faults, counts| {
            faults.failure = Some(Failure { at: counts.calls + after % 20, for_ever: false });
        });
        let claim = Claim { owner: Owner::random().unwrap(), lease: LEASE, retention: LEASE };
        let _unknown = store.lock(&key(0), &fingerprint(), &claim).await;
        while store.lock(&key(1), &fingerprint(), &claim).await.is_err() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        clock.advance(Duration::from_secs(8_000));
        tokio::time::sleep(Duration::from_millis(200)).await;
        while store.expire(1_000).await.unwrap().more {}
        let held = stats(&store).await;
        store.close().await.unwrap();
        if held != (0, 0) {
            left.push((after, held, rows(&disk)));
        }
    }
    assert_eq!(left, []);
}

/// Of the locks one page is damaged: outcomes expire all the same. With debug assertions redb itself reads all pages at each
/// opening: run it with `--config profile.dev.package.redb.debug-assertions=false`.
#[tokio::test]
async fn a_damaged_page_of_locks_keeps_no_outcome_from_expiring_after_a_crash() {
    for crashes in [false, true] {
        let (disk, clock) = (Disk::new(), clock());
        let store = open(&disk, config(), &clock).await.unwrap();
        lock_all(&store, 3_000).await;
        let crashed = Disk::holding(disk.bytes());
        if !crashes {
            // All are noted, and no note is due.
            store.close().await.unwrap();
        }
        let mut bytes = if crashes { crashed.bytes() } else { disk.bytes() };
        // The last one: its page holds nothing but locks.
        let last = (0..3_000).map(|number| *key(number).storage_key()).max().unwrap();
        let mut damaged = 0;
        for page in bytes.chunks_mut(4096).skip(1) {
            let keys = 4 + 4 * usize::from(u16::from_le_bytes([page[2], page[3]]));
            let is_leaf_of_locks = page[0] == 1
                && page.windows(48).any(|window| window == last)
                && page.get(keys..keys + 16).is_some_and(|first| first == &last[..16]);
            if is_leaf_of_locks {
                page[0] = 0xFF;
                damaged += 1;
            }
        }
        println!("crashes {crashes}: {damaged} pages damaged");
        let disk = Disk::holding(bytes);
        let store = open(&disk, config(), &clock).await.unwrap();
        // Until the search meets the damage.
        for _ in 0..60 {
            let _may_fail = store.expire(100).await;
        }
        // The first one, far from the damage.
        let free = (10_000..11_000).map(key).min_by_key(|key| *key.storage_key()).unwrap();
        let kept = Duration::from_millis(100);
        let claim = Claim { owner: Owner::random().unwrap(), lease: kept, retention: kept };
        let idem_core::LockOutcome::Acquired(lease) =
            store.lock(&free, &fingerprint(), &claim).await.unwrap()
        else {
            panic!("it is free")
        };
        let outcome = Outcome::Value(vec![7; 10].into());
        assert_eq!(store.complete(&lease, outcome, kept).await.unwrap(), Fenced::Applied);
        clock.advance(Duration::from_millis(500));
        let opened = disk.counts().opened;
        let mut errors = 0;
        for _ in 0..100 {
            errors += u32::from(store.expire(100).await.is_err());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let opened = disk.counts().opened - opened;
        println!(
            "crashes {crashes}: {errors} of 100 expires failed, reopened {opened} times, {:?}",
            stats(&store).await
        );
        assert_eq!(stats(&store).await.1, 0, "crashes: {crashes}");
    }
}

/// A sweep that is under way while the disk is full is told in the end that there is no more.
#[tokio::test]
async fn failing_locks_on_a_full_disk_have_no_lock_searched_anew() {
    let (disk, clock) = (Disk::new(), clock());
    let store = open(&disk, config(), &clock).await.unwrap();
    lock_all(&store, 12_000).await;
    store.close().await.unwrap();
    let store = open(&disk, config(), &clock).await.unwrap();
    acquire(&store, &key(20_000)).await;
    let used = disk.used_blocks();
    disk.change_faults(|faults, _| faults.space = Some(used));
    let (mut more, mut failed, mut number) = (0, 0, 30_000);
    for _ in 0..200 {
        for _ in 0..10 {
            number += 1;
            failed += u32::from(
                store.lock(&key(number), &fingerprint(), &crate::support::call::claim()).await.is_err(),
            );
        }
        more += u32::from(store.expire(1).await.is_ok_and(|expired| expired.more));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    println!("{failed} of 2000 locks failed, {more} of 200 expires say that there is more");
    assert_eq!(more, 0);
}
