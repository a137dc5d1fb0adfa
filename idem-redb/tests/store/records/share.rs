//! One scope floods a disk that many scopes share: it is refused in time, and the others go on.
#![cfg(unix)]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use idem_core::{Claim, Effect, ErrorKind, Key, Lease, LockAnswer, Outcome, Owner, Result, Scope, Store};
use idem_redb::{RedbConfig, RedbStore, Transacted};
use redb::{TableDefinition, WriteTransaction};

use crate::support::call::replay;
use crate::support::process::{child, mount};
use crate::support::workload::{clock, fingerprint, shared};

/// The size of the file system.
const SIZE: &str = "64m";
/// More outcomes than the file system can hold.
const TOO_MANY: usize = 5_000;
const OUTCOME: usize = 16 << 10;
/// Cycles of lock and completion that another scope must get.
const OTHERS: usize = 30;
const RETENTION: Duration = Duration::from_hours(24);

#[test]
fn a_scope_that_floods_the_disk_is_refused_and_the_others_are_served() {
    let test = "records::share::a_scope_that_floods_the_disk_is_refused_and_the_others_are_served";
    on_a_small_disk(test, async |folder| {
        let store = open(folder, 0.9).await;
        let mut held = Vec::new();
        for number in 0..10 {
            held.push(acquire(&store, &of("flood", TOO_MANY + number)).await.unwrap());
        }
        let kept = flood(&store).await;
        let kept = assert_share_refuses(&store, kept).await;

        for (number, lease) in held.iter().enumerate() {
            let done = store.complete(lease, outcome(number), RETENTION).await.unwrap();
            assert_eq!(done, Effect::Applied, "a holder of the flood");
        }
        assert_eq!(served(&store, "other").await, OTHERS);
        let kept = assert_share_refuses(&store, kept).await;
        for number in 0..kept {
            assert_eq!(replay(&store, &of("flood", number)).await, outcome(number));
        }

        store.close().await.unwrap();
        let store = open(folder, 0.9).await;
        assert_share_refuses(&store, kept).await;
        assert_eq!(served(&store, "another").await, OTHERS);
    });
}

/// Shows what the share prevents.
#[test]
fn without_a_share_a_flood_leaves_the_others_nothing() {
    let test = "records::share::without_a_share_a_flood_leaves_the_others_nothing";
    on_a_small_disk(test, async |folder| {
        let store = open(folder, 1.0).await;
        let kept = flood(&store).await;
        println!("{} of the others were served", served(&store, "other").await);
        assert!(served(&store, "another").await < OTHERS / 2, "after {kept} outcomes");
    });
}

#[test]
fn what_a_scope_holds_is_known_after_a_kill() {
    let test = "records::share::what_a_scope_holds_is_known_after_a_kill";
    if let Some(path) = child::role().and_then(|role| role.strip_prefix("flood ").map(str::to_owned)) {
        return runtime().block_on(async {
            let store = open(Path::new(&path), 0.9).await;
            println!("\nkept {}", flood(&store).await);
            // Until it is killed.
            std::future::pending::<()>().await;
        });
    }
    on_a_small_disk(test, async |folder| {
        let flood = format!("flood {}", folder.display());
        let mut flood = child::command(test, &flood).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(flood.stdout.take().unwrap()).lines();
        let kept = lines.map(|line| line.unwrap()).find_map(|line| line.strip_prefix("kept ")?.parse().ok());
        flood.kill().unwrap();
        flood.wait().unwrap();
        let kept: usize = kept.expect("the flood ended by itself");

        let store = open(folder, 0.9).await;
        // The scope gets once more what had not been written to the row of counts before the kill.
        let more = flood_from(&store, kept).await - kept;
        println!("after the kill {more} more");
        assert!(more < kept / 5, "{kept} before the kill, {more} after it");
        assert_eq!(served(&store, "other").await, OTHERS);
    });
}

#[test]
fn the_shared_scope_may_fill_the_disk() {
    let test = "records::share::the_shared_scope_may_fill_the_disk";
    on_a_small_disk(test, async |folder| {
        let store = open(folder, 0.5).await;
        for number in 0..TOO_MANY {
            let key = Key::new(&Scope::shared(), number.to_string()).unwrap();
            if let Err(error) = write(&store, &key, number).await {
                assert_eq!(error.kind(), ErrorKind::Full, "{error}");
                assert!(!error.to_string().contains("max_share_per_scope"), "{error}");
                return;
            }
        }
        panic!("the disk never ran full");
    });
}

/// The application's rows take space in the file that no record can use.
#[test]
fn rows_of_the_application_are_not_taken_for_free_space() {
    const ROWS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("rows");
    let test = "records::share::rows_of_the_application_are_not_taken_for_free_space";
    on_a_small_disk(test, async |folder| {
        let mut store = open(folder, 0.9).await;
        for number in 0..5 {
            let key = Key::new(&Scope::shared(), number.to_string()).unwrap();
            let lease = acquire(&store, &key).await.unwrap();
            let work = move |txn: &WriteTransaction| {
                txn.open_table(ROWS)?.insert(number, &*vec![7; 1_000_000])?;
                Ok::<_, redb::Error>(Outcome::Value(Bytes::new()))
            };
            assert!(matches!(store.complete_with(&lease, work).await.unwrap(), Transacted::Applied));
        }
        let kept = flood(&store).await;
        let mut kept = assert_share_refuses(&store, kept).await;
        for scope in ["other", "another"] {
            assert_eq!(served(&store, scope).await, OTHERS);
            store.close().await.unwrap();
            store = open(folder, 0.9).await;
            kept = assert_share_refuses(&store, kept).await;
        }
    });
}

#[test]
fn a_scope_is_served_again_once_its_flood_has_expired() {
    let test = "records::share::a_scope_is_served_again_once_its_flood_has_expired";
    on_a_small_disk(test, async |folder| {
        let clock = clock();
        let mut config = config(folder, 0.9);
        config.sweep = false;
        let store = RedbStore::builder(config.clone()).clock(shared(&clock)).open().await.unwrap();
        let kept = flood(&store).await;
        let kept = assert_share_refuses(&store, kept).await;
        clock.advance(2 * RETENTION);
        // An expired record takes its space until it is removed.
        assert_share_refuses(&store, kept).await;
        expire(&store).await;
        assert_eq!(served(&store, "flood").await, OTHERS);
        assert_eq!(served(&store, "other").await, OTHERS);
        store.close().await.unwrap();
        let store = RedbStore::builder(config).clock(shared(&clock)).open().await.unwrap();
        assert!(acquire(&store, &of("flood", TOO_MANY)).await.is_ok());
    });
}

/// A store that is opened without a share counts all the same.
#[test]
fn a_flood_that_expired_while_there_was_no_share_is_not_counted() {
    let test = "records::share::a_flood_that_expired_while_there_was_no_share_is_not_counted";
    on_a_small_disk(test, async |folder| {
        let clock = clock();
        let open = async |share| {
            RedbStore::builder(config(folder, share)).clock(shared(&clock)).open().await.unwrap()
        };
        let store = open(0.9).await;
        flood(&store).await;
        store.close().await.unwrap();
        let store = open(1.0).await;
        clock.advance(2 * RETENTION);
        expire(&store).await;
        store.close().await.unwrap();
        let store = open(0.9).await;
        assert_eq!(served(&store, "flood").await, OTHERS);
    });
}

fn on_a_small_disk(test: &str, run: impl AsyncFnOnce(&Path)) {
    if let Some(folder) = mount::inside(test, SIZE) {
        runtime().block_on(run(&folder));
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
}

fn config(folder: &Path, share: f64) -> RedbConfig {
    let mut config = RedbConfig::new(folder.join("payments.idem"));
    config.max_share_per_scope = share;
    config.cache_bytes = 4 << 20;
    config
}

async fn open(folder: &Path, share: f64) -> RedbStore {
    RedbStore::open(config(folder, share)).await.unwrap()
}

fn of(scope: &str, number: usize) -> Key {
    Key::new(&Scope::new(scope).unwrap(), format!("key {number}")).unwrap()
}

fn outcome(number: usize) -> Outcome {
    let mut bytes = vec![0xA5; OUTCOME];
    bytes[..8].copy_from_slice(&(number as u64).to_le_bytes());
    Outcome::Value(Bytes::from(bytes))
}

/// Locks a key that is free.
async fn acquire(store: &RedbStore, key: &Key) -> Result<Lease> {
    let claim = Claim { owner: Owner::random()?, lease: Duration::from_mins(10), retention: RETENTION };
    match store.lock(key, &fingerprint(), &claim).await? {
        LockAnswer::Acquired(lease) => Ok(lease),
        other => panic!("{key:?} is not free: {other:?}"),
    }
}

async fn write(store: &RedbStore, key: &Key, number: usize) -> Result<()> {
    let lease = acquire(store, key).await?;
    assert_eq!(store.complete(&lease, outcome(number), RETENTION).await?, Effect::Applied);
    Ok(())
}

/// Completes keys 0, 1, … of one scope until it is refused; returns how many were completed.
async fn flood(store: &RedbStore) -> usize {
    flood_from(store, 0).await
}

/// The same from key `first` on; returns the first key that was refused.
async fn flood_from(store: &RedbStore, first: usize) -> usize {
    for number in first..first + TOO_MANY {
        if let Err(error) = write(store, &of("flood", number), number).await {
            assert_eq!(error.kind(), ErrorKind::Full, "{error}");
            println!("refused after {} outcomes: {error}", number - first);
            return number;
        }
    }
    panic!("it was never refused");
}

/// How many of [`OTHERS`] cycles of `scope` succeed.
async fn served(store: &RedbStore, scope: &str) -> usize {
    let mut served = 0;
    for number in 0..OTHERS {
        match write(store, &of(scope, number), number).await {
            Ok(()) => served += 1,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Full, "{error}"),
        }
    }
    served
}

/// The flood is refused from `first` on, because of its share. A look at the disk in between may show a little more
/// room than was counted before. Returns the first key that was refused.
async fn assert_share_refuses(store: &RedbStore, first: usize) -> usize {
    const A_LITTLE: usize = 40;
    const IN_A_ROW: usize = 20;
    let (mut next, mut refused) = (first, 0);
    while refused < IN_A_ROW {
        match write(store, &of("flood", next), next).await {
            Ok(()) => (next, refused) = (next + 1, 0),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Full, "{error}");
                assert!(error.to_string().contains("max_share_per_scope"), "{error}");
                refused += 1;
            }
        }
        assert!(next <= first + A_LITTLE, "the flood goes on");
    }
    next
}

async fn expire(store: &RedbStore) {
    while store.expire(1_000).await.unwrap().more {}
}
