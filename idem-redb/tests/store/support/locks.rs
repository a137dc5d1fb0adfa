//! Locks that are left, and what a file holds of them.

use std::time::Duration;

use idem_core::{Claim, Key, LockOutcome, Owner, Store};
use idem_redb::{RedbStats, RedbStore};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use tokio::task::JoinSet;

use super::call::key;
use super::disk::Disk;
use super::workload::{LEASE, fingerprint};

pub(crate) const LOCKS: TableDefinition<'_, &[u8; Key::STORAGE_LEN], &[u8]> =
    TableDefinition::new("idem/locks");
/// The file is looked at again after so long.
pub(crate) const MOMENT: Duration = Duration::from_millis(20);

/// What there is of locks in a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Rows {
    pub(crate) locks: usize,
    pub(crate) notes: usize,
}

pub(crate) async fn lock_all(store: &RedbStore, count: usize) {
    lock_all_from(store, 0, count).await;
}

/// With a retention as long as the lease.
pub(crate) async fn lock_all_from(store: &RedbStore, first: usize, count: usize) {
    let mut callers = JoinSet::new();
    for number in first..first + count {
        let store = store.clone();
        callers.spawn(async move {
            let lease = LEASE.min(Duration::from_secs(1));
            let claim = Claim { owner: Owner::random().unwrap(), lease, retention: lease };
            let answer = store.lock(&key(number), &fingerprint(), &claim).await.unwrap();
            assert!(matches!(answer, LockOutcome::Acquired(_)), "{answer:?}");
        });
    }
    callers.join_all().await;
}

pub(crate) async fn stats(store: &RedbStore) -> (u64, u64) {
    let RedbStats { unfinished, completed, .. } = store.stats().await.unwrap();
    (unfinished, completed)
}

pub(crate) async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    let waited = async {
        while !is_so().await {
            tokio::time::sleep(MOMENT).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), waited).await.expect("it is so in the end");
}

/// What a copy of the disk holds, whoever is at work on it.
pub(crate) fn rows(disk: &Disk) -> Rows {
    let copy = Disk::holding(disk.bytes());
    rows_of(&Database::builder().create_with_backend(copy.open().unwrap()).unwrap())
}

pub(crate) fn rows_of(database: &Database) -> Rows {
    let locks = database.begin_read().unwrap().open_table(LOCKS).unwrap();
    let mut rows = Rows { locks: 0, notes: 0 };
    for entry in locks.iter().unwrap() {
        let key = *entry.unwrap().0.value();
        if key[..16] != [0; 16] {
            rows.locks += 1;
        } else if key < row_of_notes() {
            rows.notes += 1;
        }
    }
    rows
}

/// Behind all notes.
pub(crate) fn row_of_notes() -> [u8; Key::STORAGE_LEN] {
    let mut row = [0; Key::STORAGE_LEN];
    row[16..32].copy_from_slice(&(u128::MAX - 2).to_be_bytes());
    row
}
