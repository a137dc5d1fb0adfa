//! Statements that the server goes on with although the store has given them up.

use std::time::Duration;

use idem_core::{Effect, ErrorKind, Store as _};
use idem_postgres::PostgresStore;
use idem_servers::postgres::{Pair, Server};
use tokio::time::{sleep, timeout};

use super::application::{Application, Library};
use crate::support::{RETENTION, claim, connect, key, lock, value, wait_for_standby};

const LONG: Duration = Duration::from_mins(1);
/// Sessions of the pool.
const WAITING: &str =
    "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND application_name = $1";

with_each_library!(
    commits_that_wait_for_a_frozen_standby_do_not_pile_up,
    only_what_was_given_up_is_cancelled,
    a_call_that_is_given_up_leaves_no_statement_to_the_application,
);

async fn commits_that_wait_for_a_frozen_standby_do_not_pile_up(library: Library) {
    let pair = Pair::start().await;
    let mut application = Application::on(pair.primary().node(), library, 8, "postgres");
    application.config.call_timeout = Duration::from_secs(4);
    application.config.response_timeout = Duration::from_millis(100);
    let store = application.open().await;
    assert!(!store.capabilities().replicated, "nobody hears when a wait is cancelled");
    let lease = lock(&store, &key("order"), &claim()).await;
    let admin = connect(&application.server).await;
    pair.standby().stop();
    let completing = tokio::spawn({
        let (store, lease) = (store.clone(), lease.clone());
        async move { store.complete(&lease, value("done"), RETENTION).await }
    });
    let mut most = 0;
    while !completing.is_finished() {
        let now: i64 = admin.query_one(WAITING, &[&application.config.schema]).await.unwrap().get(0);
        most = most.max(now);
        sleep(Duration::from_millis(20)).await;
    }
    // Only what was given up is cancelled, so nothing is taken for waited for.
    assert_eq!(completing.await.unwrap().unwrap_err().kind(), ErrorKind::Timeout);
    assert!((1..=8).contains(&most), "{most} sessions wait");
    pair.standby().cont();
    let later = async {
        loop {
            match store.complete(&lease, value("done"), RETENTION).await {
                Ok(effect) => return effect,
                Err(error) => assert_eq!(error.kind(), ErrorKind::Timeout),
            }
        }
    };
    assert_eq!(timeout(LONG, later).await.unwrap(), Effect::Applied);
    let none_waits = async {
        while admin.query_one(WAITING, &[&application.config.schema]).await.unwrap().get::<_, i64>(0) > 0 {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(LONG, none_waits).await.unwrap();
}

/// What the application does by the same pool takes as long as it takes, and so does what another store does.
async fn only_what_was_given_up_is_cancelled(library: Library) {
    let server = Server::lone().await;
    let mut application = Application::on(server.node(), library, 8, "postgres");
    (application.config.call_timeout, application.config.sweep) = (LONG, false);
    let patient = &mut application.config.clone();
    patient.response_timeout = LONG;
    application.config.response_timeout = Duration::from_millis(100);
    let store = application.open().await;
    let patient = PostgresStore::with_pool(application.pool(), patient.clone()).await.unwrap();
    let stores = [("own", store), ("other", patient)];
    for (name, store) in &stores {
        drop(lock(store, &key(name), &claim()).await);
    }
    let watch = connect(&application.server).await;
    wait_for_standby(&application.server, "nobody").await;
    let mut held = application.hold().await;
    let slept = tokio::spawn(async move { held.number("SELECT 1::bigint FROM pg_sleep(2)").await });
    let removing =
        stores.map(|(name, store)| tokio::spawn(async move { store.remove(&key(name), true).await }));
    let waiting = async |expected: i64| {
        while watch.query_one(WAITING, &[&application.config.schema]).await.unwrap().get::<_, i64>(0)
            != expected
        {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(LONG, waiting(2)).await.unwrap();
    // That of the store that has given it up goes, and the other remains.
    timeout(LONG, waiting(1)).await.unwrap();
    assert_eq!(slept.await.unwrap(), 1, "it was not cancelled");
    timeout(LONG, waiting(1)).await.unwrap();
    wait_for_standby(&application.server, "").await;
    let [impatient, patient] = removing;
    assert_eq!(impatient.await.unwrap().unwrap_err().kind(), ErrorKind::Timeout);
    assert!(patient.await.unwrap().unwrap(), "it was waited for");
}

async fn a_call_that_is_given_up_leaves_no_statement_to_the_application(library: Library) {
    let server = Server::lone().await;
    let mut application = Application::on(server.node(), library, 1, "postgres");
    (application.config.response_timeout, application.config.sweep) = (LONG, false);
    let store = application.open().await;
    drop(lock(&store, &key("order"), &claim()).await);
    let watch = connect(&application.server).await;
    wait_for_standby(&application.server, "nobody").await;
    let removing = tokio::spawn(async move { store.remove(&key("order"), true).await });
    let schema = &application.config.schema;
    while watch.query_one(WAITING, &[schema]).await.unwrap().get::<_, i64>(0) == 0 {
        sleep(Duration::from_millis(5)).await;
    }
    removing.abort();
    assert!(removing.await.unwrap_err().is_cancelled());
    let answered = async { application.hold().await.number("SELECT 1::bigint").await };
    assert_eq!(timeout(LONG, answered).await.unwrap(), 1);
    let waits: i64 = watch.query_one(WAITING, &[schema]).await.unwrap().get(0);
    assert_eq!(waits, 1, "the application was answered by another connection");
    wait_for_standby(&application.server, "").await;
}
