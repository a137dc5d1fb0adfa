//! Locking in the transaction in which the work is done.

use std::time::Duration;

use idem_core::{Claim, Effect, ErrorKind, Fingerprint, LockAnswer, Store as _, Transacted};
use tokio::time::sleep;

use crate::books::{Books, lock_in, until_one_waits};
use crate::libraries::sqlx_pool;
use crate::support::{LEASE, RETENTION, claim, connect, fingerprint, key, lock, value};

#[tokio::test]
async fn lock_work_and_completion_are_one() {
    let books = Books::open().await;
    let mut client = connect(&books.config).await;
    let mut transaction = client.transaction().await.unwrap();
    let rolled_back = lock_in(&books.store, &mut transaction).await;
    transaction.batch_execute(&books.payment()).await.unwrap();
    transaction.rollback().await.unwrap();
    assert_eq!(books.store.get(&key("order")).await.unwrap(), None, "nothing is left of it");

    let mut transaction = client.transaction().await.unwrap();
    let lease = lock_in(&books.store, &mut transaction).await;
    assert!(lease.token().sequence > rolled_back.token().sequence);
    transaction.batch_execute(&books.payment()).await.unwrap();
    let transacted = books.store.complete_and_commit(transaction, &lease, value("paid")).await.unwrap();
    assert!(matches!(transacted, Transacted::Applied), "{transacted:?}");
    assert_eq!(books.count().await, 1);

    let mut transaction = client.transaction().await.unwrap();
    let again = books.store.lock_in(&mut transaction, &key("order"), &fingerprint(), &claim()).await.unwrap();
    let LockAnswer::Completed(replay) = again else { panic!("{again:?}") };
    assert_eq!(replay.outcome, value("paid"));
    let other = Fingerprint::builder("another").finish();
    let mismatch = books.store.lock_in(&mut transaction, &key("order"), &other, &claim()).await.unwrap();
    assert!(matches!(mismatch, LockAnswer::FingerprintMismatch), "{mismatch:?}");
}

#[tokio::test]
async fn a_second_transaction_waits_for_the_first() {
    let books = Books::open().await;
    for first_commits in [false, true] {
        let (mut first, mut second) = (connect(&books.config).await, connect(&books.config).await);
        let mut transaction = first.transaction().await.unwrap();
        let lease = lock_in(&books.store, &mut transaction).await;
        let mut waiting = second.transaction().await.unwrap();
        let (key, fingerprint, claim) = (key("order"), fingerprint(), claim());
        let locking = books.store.lock_in(&mut waiting, &key, &fingerprint, &claim);
        let ending = async {
            sleep(Duration::from_millis(200)).await;
            if first_commits {
                let transacted = books.store.complete_and_commit(transaction, &lease, value("paid")).await;
                assert!(matches!(transacted, Ok(Transacted::Applied)), "{transacted:?}");
            } else {
                transaction.rollback().await.unwrap();
            }
        };
        let (locked, ()) = tokio::join!(locking, ending);
        match locked.unwrap() {
            LockAnswer::Completed(_) => assert!(first_commits),
            LockAnswer::Acquired(_) => assert!(!first_commits),
            other => panic!("{other:?}"),
        }
    }
}

/// A lease that is over, and a row that another transaction has locked.
#[tokio::test]
async fn a_locked_row_is_waited_for() {
    let books = Books::open().await;
    let held = lock(&books.store, &key("order"), &claim()).await;
    let (mut other, mut client) = (connect(&books.config).await, connect(&books.config).await);
    let schema = &books.config.schema;
    let over = format!("UPDATE {schema}.records SET lease_until = 1");
    books.client.batch_execute(&over).await.unwrap();
    let mut completing = other.transaction().await.unwrap();
    let completion = books.store.complete_in(&mut completing, &held, value("paid")).await.unwrap();
    let mut transaction = client.transaction().await.unwrap();
    let (key, fingerprint, claim) = (key("order"), fingerprint(), claim());
    let locking = books.store.lock_in(&mut transaction, &key, &fingerprint, &claim);
    let (locked, ()) = tokio::join!(locking, async {
        sleep(Duration::from_millis(200)).await;
        completing.commit().await.unwrap();
    });
    completion.committed();
    let LockAnswer::Completed(replay) = locked.unwrap() else { panic!() };
    assert_eq!(replay.token, held.token());
}

#[tokio::test]
async fn a_lease_that_lasts_is_in_progress() {
    let books = Books::open().await;
    drop(lock(&books.store, &key("order"), &claim()).await);
    let mut client = connect(&books.config).await;
    let mut transaction = client.transaction().await.unwrap();
    let locked =
        books.store.lock_in(&mut transaction, &key("order"), &fingerprint(), &claim()).await.unwrap();
    assert!(matches!(locked, LockAnswer::InProgress { .. }), "{locked:?}");
}

/// Whoever waited for it may keep its transaction open, also who had the lease before.
#[tokio::test]
async fn who_has_waited_for_a_lease_that_lasts_does_not_hold_it_up() {
    for had_it_before in [false, true] {
        let books = Books::open().await;
        let brief = Claim { lease: Duration::from_millis(1), ..claim() };
        if had_it_before {
            drop(lock(&books.store, &key("order"), &brief).await);
            sleep(Duration::from_millis(20)).await;
        }
        let (mut first, mut second) = (connect(&books.config).await, connect(&books.config).await);
        let mut transaction = first.transaction().await.unwrap();
        let lease = lock_in(&books.store, &mut transaction).await;
        let mut waiting = second.transaction().await.unwrap();
        let (key, fingerprint) = (key("order"), fingerprint());
        let locking = books.store.lock_in(&mut waiting, &key, &fingerprint, &brief);
        let (locked, ()) = tokio::join!(locking, async {
            until_one_waits(&books.config).await;
            transaction.commit().await.unwrap();
        });
        assert!(matches!(locked, Ok(LockAnswer::InProgress { .. })), "{locked:?}");
        let impatient = books.impatient().await;
        assert_eq!(impatient.renew(&lease, LEASE).await.unwrap(), Effect::Applied);
        assert_eq!(impatient.complete(&lease, value("paid"), RETENTION).await.unwrap(), Effect::Applied);
        drop(waiting);
    }
}

/// Also one that the store has given to this caller before, or gives it at this moment.
#[tokio::test]
async fn nobody_else_gets_what_a_transaction_has_locked() {
    for at_this_moment in [false, true] {
        let books = Books::open().await;
        let (key, fingerprint, claim) = (key("order"), fingerprint(), claim());
        let (mut first, mut second) = (connect(&books.config).await, connect(&books.config).await);
        let mut giving = first.transaction().await.unwrap();
        drop(books.store.lock_in(&mut giving, &key, &fingerprint, &claim).await.unwrap());
        let mut transaction = second.transaction().await.unwrap();
        let locked = if at_this_moment {
            let locking = books.store.lock_in(&mut transaction, &key, &fingerprint, &claim);
            let (locked, ()) = tokio::join!(locking, async {
                until_one_waits(&books.config).await;
                giving.commit().await.unwrap();
            });
            locked
        } else {
            giving.commit().await.unwrap();
            books.store.lock_in(&mut transaction, &key, &fingerprint, &claim).await
        };
        let Ok(LockAnswer::Acquired(lease)) = locked else { panic!("{locked:?}") };
        let impatient = books.impatient().await;
        assert_eq!(impatient.release(&lease).await.unwrap_err().kind(), ErrorKind::Timeout);
        let transacted = books.store.complete_and_commit(transaction, &lease, value("paid")).await.unwrap();
        assert!(matches!(transacted, Transacted::Applied), "{transacted:?}");
    }
}

/// The record expires and is removed while it is looked at, and others release keys while the new one is written: then the
/// function that locks gives two rows, of which the second counts.
#[tokio::test]
async fn a_key_whose_number_was_given_anew_is_locked_with_the_new_one() {
    let books = Books::open().await;
    let schema = &books.config.schema;
    let at_the_wrong_moment = format!(
        "CREATE OR REPLACE FUNCTION {schema}.advance_fence(p_now bigint) RETURNS void LANGUAGE plpgsql AS
             $$ BEGIN DELETE FROM {schema}.records AS r WHERE r.expires_at <= p_now; END $$;
         CREATE FUNCTION {schema}.others_release() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN PERFORM nextval('{schema}.released'); RETURN NEW; END $$;
         CREATE TRIGGER others_release BEFORE INSERT ON {schema}.records FOR EACH ROW
             EXECUTE FUNCTION {schema}.others_release()"
    );
    let pool = sqlx_pool(&books).await;
    let mut client = connect(&books.config).await;
    drop(lock(&books.store, &key("order"), &claim()).await);
    books.client.batch_execute(&at_the_wrong_moment).await.unwrap();
    for by_sqlx in [false, true] {
        let over =
            format!("UPDATE {schema}.records SET state = 1, expires_at = 1, lease_until = 1, sweep_at = 1");
        books.client.batch_execute(&over).await.unwrap();
        let paid = value("paid");
        let transacted = if by_sqlx {
            let mut transaction = pool.begin().await.unwrap();
            let lease = lock_in(&books.store, &mut transaction).await;
            books.store.complete_and_commit(transaction, &lease, paid).await.unwrap()
        } else {
            let mut transaction = client.transaction().await.unwrap();
            let lease = lock_in(&books.store, &mut transaction).await;
            books.store.complete_and_commit(transaction, &lease, paid).await.unwrap()
        };
        assert!(matches!(transacted, Transacted::Applied), "{transacted:?}");
    }
}

/// By the library that reads rows in a way of its own.
#[tokio::test]
async fn sqlx_locks_too() {
    let books = Books::open().await;
    let pool = sqlx_pool(&books).await;
    let mut transaction = pool.begin().await.unwrap();
    let lease = lock_in(&books.store, &mut transaction).await;
    sqlx::query(sqlx::AssertSqlSafe(books.payment())).execute(&mut *transaction).await.unwrap();
    // By the connection of the transaction, as by the transaction.
    let completion = books.store.complete_in(&mut *transaction, &lease, value("paid")).await.unwrap();
    transaction.commit().await.unwrap();
    completion.committed();
    let mut transaction = pool.begin().await.unwrap();
    let again = books.store.lock_in(&mut transaction, &key("order"), &fingerprint(), &claim()).await.unwrap();
    let LockAnswer::Completed(replay) = again else { panic!("{again:?}") };
    assert_eq!((replay.outcome, replay.token), (value("paid"), lease.token()));
    let other = Fingerprint::builder("another").finish();
    let mismatch = books.store.lock_in(&mut transaction, &key("order"), &other, &claim()).await.unwrap();
    assert!(matches!(mismatch, LockAnswer::FingerprintMismatch), "{mismatch:?}");
}

#[tokio::test]
async fn lock_in_works_in_a_schema_named_by_a_word_of_sql() {
    let server = idem_servers::postgres::Server::lone().await;
    let mut config = crate::support::config_of(server.node());
    config.schema = "user".to_owned();
    let books = Books::of(config).await;
    let mut client = connect(&books.config).await;
    let mut transaction = client.transaction().await.unwrap();
    let lease = lock_in(&books.store, &mut transaction).await;
    let transacted = books.store.complete_and_commit(transaction, &lease, value("paid")).await.unwrap();
    assert!(matches!(transacted, Transacted::Applied), "{transacted:?}");
}
