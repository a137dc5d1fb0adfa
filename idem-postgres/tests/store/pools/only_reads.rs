//! Sessions that cannot write: those of a standby, and those that were given back inside of a failed transaction.

use std::time::Duration;

use idem_core::{Effect, ErrorKind, Store as _};
use idem_servers::postgres::Pair;
use sqlx::postgres::PgConnectOptions;
use tokio::time::{sleep, timeout};

use super::application::{Application, Kind, Library};
use crate::support::{RETENTION, claim, connect, fingerprint, key, lock, value};

const LONG: Duration = Duration::from_mins(1);

with_each_library!(a_standby_opens_no_store, a_session_in_a_failed_transaction_is_left_for_another);

async fn a_standby_opens_no_store(library: Library) {
    let pair = Pair::start().await;
    let by_primary = Application::on(pair.primary().node(), library, 2, "postgres");
    drop(by_primary.open().await);
    let mut application = Application::on(pair.standby().node(), library, 2, "postgres");
    application.config.schema.clone_from(&by_primary.config.schema);
    caught_up(&pair).await;
    let error = application.try_open().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
}

/// It may lack what its primary has acknowledged, so it answers nothing, also no call that only looks.
#[tokio::test]
async fn a_standby_to_which_the_pool_has_moved_answers_nothing() {
    let pair = Pair::start().await;
    let mut application = Application::on(pair.primary().node(), Library::Sqlx, 2, "postgres");
    application.config.call_timeout = Duration::from_secs(2);
    application.config.sweep = false;
    let store = application.open().await;
    let lease = lock(&store, &key("completed"), &claim()).await;
    assert_eq!(store.complete(&lease, value("done"), RETENTION).await.unwrap(), Effect::Applied);
    drop(lock(&store, &key("locked"), &claim()).await);
    caught_up(&pair).await;
    let Kind::Sqlx(pool) = &application.pool else { panic!("a pool of sqlx") };
    let options: PgConnectOptions = (*pool.connect_options()).clone();
    pool.set_connect_options(options.port(pair.standby().addr().port()));
    let admin = connect(&application.server).await;
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = $1";
    let at_primary = async {
        while admin.query_one(end, &[&application.config.schema]).await.unwrap().get::<_, i64>(0) > 0 {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(LONG, at_primary).await.unwrap();
    for name in ["completed", "locked", "neither"] {
        for answer in [
            store.get(&key(name)).await.map(|found| format!("{found:?}")),
            store.lock(&key(name), &fingerprint(), &claim()).await.map(|answer| format!("{answer:?}")),
        ] {
            let error = answer.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
        }
    }
}

async fn caught_up(pair: &Pair) {
    let written = pair.primary().sql("SELECT pg_current_wal_lsn()").await;
    let replayed = format!("SELECT pg_last_wal_replay_lsn() >= '{written}'");
    let replayed = async {
        while pair.standby().sql(&replayed).await != "t" {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(LONG, replayed).await.unwrap();
}

/// Nothing of the store was done by it, and by another one it is.
async fn a_session_in_a_failed_transaction_is_left_for_another(library: Library) {
    let application = Application::with(library, 1).await;
    let store = application.open().await;
    let mut held = application.hold().await;
    held.run("BEGIN").await;
    held.fail().await;
    drop(held);
    drop(lock(&store, &key("order"), &claim()).await);
}
