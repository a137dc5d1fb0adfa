//! Transactions whose snapshot may be older than what they are asked about.

use std::time::Duration;

use idem_core::{Claim, Effect, ErrorKind, LostReason, Owner, Store as _, Transacted};
use idem_postgres::NotCompleted;
use tokio::time::sleep;
use tokio_postgres::{IsolationLevel, Transaction};

use crate::books::Books;
use crate::support::{claim, connect, fingerprint, key, lock, value};

const WITH_SNAPSHOT: [IsolationLevel; 2] = [IsolationLevel::RepeatableRead, IsolationLevel::Serializable];

async fn begin(client: &mut tokio_postgres::Client, level: IsolationLevel) -> Transaction<'_> {
    let transaction = client.build_transaction().isolation_level(level).start().await.unwrap();
    transaction.query_one("SELECT count(*) FROM pg_class", &[]).await.unwrap(); // takes the snapshot
    transaction
}

/// Not `Gone`, which is what the snapshot shows.
#[tokio::test]
async fn a_snapshot_older_than_the_lease_is_refused() {
    for level in WITH_SNAPSHOT {
        let mut books = Books::open().await;
        let mut transaction = begin(&mut books.client, level).await;
        let lease = lock(&books.store, &key("order"), &claim()).await;
        let not_completed =
            books.store.complete_in(&mut transaction, &lease, value("paid")).await.unwrap_err();
        let NotCompleted::Failed(error) = not_completed else { panic!("{not_completed:?}") };
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
        assert!(!lease.is_lost());
        drop(transaction);
        let transaction = begin(&mut books.client, level).await;
        let transacted = books.store.complete_and_commit(transaction, &lease, value("paid")).await.unwrap();
        assert!(matches!(transacted, Transacted::Applied), "run again: {transacted:?}");
    }
}

/// The server refuses to change a row that has changed since the snapshot: a serialization failure.
#[tokio::test]
async fn a_snapshot_older_than_a_renewal_is_refused() {
    for level in WITH_SNAPSHOT {
        let mut books = Books::open().await;
        let lease = lock(&books.store, &key("order"), &claim()).await;
        let mut transaction = begin(&mut books.client, level).await;
        assert_eq!(books.store.renew(&lease, Duration::from_mins(2)).await.unwrap(), Effect::Applied);
        let not_completed =
            books.store.complete_in(&mut transaction, &lease, value("paid")).await.unwrap_err();
        let NotCompleted::Failed(error) = not_completed else { panic!("{not_completed:?}") };
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert!(!lease.is_lost());
    }
}

/// A record that has expired by what the snapshot shows, and that was renewed since: its lease is not gone.
#[tokio::test]
async fn a_snapshot_in_which_the_record_expires_is_refused() {
    let short = Duration::from_secs(1);
    let mut books = Books::open().await;
    let brief = Claim { owner: Owner::random().unwrap(), lease: short, retention: short };
    let lease = lock(&books.store, &key("order"), &brief).await;
    let mut transaction = begin(&mut books.client, IsolationLevel::RepeatableRead).await;
    assert_eq!(books.store.renew(&lease, Duration::from_mins(2)).await.unwrap(), Effect::Applied);
    let schema = &books.config.schema;
    let expired = format!("SELECT expires_at <= {schema}.now_us() FROM {schema}.records");
    while !transaction.query_one(&expired, &[]).await.unwrap().get::<_, bool>(0) {
        sleep(Duration::from_millis(20)).await;
    }
    let not_completed = books.store.complete_in(&mut transaction, &lease, value("paid")).await.unwrap_err();
    let NotCompleted::Failed(error) = not_completed else { panic!("{not_completed:?}") };
    assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
    assert!(!lease.is_lost());
}

/// The snapshot shows a lease that somebody else has by now.
#[tokio::test]
async fn a_lock_of_ones_own_that_was_lost_since_the_snapshot_is_not_answered_again() {
    for level in WITH_SNAPSHOT {
        let mut books = Books::open().await;
        let claimed = claim();
        let lease = lock(&books.store, &key("order"), &claimed).await;
        let mut transaction = begin(&mut books.client, level).await;
        assert_eq!(books.store.release(&lease).await.unwrap(), Effect::Applied);
        lock(&books.store, &key("order"), &claim()).await;
        let locked = books.store.lock_in(&mut transaction, &key("order"), &fingerprint(), &claimed).await;
        assert_eq!(locked.unwrap_err().kind(), ErrorKind::Unavailable);
    }
}

#[tokio::test]
async fn a_snapshot_that_shows_the_lease_lost_is_believed() {
    for level in WITH_SNAPSHOT {
        let mut books = Books::open().await;
        let lost = lock(&books.store, &key("order"), &claim()).await;
        assert!(books.store.remove(&key("order"), true).await.unwrap());
        let other = lock(&books.store, &key("order"), &claim()).await;
        let mut transaction = begin(&mut books.client, level).await;
        let not_completed =
            books.store.complete_in(&mut transaction, &lost, value("paid")).await.unwrap_err();
        assert!(matches!(not_completed, NotCompleted::Lost(LostReason::Superseded)), "{not_completed:?}");
        drop(transaction);
        let mut client = connect(&books.config).await;
        for expected in ["Applied", "AlreadyCompleted"] {
            let transaction = begin(&mut client, level).await;
            let transacted =
                books.store.complete_and_commit(transaction, &other, value("paid")).await.unwrap();
            assert_eq!(format!("{transacted:?}"), expected);
        }
    }
}

#[tokio::test]
async fn what_a_snapshot_does_not_show_is_not_locked_beside_it() {
    for level in WITH_SNAPSHOT {
        let mut books = Books::open().await;
        let mut transaction = begin(&mut books.client, level).await;
        drop(lock(&books.store, &key("order"), &claim()).await);
        let locked = books.store.lock_in(&mut transaction, &key("order"), &fingerprint(), &claim()).await;
        let error = locked.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    }
}
