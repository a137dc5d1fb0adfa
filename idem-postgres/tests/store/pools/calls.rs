//! The calls of the contract. All cases of the kit run on pools, too.

use std::time::Duration;

use idem_core::{Effect, LockAnswer, Store as _};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::application::{Application, Held, Library};
use crate::support::{LEASE, RETENTION, claim, connect, fingerprint, key, lock, value};

const LONG: Duration = Duration::from_mins(1);

with_each_library!(
    every_call_works_on_a_pool,
    calls_that_come_together_share_commits,
    who_waits_looks_every_now_and_then,
    a_session_is_left_as_it_was,
);

async fn every_call_works_on_a_pool(library: Library) {
    let application = Application::with(library, 4).await;
    let store = application.open().await;
    let (order, claimed) = (key("order"), claim());
    let lease = lock(&store, &order, &claimed).await;
    let answer = store.lock(&order, &fingerprint(), &claim()).await.unwrap();
    assert!(matches!(answer, LockAnswer::InProgress { .. }), "{answer:?}");
    assert_eq!(store.renew(&lease, LEASE).await.unwrap(), Effect::Applied);
    assert_eq!(store.checkpoint(&lease, 1, "half".into(), LEASE).await.unwrap(), Effect::Applied);
    // A renewal without a checkpoint beside one that has one, in the same statement.
    let other = lock(&store, &key("other"), &claim()).await;
    let both = tokio::join!(store.renew(&other, LEASE), store.checkpoint(&lease, 2, "most".into(), LEASE));
    assert!(matches!(both, (Ok(Effect::Applied), Ok(Effect::Applied))), "{both:?}");
    assert_eq!(store.release(&other).await.unwrap(), Effect::Applied);
    assert_eq!(store.complete(&lease, value("done"), RETENTION).await.unwrap(), Effect::Applied);
    let replay = store.lock(&order, &fingerprint(), &claim()).await.unwrap();
    assert!(matches!(replay, LockAnswer::Completed(_)), "{replay:?}");
    assert_eq!(store.get(&order).await.unwrap().unwrap().outcome(), Some(&value("done")));
    assert_eq!(store.expire(10).await.unwrap().removed, 0);
    assert!(store.remove(&order, true).await.unwrap());
    assert!(store.get(&order).await.unwrap().is_none());
}

async fn calls_that_come_together_share_commits(library: Library) {
    const CALLERS: u32 = 64;
    let application = Application::with(library, 16).await;
    let store = application.open().await;
    let mut locking = JoinSet::new();
    for caller in 0..CALLERS {
        let store = store.clone();
        locking.spawn(async move { lock(&store, &key(caller.to_string()), &claim()).await });
    }
    let leases = locking.join_all().await;
    let client = connect(&application.server).await;
    let commits = format!("SELECT count(DISTINCT xmin::text) FROM {}.records", application.config.schema);
    let of_locks: i64 = client.query_one(&commits, &[]).await.unwrap().get(0);
    assert!(of_locks <= 16, "{of_locks} commits for {CALLERS} locks");
    let mut completing = JoinSet::new();
    for lease in leases {
        let store = store.clone();
        completing.spawn(async move { store.complete(&lease, value("done"), RETENTION).await.unwrap() });
    }
    assert!(completing.join_all().await.iter().all(|effect| *effect == Effect::Applied));
    let of_completions: i64 = client.query_one(&commits, &[]).await.unwrap().get(0);
    assert!(of_completions <= 16, "{of_completions} commits for {CALLERS} completions");
    assert!(application.size() <= 4, "{} connections", application.size());
}

async fn who_waits_looks_every_now_and_then(library: Library) {
    let application = Application::with(library, 4).await;
    let (here, there) = (application.open().await, application.open().await);
    assert!(!here.capabilities().notifies);
    let lease = lock(&there, &key("order"), &claim()).await;
    let waiting = tokio::spawn({
        let here = here.clone();
        async move { here.settled(&key("order"), LONG).await.unwrap() }
    });
    assert_eq!(there.complete(&lease, value("done"), RETENTION).await.unwrap(), Effect::Applied);
    assert!(timeout(LONG, waiting).await.unwrap().unwrap());
}

/// Whoever has the connection next finds what it would find without the store.
async fn a_session_is_left_as_it_was(library: Library) {
    let application = Application::with(library, 1).await;
    let mut held = application.hold().await;
    held.run("SET idem.seen = 'before'").await;
    let settings = "SELECT count(*) FROM pg_settings WHERE source = 'session'";
    let before = held.number(settings).await;
    drop(held);
    let store = application.open().await;
    let lease = lock(&store, &key("order"), &claim()).await;
    assert!(!store.settled(&key("order"), Duration::from_millis(1)).await.unwrap());
    assert_eq!(store.complete(&lease, value("done"), RETENTION).await.unwrap(), Effect::Applied);
    let mut held = application.hold().await;
    let same = "SELECT count(*) FROM (SELECT 1) AS one WHERE current_setting('idem.seen', true) = 'before'";
    assert_eq!(held.number(same).await, 1, "it is the same session");
    assert_eq!(held.number(settings).await, before);
    assert_eq!(held.number("SELECT count(*) FROM pg_listening_channels()").await, 0);
    if matches!(held, Held::Deadpool(_)) {
        assert_eq!(held.number("SELECT count(*) FROM pg_prepared_statements").await, 0);
    }
}
