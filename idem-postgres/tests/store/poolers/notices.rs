//! What a session tells beside its answers, and what it is asked to stop.

use std::time::Duration;

use idem_core::{Effect, ErrorKind, Store as _};

use super::Pooled;
use crate::support::{
    RETENTION, claim, complete_and_cancel, connect, key, lock, open, value, wait_for_standby,
};

/// The server's warning comes through the pooler.
#[tokio::test]
async fn a_commit_that_its_standbys_do_not_have_is_not_acknowledged_behind_a_pooler() {
    let mut pooled = Pooled::start().await;
    pooled.config.call_timeout = Duration::from_secs(3);
    let store = open(&pooled.config).await;
    let lease = lock(&store, &key("order"), &claim()).await;
    let (direct, client) = (pooled.direct(), connect(&pooled.direct()).await);
    wait_for_standby(&direct, "nobody").await;
    assert_eq!(complete_and_cancel(&store, &lease, &client).await.unwrap_err().kind(), ErrorKind::Timeout);
    wait_for_standby(&direct, "").await;
    assert_eq!(store.complete(&lease, value("done"), RETENTION).await.unwrap(), Effect::Applied);
}

/// Otherwise each call that is given up would keep one of the few sessions.
#[tokio::test]
async fn a_call_that_is_given_up_is_cancelled_through_a_pooler() {
    let mut pooled = Pooled::start().await;
    pooled.config.call_timeout = Duration::from_secs(4);
    pooled.config.response_timeout = Duration::from_millis(200);
    let store = open(&pooled.config).await;
    let lease = lock(&store, &key("order"), &claim()).await;
    let (direct, client) = (pooled.direct(), connect(&pooled.direct()).await);
    wait_for_standby(&direct, "nobody").await;
    let completed = store.complete(&lease, value("done"), RETENTION).await;
    assert_eq!(completed.unwrap_err().kind(), ErrorKind::Timeout);
    // A cancelled commit stands, so that its session is free: a read waits for none.
    assert!(store.get(&key("order")).await.unwrap().is_some());
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    let waiting: i64 = client.query_one(waiting, &[]).await.unwrap().get(0);
    assert!(waiting < i64::try_from(super::SESSIONS).unwrap(), "{waiting} sessions wait");
    wait_for_standby(&direct, "").await;
}
