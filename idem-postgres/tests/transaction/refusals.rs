//! Transactions in which a key cannot be completed.

use std::time::Duration;

use idem_core::{Claim, ErrorKind, LostReason, Outcome, Store as _, Transacted};
use idem_postgres::NotCompleted;
use idem_servers::postgres::Server;
use tokio::time::sleep;

use crate::books::Books;
use crate::support::{claim, config_of, connect, grants, key, lock, open, value};

fn kind_of(not_completed: NotCompleted) -> ErrorKind {
    let NotCompleted::Failed(error) = not_completed else { panic!("{not_completed:?}") };
    error.kind()
}

#[tokio::test]
async fn a_transaction_on_another_database_is_refused() {
    let books = Books::open().await;
    let lease = lock(&books.store, &key("order"), &claim()).await;
    let other = format!("other_{}", books.config.schema);
    books.client.batch_execute(&format!("CREATE DATABASE {other}")).await.unwrap();
    let mut config = books.config.clone();
    config.database = Some(other);
    let mut client = connect(&config).await;
    let mut transaction = client.transaction().await.unwrap();
    let not_completed = books.store.complete_in(&mut transaction, &lease, value("paid")).await.unwrap_err();
    assert_eq!(kind_of(not_completed), ErrorKind::InvalidConfig);
    drop(transaction);
    // Where another store has its schema: its records are not this one's.
    drop(open(&config).await);
    let mut transaction = client.transaction().await.unwrap();
    let not_completed = books.store.complete_in(&mut transaction, &lease, value("paid")).await.unwrap_err();
    assert_eq!(kind_of(not_completed), ErrorKind::InvalidConfig);
    assert!(!lease.is_lost());
    // Also where the lease is over, and nobody has taken over.
    let brief = Claim { lease: Duration::from_millis(1), ..claim() };
    let over = lock(&books.store, &key("over"), &brief).await;
    sleep(Duration::from_millis(50)).await;
    drop(transaction);
    let mut transaction = client.transaction().await.unwrap();
    let not_completed = books.store.complete_in(&mut transaction, &over, value("paid")).await.unwrap_err();
    assert_eq!(kind_of(not_completed), ErrorKind::InvalidConfig);
    assert!(!over.is_lost());
    drop(transaction);
    assert!(books.store.remove(&key("order"), true).await.unwrap());
    let not_completed =
        books.store.complete_in(&mut client.transaction().await.unwrap(), &lease, value("paid")).await;
    assert!(matches!(not_completed, Err(NotCompleted::Lost(LostReason::Gone))), "{not_completed:?}");
}

#[tokio::test]
async fn a_transaction_that_has_failed_or_only_reads_is_refused() {
    let mut books = Books::open().await;
    let lease = lock(&books.store, &key("order"), &claim()).await;
    let mut transaction = books.client.transaction().await.unwrap();
    transaction.batch_execute("SELECT 1/0").await.unwrap_err();
    let not_completed = books.store.complete_in(&mut transaction, &lease, value("paid")).await.unwrap_err();
    assert_eq!(kind_of(not_completed), ErrorKind::InvalidArgument);
    drop(transaction);
    let mut reading = books.client.build_transaction().read_only(true).start().await.unwrap();
    let not_completed = books.store.complete_in(&mut reading, &lease, value("paid")).await.unwrap_err();
    assert_eq!(kind_of(not_completed), ErrorKind::InvalidArgument);
    assert!(!lease.is_lost());
}

#[tokio::test]
async fn an_outcome_that_is_too_large_is_refused_and_commits_nothing() {
    let mut config = crate::support::config().await;
    config.max_outcome = 1_000;
    let books = Books::of(config).await;
    let lease = lock(&books.store, &key("order"), &claim()).await;
    let mut client = connect(&books.config).await;
    let transaction = client.transaction().await.unwrap();
    transaction.batch_execute(&books.payment()).await.unwrap();
    let outcome = Outcome::Value(vec![0; 1_001].into());
    let transacted = books.store.complete_and_commit(transaction, &lease, outcome).await.unwrap();
    let Transacted::RolledBack(error) = transacted else { panic!("{transacted:?}") };
    assert_eq!((error.kind(), books.count().await), (ErrorKind::TooLarge, 0));
}

#[tokio::test]
async fn a_constraint_that_fails_at_the_commit_rolls_both_back() {
    let mut books = Books::open().await;
    let lease = lock(&books.store, &key("order"), &claim()).await;
    let unique = format!("ALTER TABLE {} ADD UNIQUE (cents) DEFERRABLE INITIALLY DEFERRED", books.table());
    books.client.batch_execute(&unique).await.unwrap();
    let payment = books.payment();
    books.client.batch_execute(&payment).await.unwrap();
    let transaction = books.client.transaction().await.unwrap();
    transaction.batch_execute(&payment).await.unwrap();
    let transacted = books.store.complete_and_commit(transaction, &lease, value("paid")).await.unwrap();
    let Transacted::RolledBack(error) = transacted else { panic!("{transacted:?}") };
    assert!(error.to_string().contains("23505"), "{error}");
    assert!(!lease.is_completed() && !lease.is_lost());
    assert_eq!(books.count().await, 1);
}

/// A role that has the rights that docs/postgres.md names, and no others.
#[tokio::test]
async fn a_role_with_the_least_rights_completes() {
    let books = Books::open().await;
    let (schema, table) = (&books.config.schema, books.table());
    let rights = format!(
        "CREATE ROLE r_{schema} LOGIN; {} GRANT INSERT ON {table} TO r_{schema}",
        grants(schema, &format!("r_{schema}"))
    );
    books.client.batch_execute(&rights).await.unwrap();
    let mut config = books.config.clone();
    config.migrate = false;
    (config.user, config.database) = (format!("r_{schema}"), Some("postgres".to_owned()));
    let store = open(&config).await;
    let lease = lock(&store, &key("order"), &claim()).await;
    let mut client = connect(&config).await;
    let transaction = client.transaction().await.unwrap();
    transaction.batch_execute(&books.payment()).await.unwrap();
    let transacted = store.complete_and_commit(transaction, &lease, value("paid")).await.unwrap();
    assert!(matches!(transacted, Transacted::Applied), "{transacted:?}");
    assert!(store.get(&key("order")).await.unwrap().unwrap().outcome().is_some());
}

/// A policy that shows the role no records: its lease is not gone.
#[tokio::test]
async fn a_record_that_row_level_security_hides_is_not_gone() {
    let books = Books::open().await;
    let schema = &books.config.schema;
    let lease = lock(&books.store, &key("order"), &claim()).await;
    let rights = format!(
        "CREATE ROLE s_{schema}; {} ALTER TABLE {schema}.records ENABLE ROW LEVEL SECURITY",
        grants(schema, &format!("s_{schema}"))
    );
    books.client.batch_execute(&rights).await.unwrap();
    let mut client = connect(&books.config).await;
    let mut transaction = client.transaction().await.unwrap();
    transaction.batch_execute(&format!("SET LOCAL ROLE s_{schema}")).await.unwrap();
    let not_completed = books.store.complete_in(&mut transaction, &lease, value("paid")).await.unwrap_err();
    assert_eq!(kind_of(not_completed), ErrorKind::InvalidConfig);
    assert!(!lease.is_lost());
}

/// Of two phases, where somebody waits for the key: a notification cannot be prepared.
#[tokio::test]
async fn a_transaction_of_two_phases_is_refused_where_somebody_waits() {
    let server = Server::options().config("max_prepared_transactions = 2").start().await;
    let mut books = Books::of(config_of(server.node())).await;
    let lease = lock(&books.store, &key("order"), &claim()).await;
    let waited = format!("UPDATE {}.records SET waited = true", books.config.schema);
    books.client.batch_execute(&waited).await.unwrap();
    let payment = books.payment();
    let mut transaction = books.client.transaction().await.unwrap();
    transaction.batch_execute(&payment).await.unwrap();
    let completion = books.store.complete_in(&mut transaction, &lease, value("paid")).await.unwrap();
    transaction.batch_execute("PREPARE TRANSACTION 'two'").await.unwrap_err();
    assert_eq!(completion.find_out().await.unwrap(), Transacted::RolledBack(()));
    drop(transaction);
    assert_eq!(books.count().await, 0);
}
