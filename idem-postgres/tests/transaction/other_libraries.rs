//! A library that sends the statement itself: diesel.

use diesel::result::Error;
use diesel::sql_types::{BigInt, Binary};
use diesel::{QueryResult, sql_query};
use diesel_async::{AsyncConnection as _, AsyncPgConnection, RunQueryDsl as _};
use idem_core::{LostReason, Store as _};
use idem_postgres::{CompletionSql, NotCompleted};

use crate::books::Books;
use crate::support::{claim, key, lock, value};

async fn send(connection: &mut AsyncPgConnection, completion: &CompletionSql) -> QueryResult<usize> {
    sql_query(completion.sql())
        .bind::<Binary, _>(completion.key())
        .bind::<Binary, _>(completion.fingerprint())
        .bind::<BigInt, _>(completion.sequence())
        .bind::<Binary, _>(completion.owner())
        .bind::<BigInt, _>(completion.retention())
        .bind::<Binary, _>(completion.body())
        .execute(connection)
        .await
}

async fn pay(
    connection: &mut AsyncPgConnection,
    payment: &str,
    completion: &CompletionSql,
) -> QueryResult<()> {
    let work = async |connection: &mut AsyncPgConnection| {
        sql_query(payment).execute(connection).await?;
        send(connection, completion).await?;
        Ok(())
    };
    connection.transaction(work).await
}

#[tokio::test]
async fn diesel_commits_its_rows_and_the_completion_together() {
    let books = Books::open().await;
    let server = &books.config.servers[0];
    let url = format!("postgres://postgres@{}:{}/postgres", server.host, server.port);
    let mut connection = AsyncPgConnection::establish(&url).await.unwrap();
    let lost = lock(&books.store, &key("order"), &claim()).await;
    assert!(books.store.remove(&key("order"), true).await.unwrap());
    let lease = lock(&books.store, &key("order"), &claim()).await;

    let completion = books.store.completion_sql(&lost, value("paid")).unwrap();
    let Err(Error::DatabaseError(_, why)) = pay(&mut connection, &books.payment(), &completion).await else {
        panic!()
    };
    let not_completed = completion.refused(why.details().unwrap());
    assert!(matches!(not_completed, Some(NotCompleted::Lost(LostReason::Superseded))), "{not_completed:?}");
    assert!(lost.is_lost());
    assert_eq!(books.count().await, 0);

    let completion = books.store.completion_sql(&lease, value("paid")).unwrap();
    pay(&mut connection, &books.payment(), &completion).await.unwrap();
    completion.executed().committed();
    assert!(lease.is_completed());
    assert_eq!(books.count().await, 1);
    let record = books.store.get(&key("order")).await.unwrap().unwrap();
    assert_eq!(record.outcome(), Some(&value("paid")));

    let completion = books.store.completion_sql(&lease, value("paid")).unwrap();
    let Err(Error::DatabaseError(_, why)) = pay(&mut connection, &books.payment(), &completion).await else {
        panic!()
    };
    let not_completed = completion.refused(why.details().unwrap());
    assert!(matches!(not_completed, Some(NotCompleted::AlreadyCompleted)), "{not_completed:?}");
    assert_eq!(books.count().await, 1);
}

/// The words that tell why a lease is lost are nobody else's.
#[tokio::test]
async fn the_detail_of_an_error_of_the_application_says_nothing_about_the_lease() {
    let books = Books::open().await;
    let lease = lock(&books.store, &key("order"), &claim()).await;
    let completion = books.store.completion_sql(&lease, value("paid")).unwrap();
    for detail in ["completed", "released", "gone", "superseded"] {
        assert!(completion.refused(detail).is_none(), "{detail}");
    }
    assert!(!lease.is_lost() && !lease.is_completed());
}

#[tokio::test]
async fn a_completion_shows_no_outcome_in_logs() {
    let books = Books::open().await;
    let lease = lock(&books.store, &key("order"), &claim()).await;
    let completion = books.store.completion_sql(&lease, value("paid")).unwrap();
    let shown = format!("{completion:?}");
    assert!(!shown.contains("112, 97, 105, 100") && !shown.contains("paid"), "{shown}");
}
