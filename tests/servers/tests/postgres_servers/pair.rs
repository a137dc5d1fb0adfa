//! A primary and its standby.

use std::time::Duration;

use idem_servers::postgres::{Pair, ServerKind, shared_pair_of};

const WRITE: &str = "INSERT INTO kept VALUES (7)";
const COUNT: &str = "SELECT count(*) FROM kept";

#[tokio::test]
async fn what_is_committed_is_on_the_standby_and_there_after_its_promotion() {
    for kind in ServerKind::ALL {
        let pair = Pair::options().kind(kind).remote_apply().start().await;
        pair.primary().sql("CREATE TABLE kept (number int)").await;
        pair.primary().sql(WRITE).await;
        assert_eq!(pair.standby().sql(COUNT).await, "1");
        assert!(pair.standby().try_sql(WRITE).await.unwrap_err().contains("read-only"));
        pair.primary().kill();
        pair.promote().await;
        let follower = pair.follower().await;
        pair.standby().sql(WRITE).await;
        assert_eq!(follower.sql(COUNT).await, "2");
        // It comes back as a primary of its own, whose commits wait for a standby that it has no more.
        pair.primary().restart().await;
        assert_eq!(pair.primary().sql("SELECT pg_is_in_recovery()").await, "f");
        assert_eq!(pair.primary().sql(COUNT).await, "1");
    }
}

#[tokio::test]
async fn commits_wait_for_the_standby_unless_it_is_asynchronous() {
    let pair = Pair::start().await;
    pair.primary().sql("CREATE TABLE kept (number int)").await;
    pair.standby().stop();
    let primary = pair.primary().node();
    let written = tokio::spawn(async move { primary.try_sql(WRITE).await });
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    while primary.sql(waiting).await == "0" {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(!written.is_finished());
    pair.standby().cont();
    written.await.unwrap().unwrap();
    let pair = Pair::options().asynchronous().start().await;
    pair.primary().sql("CREATE TABLE kept (number int)").await;
    pair.wait_ok().await;
    pair.standby().stop();
    pair.primary().sql(WRITE).await;
    pair.standby().cont();
}

#[tokio::test]
async fn a_pair_is_shared_by_the_tests_of_a_run() {
    let [primary, standby] = shared_pair_of(ServerKind::chosen()).await;
    let sync = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'";
    assert_eq!(primary.sql(sync).await, "1");
    assert_eq!(standby.sql("SELECT pg_is_in_recovery()").await, "t");
    assert_eq!(shared_pair_of(ServerKind::chosen()).await, [primary, standby]);
}
