//! Connections of sqlx that are not a pool's.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use idem_core::{ErrorKind, Outcome, Store as _, Transacted};
use idem_postgres::NotCompleted;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::books::Books;
use crate::support::{claim, fingerprint, key, lock, value};

async fn alone(books: &Books) -> PgConnection {
    let server = &books.config.servers[0];
    let (host, port, schema) = (&server.host, server.port, &books.config.schema);
    let url = format!("postgres://postgres@{host}:{port}/postgres?application_name={schema}");
    PgConnection::connect(&url).await.unwrap()
}

/// Each statement would be a transaction of its own, and a crash between them would leave one without the other.
#[tokio::test]
async fn a_connection_without_a_transaction_is_refused() {
    let books = Books::open().await;
    let lease = lock(&books.store, &key("order"), &claim()).await;
    let mut connection = alone(&books).await;
    let not_completed = books.store.complete_in(&mut connection, &lease, value("paid")).await;
    let NotCompleted::Failed(error) = not_completed.unwrap_err() else { panic!() };
    assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
    let locked = books.store.lock_in(&mut connection, &key("other"), &fingerprint(), &claim()).await;
    assert_eq!(locked.unwrap_err().kind(), ErrorKind::InvalidArgument);
    assert_eq!(books.store.get(&key("order")).await.unwrap().unwrap().outcome(), None);
    assert_eq!(books.store.get(&key("other")).await.unwrap(), None);
}

/// sqlx itself sends the rollback of a dropped transaction only with the connection's next statement.
#[tokio::test]
async fn what_is_rolled_back_holds_no_lock_though_its_connection_is_not_used_again() {
    let mut config = crate::support::config().await;
    config.max_outcome = 1_000;
    let books = Books::of(config).await;
    let lease = lock(&books.store, &key("order"), &claim()).await;
    let mut connection = alone(&books).await;
    let mut transaction = connection.begin().await.unwrap();
    sqlx::query(AssertSqlSafe(books.payment())).execute(&mut *transaction).await.unwrap();
    let outcome = Outcome::Value(vec![0; 1_001].into());
    let transacted = books.store.complete_and_commit(transaction, &lease, outcome).await.unwrap();
    assert!(matches!(transacted, Transacted::RolledBack(_)), "{transacted:?}");
    let open = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND state LIKE 'idle in transaction%'";
    let open: i64 = books.client.query_one(open, &[&books.config.schema]).await.unwrap().get(0);
    assert_eq!(open, 0);
    drop(connection);
}

/// sqlx rolls the whole transaction back when the beginning of one inside is given up, and calls its commit a success.
#[tokio::test]
async fn a_transaction_that_its_library_has_given_up_is_not_taken_for_a_committed_one() {
    let books = Books::open().await;
    let lease = lock(&books.store, &key("order"), &claim()).await;
    let mut connection = alone(&books).await;
    let mut transaction = connection.begin().await.unwrap();
    sqlx::query(AssertSqlSafe(books.payment())).execute(&mut *transaction).await.unwrap();
    // Given up before the server has answered.
    while transaction.is_in_transaction() {
        let mut begin = pin!(transaction.begin());
        poll_fn(|context| Poll::Ready(begin.as_mut().poll(context).is_ready())).await;
    }
    let transacted = books.store.complete_and_commit(transaction, &lease, value("paid")).await.unwrap();
    let Transacted::RolledBack(error) = transacted else { panic!("{transacted:?}, {}", books.count().await) };
    assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
    assert_eq!(books.count().await, 0);
    assert_eq!(books.store.get(&key("order")).await.unwrap().unwrap().outcome(), None);
}
