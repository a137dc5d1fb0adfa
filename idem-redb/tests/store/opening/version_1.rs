//! A store of schema version 1 is migrated to version 2 when it is opened, in one transaction.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use idem_core::backend::codec::{ChecksumScope, checksum, encode};
use idem_core::clock::{ManualClock, Timestamp};
use idem_core::record::{Completion, Locked, Record, State};
use idem_core::{ErrorKind, Expired, Key, LockAnswer, Outcome, Owner, Store, Token};
use idem_redb::RedbStore;
use redb::{Database, ReadableDatabase, TableDefinition};

use crate::support::call::{acquire, at, config, key, lock, open, replay, shared_config, value};
use crate::support::disk::Disk;
use crate::support::rng::Rng;
use crate::support::workload::{LEASE, fingerprint};

const META: TableDefinition<'_, &str, u64> = TableDefinition::new("idem/meta");
const LOCKS: TableDefinition<'_, &[u8; Key::STORAGE_LEN], &[u8]> = TableDefinition::new("idem/locks");
const INDEX: TableDefinition<'_, &[u8; 24], u128> = TableDefinition::new("idem/index");
const OUTCOMES: TableDefinition<'_, u128, &[u8]> = TableDefinition::new("idem/outcomes");

const NOON: u64 = 1_800_000_000;
/// The time in the high-water mark. As in version 1, the tokens of the last locks are ahead of it.
const MARKED: u64 = NOON - 10;
const COMPLETED: usize = 50;
const LOCKED: usize = 300;
/// The length of a checkpoint, which every third lock has.
const CHECKPOINT: usize = 9_000;
/// The key of a lock whose bytes are damaged.
const DAMAGED: usize = COMPLETED + LOCKED;

#[tokio::test]
async fn a_file_of_version_1_is_opened_with_all_its_records() {
    let disk = version_1();
    let clock = ManualClock::new(at(NOON));
    let store = open(&disk, config(), &clock).await.unwrap();
    assert_holds_all(&store, &clock).await;
    store.close().await.unwrap();
    assert_eq!(version(&disk), 2);
    let store = open(&disk, config(), &clock).await.unwrap();
    assert_eq!(replay(&store, &key(0)).await, value(0));
}

#[tokio::test]
async fn a_file_of_version_1_at_a_path_is_opened_with_all_its_records() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("yesterday.idem");
    std::fs::write(&path, version_1().bytes()).unwrap();
    let clock = ManualClock::new(at(NOON));
    for _again in 0..2 {
        let store = RedbStore::builder(&path).clock(Arc::new(clock.clone())).open().await.unwrap();
        assert_eq!(replay(&store, &key(0)).await, value(0));
        assert!(store.get(&key(COMPLETED)).await.unwrap().is_some());
        store.close().await.unwrap();
    }
    assert_eq!(version(&Disk::holding(std::fs::read(&path).unwrap())), 2);
}

#[tokio::test]
async fn a_shared_database_of_version_1_is_used_with_all_its_records() {
    let disk = version_1();
    let clock = ManualClock::new(at(NOON));
    let database = Arc::new(Database::builder().create_with_backend(disk.open().unwrap()).unwrap());
    let builder = RedbStore::builder(shared_config()).clock(Arc::new(clock.clone()));
    let store = builder.with_database(database).await.unwrap();
    assert_holds_all(&store, &clock).await;
}

/// In version 1 commits that only granted a token did not write the high-water mark.
#[tokio::test]
async fn time_and_sequences_continue_where_version_1_stopped() {
    let clock = ManualClock::new(at(NOON - 3_600));
    let store = open(&version_1(), config(), &clock).await.unwrap();
    let record = store.get(&key(COMPLETED)).await.unwrap().unwrap();
    assert_eq!(record.as_of, at(NOON));
    assert!(acquire(&store, &key(1_000)).await.token().sequence > micros(NOON));
}

#[tokio::test]
async fn the_power_may_fail_at_any_moment_of_the_migration() {
    let sound = version_1().bytes();
    let clock = ManualClock::new(at(NOON));
    let (mut rng, mut cuts, mut migrated) = (Rng::new(1), 0, 0);
    for cut_at in (1..).step_by(17) {
        let disk = Disk::holding(sound.clone());
        disk.change_faults(|faults, _| faults.power_cut_at = Some(cut_at));
        if let Ok(store) = open(&disk, config(), &clock).await {
            // The migration is over before the power would fail.
            drop(store);
            break;
        }
        cuts += 1;
        let disk = disk.after_power_cut(&mut rng);
        migrated += usize::from(version(&disk) == 2);
        let store = open(&disk, config(), &clock).await.unwrap();
        assert_eq!(replay(&store, &key(0)).await, value(0), "cut at {cut_at}");
        let record = store.get(&key(COMPLETED)).await.unwrap().unwrap();
        assert_eq!(record.checkpoint().unwrap().progress.len(), CHECKPOINT, "cut at {cut_at}");
    }
    println!("{cuts} power cuts, {migrated} of them after the migration was on the disk");
    assert!(cuts > 10, "{cuts} power cuts");
}

#[tokio::test]
async fn a_version_1_without_a_table_or_its_mark_is_corrupt() {
    for loss in ["idem/outcomes", "the mark", "a bit of the mark"] {
        let disk = version_1();
        let database = Database::builder().create_with_backend(disk.open().unwrap()).unwrap();
        let txn = database.begin_write().unwrap();
        match loss {
            "idem/outcomes" => assert!(txn.delete_table(OUTCOMES).unwrap()),
            "the mark" => drop(txn.open_table(LOCKS).unwrap().remove(&[0; Key::STORAGE_LEN]).unwrap()),
            _ => {
                let mut bytes = mark();
                bytes[3] ^= 1;
                txn.open_table(LOCKS).unwrap().insert(&[0; Key::STORAGE_LEN], &bytes[..]).unwrap();
            }
        }
        txn.commit().unwrap();
        database.close().unwrap();
        let error = open(&disk, config(), &ManualClock::new(at(NOON))).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{loss}: {error}");
    }
}

async fn assert_holds_all(store: &RedbStore, clock: &ManualClock) {
    for number in 0..COMPLETED {
        assert_eq!(replay(store, &key(number)).await, value(number));
    }
    for number in COMPLETED..COMPLETED + LOCKED {
        let found = store.get(&key(number)).await.unwrap().unwrap();
        assert_eq!(found, Record { as_of: found.as_of, ..locked(number) });
    }
    assert_eq!(store.get(&key(DAMAGED)).await.unwrap_err().kind(), ErrorKind::Corrupt);
    // Each lock expires in its time; the one that cannot be read does not, as in version 1.
    clock.advance(LEASE);
    let lease = acquire(store, &key(COMPLETED)).await;
    assert_eq!((lease.attempt(), lease.checkpoint().unwrap().progress.len()), (2, CHECKPOINT));
    assert_eq!(store.expire(1_000).await.unwrap(), Expired { removed: 0, more: false });
    clock.advance(Duration::from_hours(1));
    assert_eq!(store.expire(1_000).await.unwrap(), Expired { removed: LOCKED - 1, more: false });
    assert_eq!(lock(store, &key(DAMAGED)).await.unwrap_err().kind(), ErrorKind::Corrupt);
    assert!(store.remove(&key(DAMAGED), true).await.unwrap());
    assert!(matches!(lock(store, &key(DAMAGED)).await.unwrap(), LockAnswer::Acquired(_)));
}

/// A closed file as version 1 wrote it.
fn version_1() -> Disk {
    let disk = Disk::new();
    let database = Database::builder().create_with_backend(disk.open().unwrap()).unwrap();
    let txn = database.begin_write().unwrap();
    txn.open_table(META).unwrap().insert("schema version", 1).unwrap();
    {
        let mut locks = txn.open_table(LOCKS).unwrap();
        locks.insert(&[0; Key::STORAGE_LEN], &mark()[..]).unwrap();
        for number in COMPLETED..COMPLETED + LOCKED {
            let bytes = encode(&key(number), &locked(number), ChecksumScope::Whole).unwrap();
            locks.insert(key(number).storage_key(), &bytes[..]).unwrap();
        }
        locks.insert(key(DAMAGED).storage_key(), &b"\x01no record"[..]).unwrap();
        let mut index = txn.open_table(INDEX).unwrap();
        let mut outcomes = txn.open_table(OUTCOMES).unwrap();
        for number in 0..COMPLETED {
            let (key, record) = (key(number), completed(number));
            let place = u128::from(record.expires_at().as_micros()) << 64 | number as u128;
            let record = encode(&key, &record, ChecksumScope::Whole).unwrap();
            let storage_key = key.storage_key();
            let index_key = [&storage_key[..8], &storage_key[16..32]].concat();
            index.insert(<&[u8; 24]>::try_from(&index_key[..]).unwrap(), place).unwrap();
            outcomes.insert(place, &[&storage_key[..], &record].concat()[..]).unwrap();
        }
    }
    txn.commit().unwrap();
    database.close().unwrap();
    Disk::holding(disk.bytes())
}

fn mark() -> Vec<u8> {
    let mark = [micros(MARKED).to_be_bytes(), micros(MARKED).to_be_bytes()].concat();
    let sum = checksum(&Key::from_storage_key([0; Key::STORAGE_LEN]), &mark);
    [mark, sum.to_be_bytes().to_vec()].concat()
}

/// A lock granted shortly before noon, one microsecond after the one before; the last one at noon.
fn locked(number: usize) -> Record {
    let last = COMPLETED + LOCKED - 1;
    let granted = Timestamp::from_micros(micros(NOON) - (last - number) as u64);
    let progress = Bytes::from(vec![1; CHECKPOINT]);
    let has_checkpoint = (number - COMPLETED).is_multiple_of(3);
    let locked = Locked {
        held: true,
        deadline: granted + LEASE,
        retention: Duration::from_hours(1),
        checkpoint: has_checkpoint.then(|| idem_core::record::Checkpoint::new(3, progress)),
    };
    record(granted, State::Locked(locked))
}

fn completed(number: usize) -> Record {
    let completed_at = at(MARKED - 1);
    let outcome: Outcome = value(number);
    let expires_at = completed_at + Duration::from_hours(24);
    record(completed_at, State::Completed(Completion { outcome, completed_at, expires_at }))
}

fn record(granted: Timestamp, state: State) -> Record {
    let token = Token { sequence: granted.as_micros(), owner: Owner::from_bytes([4; 16]) };
    Record { fingerprint: fingerprint(), token, attempt: 1, state, as_of: granted }
}

fn version(disk: &Disk) -> u64 {
    let copy = Disk::holding(disk.bytes());
    let database = Database::builder().create_with_backend(copy.open().unwrap()).unwrap();
    let meta = database.begin_read().unwrap().open_table(META).unwrap();
    meta.get("schema version").unwrap().unwrap().value()
}

fn micros(seconds: u64) -> u64 {
    seconds * 1_000_000
}
