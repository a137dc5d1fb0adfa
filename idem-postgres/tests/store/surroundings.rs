//! What a server is set to, and what others do to it, that must not reach the store's callers.

use idem_core::{Effect, Store as _};
use idem_servers::postgres::{Server, ServerKind};

use crate::support::{RETENTION, claim, config_of, connect, key, lock, open, value};

/// The queue has a limit that a test can reach since version 17.
#[tokio::test]
async fn a_full_queue_of_notifications_refuses_no_completion() {
    let server =
        Server::options().kind(ServerKind::Postgres18).config("max_notify_queue_pages = 64").start().await;
    let config = config_of(server.node());
    let store = open(&config).await;
    let lease = lock(&store, &key("order"), &claim()).await;
    let client = connect(&config).await;
    let noted = format!("UPDATE {}.records SET waited = true", config.schema);
    client.batch_execute(&noted).await.unwrap();
    // Somebody who listens and ends no transaction.
    let other = connect(&config).await;
    other.batch_execute("LISTEN other").await.unwrap();
    other.batch_execute("BEGIN; SELECT 1").await.unwrap();
    let fill = "SELECT pg_notify('other', repeat('x', 7000) || clock_timestamp())";
    let mut sent = 0;
    while client.batch_execute(fill).await.is_ok() {
        sent += 1;
        assert!(sent < 1_000, "it does not fill");
    }
    assert_eq!(store.complete(&lease, value("done"), RETENTION).await.unwrap(), Effect::Applied);
}

/// Under another one calls that come together would fail one another.
#[tokio::test]
async fn the_isolation_that_a_database_has_by_default_is_not_the_stores() {
    let server = Server::lone().await;
    let config = config_of(server.node());
    drop(open(&config).await);
    let admin = connect(&config).await;
    let schema = &config.schema;
    let observe = format!(
        "CREATE TABLE {schema}.seen (isolation text);
         CREATE FUNCTION {schema}.observe() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             INSERT INTO {schema}.seen SELECT current_setting('transaction_isolation'); RETURN NEW;
         END $$;
         CREATE TRIGGER observe BEFORE INSERT ON {schema}.records FOR EACH ROW EXECUTE FUNCTION {schema}.observe()"
    );
    admin.batch_execute(&observe).await.unwrap();
    admin
        .batch_execute("ALTER DATABASE postgres SET default_transaction_isolation = serializable")
        .await
        .unwrap();
    lock(&open(&config).await, &key("order"), &claim()).await;
    let seen = format!("SELECT isolation FROM {schema}.seen");
    assert_eq!(admin.query_one(&seen, &[]).await.unwrap().get::<_, &str>(0), "read committed");
}
