//! A pool of the application that is behind a pooler in transaction mode.

use idem_core::{Effect, LockAnswer, Store as _, Transacted};
use idem_servers::postgres::{Pooler, Server};
use sqlx::postgres::PgConnectOptions;
use tokio::task::JoinSet;

use super::application::{Application, Kind, Library, pool_of_sqlx};
use crate::support::{RETENTION, claim, connect, fingerprint, key, lock, value};

/// Sessions of the server that clients share.
const SESSIONS: usize = 3;

with_each_library!(clients_that_share_sessions_do_not_get_in_each_others_way);

async fn clients_that_share_sessions_do_not_get_in_each_others_way(library: Library) {
    let server = Server::lone().await;
    let lines = [
        "pool_mode = transaction",
        &format!("default_pool_size = {SESSIONS}"),
        // sqlx sends it, and pgbouncer refuses what it does not know.
        "ignore_startup_parameters = extra_float_digits",
    ];
    let pooler = Pooler::start(server.node(), &lines).await;
    let mut application = Application::on(pooler.node(), library, 8, "postgres");
    if let Kind::Sqlx(pool) = &mut application.pool {
        // As everywhere behind such a pooler.
        let node = pooler.node();
        let options = PgConnectOptions::new().host(&node.addr().ip().to_string()).port(node.addr().port());
        let options = options.username("postgres").database("postgres").statement_cache_capacity(0);
        *pool = pool_of_sqlx(options, 8);
    }
    let mut processes = JoinSet::new();
    for process in 0..4 {
        let application = application.clone();
        processes.spawn(async move {
            let store = application.open().await;
            let mut callers = JoinSet::new();
            for caller in 0..8 {
                let (application, store) = (application.clone(), store.clone());
                callers.spawn(async move {
                    for cycle in 0..10 {
                        let key = key(format!("{process}-{caller}-{cycle}"));
                        let lease = lock(&store, &key, &claim()).await;
                        if cycle % 2 == 0 {
                            let effect = store.complete(&lease, value("done"), RETENTION).await.unwrap();
                            assert_eq!(effect, Effect::Applied);
                        } else {
                            let transacted =
                                application.complete_and_commit(&store, &lease, value("done")).await;
                            assert!(matches!(transacted.unwrap(), Transacted::Applied));
                        }
                        let again = store.lock(&key, &fingerprint(), &claim()).await.unwrap();
                        assert!(matches!(again, LockAnswer::Completed(_)), "{again:?}");
                        assert!(store.get(&key).await.unwrap().is_some());
                    }
                });
            }
            callers.join_all().await;
        });
    }
    processes.join_all().await;
    // None of what libraries name is left in a session that others get.
    let mut left = 0;
    let mut clients = Vec::new();
    for _ in 0..SESSIONS {
        let client = connect(&application.server).await;
        client.batch_execute("BEGIN").await.unwrap();
        let named = client.query_typed_one("SELECT count(*) FROM pg_prepared_statements", &[]).await.unwrap();
        left += named.get::<_, i64>(0);
        clients.push(client);
    }
    assert_eq!(left, 0, "statements are left in the sessions");
}
