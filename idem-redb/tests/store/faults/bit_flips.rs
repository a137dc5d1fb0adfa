//! One bit of a closed file is wrong: the file is refused, or every key replays what it should.

use idem_core::clock::ManualClock;
use idem_core::{ErrorKind, LockAnswer, Outcome};
use idem_redb::{RedbConfig, RedbStore};

use crate::support::call::{acquire, complete, config, key, lock, open};
use crate::support::disk::Disk;
use crate::support::process::quiet::let_redb_panic_quietly;
use crate::support::rng::Rng;
use crate::support::workload::clock;

const FLIPS: u64 = 1_000;
/// How many keys are completed.
const KEYS: usize = 150;
/// How many keys are locked.
const LOCKED: usize = 20;

#[tokio::test]
async fn a_checked_file_is_refused_or_right_in_everything() {
    let found = flip(true).await;
    println!("{FLIPS} bit flips, with check_integrity: {found:?}");
    assert_eq!((found.damage(), found.opened_after_all), (0, 0), "{found:?}");
    assert!(found.refused > found.right, "most of these bits matter: {found:?}");
}

/// Without a check a flip may hide a key, or make one unreadable; a wrong value is never shown.
#[tokio::test]
async fn an_unchecked_file_shows_no_wrong_value() {
    let found = flip(false).await;
    println!("{FLIPS} bit flips, without check_integrity: {found:?}");
    assert_eq!((found.wrong, found.panicked), (0, 0), "{found:?}");
}

#[derive(Debug, Default)]
struct Found {
    /// Files that were refused when opened.
    refused: usize,
    /// Of the refused files, how many were opened by a second try.
    opened_after_all: usize,
    /// Of the refused files, how many were changed by the opening that refused them.
    changed: usize,
    /// Files in which every key was right.
    right: usize,
    /// Keys that answered an error.
    unreadable: usize,
    /// Keys that were completed, and may now run again.
    vanished: usize,
    wrong: usize,
    panicked: usize,
}

impl Found {
    fn damage(&self) -> usize {
        self.unreadable + self.vanished + self.wrong + self.panicked
    }
}

async fn flip(check_integrity: bool) -> Found {
    let_redb_panic_quietly();
    let clock = clock();
    let sound = sound_file(&clock).await;
    let mut rng = Rng::new(u64::from(check_integrity));
    let mut found = Found::default();
    for _ in 0..FLIPS {
        let mut bytes = sound.clone();
        damage(&mut bytes, &mut rng);
        let mut config = config();
        config.check_integrity = check_integrity;
        let (disk, clock) = (Disk::holding(bytes), clock.clone());
        match tokio::spawn(async move { look_twice(&disk, config, &clock).await }).await {
            Ok(one) => found.add(&one),
            Err(_) => found.panicked += 1,
        }
    }
    found
}

/// Flips one bit, in a sector that holds something.
fn damage(bytes: &mut [u8], rng: &mut Rng) {
    loop {
        let at = rng.below(bytes.len());
        let sector = at / 512 * 512;
        if bytes[sector..sector + 512].iter().any(|byte| *byte != 0) {
            bytes[at] ^= 1 << rng.below(8);
            return;
        }
    }
}

/// A process whose file was refused is started again. It must be refused again, and not find a file that the first
/// opening has repaired by leaving out what it could not read.
async fn look_twice(disk: &Disk, config: RedbConfig, clock: &ManualClock) -> Found {
    let before = disk.bytes();
    let mut found = look(disk, config.clone(), clock).await;
    if found.refused > 0 {
        found.changed += usize::from(disk.bytes() != before);
        let again = look(disk, config, clock).await;
        found.opened_after_all += 1 - again.refused;
        found.add(&Found { refused: 0, right: 0, ..again });
    }
    found
}

/// Opens the file and asks every key.
async fn look(disk: &Disk, config: RedbConfig, clock: &ManualClock) -> Found {
    let mut found = Found::default();
    let store = match open(disk, config, clock).await {
        Ok(store) => store,
        Err(error) => {
            assert!(matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Incompatible), "{error}");
            found.refused += 1;
            return found;
        }
    };
    found.add(&ask(&store).await);
    found.right += usize::from(found.damage() == 0);
    found
}

/// Asks every key.
async fn ask(store: &RedbStore) -> Found {
    let mut found = Found::default();
    for number in 0..KEYS {
        match lock(store, &key(number)).await {
            Ok(LockAnswer::Completed(replay)) if replay.outcome == outcome(number) => {}
            Ok(LockAnswer::Completed(_) | LockAnswer::FingerprintMismatch) => found.wrong += 1,
            Ok(LockAnswer::Acquired(_) | LockAnswer::InProgress { .. }) => found.vanished += 1,
            Err(_) => found.unreadable += 1,
        }
    }
    for number in KEYS..KEYS + LOCKED {
        match lock(store, &key(number)).await {
            Ok(LockAnswer::InProgress { .. }) => {}
            Ok(LockAnswer::Acquired(_)) => found.vanished += 1,
            Ok(LockAnswer::Completed(_) | LockAnswer::FingerprintMismatch) => found.wrong += 1,
            Err(_) => found.unreadable += 1,
        }
    }
    found
}

impl Found {
    fn add(&mut self, other: &Self) {
        self.refused += other.refused;
        self.opened_after_all += other.opened_after_all;
        self.changed += other.changed;
        self.right += other.right;
        self.unreadable += other.unreadable;
        self.vanished += other.vanished;
        self.wrong += other.wrong;
        self.panicked += other.panicked;
    }
}

/// A closed file with completed keys of many sizes, and a few locked ones.
async fn sound_file(clock: &ManualClock) -> Vec<u8> {
    let disk = Disk::new();
    let store = open(&disk, config(), clock).await.unwrap();
    for number in 0..KEYS {
        let lease = acquire(&store, &key(number)).await;
        complete(&store, &lease, outcome(number)).await;
    }
    for number in KEYS..KEYS + LOCKED {
        acquire(&store, &key(number)).await;
    }
    store.close().await.unwrap();
    disk.bytes()
}

fn outcome(number: usize) -> Outcome {
    let sizes = [0, 20, 400, 3_000, 9_000];
    Outcome::Value(Rng::new(number as u64).bytes(sizes[number % sizes.len()]).into())
}
