//! A pooler in front of a server.

use idem_servers::postgres::{Pooler, Server};

#[tokio::test]
async fn a_pooler_lends_its_sessions_and_ends_when_it_is_dropped() {
    let server = Server::lone().await;
    let pooler = Pooler::start(server.node(), &["pool_mode = transaction", "default_pool_size = 1"]).await;
    let session = "SELECT pg_backend_pid()";
    assert_eq!(pooler.sql(session).await, pooler.sql(session).await);
    assert_ne!(server.sql(session).await, pooler.sql(session).await);
    let node = pooler.node();
    drop(pooler);
    assert!(node.try_sql("SELECT 1").await.is_err());
}
