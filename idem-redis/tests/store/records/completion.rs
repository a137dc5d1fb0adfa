//! The fast path of a completion: a record that is as it was locked is replaced by the prepared completed record.

use std::time::Duration;

use bytes::Bytes;
use idem_core::{Effect, LockAnswer, Store};
use idem_servers::redis::Server;

use crate::support::{
    acquire, assert_replays, calls_of, claim, complete, fingerprint, key, lock, lone, value,
};

/// How often scripts have asked the server for its time, which the fast path does not.
async fn slow_paths(server: &Server) -> u64 {
    calls_of(server, "time").await
}

#[tokio::test]
async fn an_unchanged_record_is_completed_on_the_fast_path() {
    let server = Server::lone().await;
    // No check asks for the time meanwhile.
    let mut config = crate::support::config(&server);
    config.check_interval = Duration::from_hours(1);
    let store = idem_redis::RedisStore::open(config).await.unwrap();

    let fresh = acquire(&store, "fresh").await;
    let renewed = acquire(&store, "renewed").await;
    assert_eq!(store.renew(&renewed, Duration::from_mins(1)).await.unwrap(), Effect::Applied);
    let removed = acquire(&store, "taken over").await;
    assert_eq!(store.release(&removed).await.unwrap(), Effect::Applied);
    let again = acquire(&store, "taken over").await;
    let saved = acquire(&store, "with a checkpoint").await;
    let duration = Duration::from_mins(1);
    assert_eq!(
        store.checkpoint(&saved, 1, Bytes::from_static(b"half"), duration).await.unwrap(),
        Effect::Applied
    );
    let brief = acquire(&store, "outlived by its lease").await;

    let before = slow_paths(&server).await;
    for lease in [&fresh, &renewed, &again] {
        assert_eq!(complete(&store, lease).await.unwrap(), Effect::Applied);
    }
    assert_eq!(slow_paths(&server).await, before);

    assert_eq!(complete(&store, &saved).await.unwrap(), Effect::Applied);
    assert_eq!(store.complete(&brief, value(), Duration::from_millis(1)).await.unwrap(), Effect::Applied);
    assert_eq!(slow_paths(&server).await, before + 2);
    for name in ["fresh", "renewed", "taken over", "with a checkpoint", "outlived by its lease"] {
        assert_replays(&store, name).await;
    }
    // A second completion changes nothing.
    assert_eq!(complete(&store, &fresh).await.unwrap(), Effect::Applied);
}

#[tokio::test]
async fn completion_times_are_those_of_the_server() {
    let (_server, store) = lone().await;
    for is_fast in [true, false] {
        let name = format!("order {is_fast}");
        let lease = acquire(&store, &name).await;
        if !is_fast {
            let duration = Duration::from_mins(1);
            let _ = store.checkpoint(&lease, 1, Bytes::from_static(b"half"), duration).await.unwrap();
        }
        assert_eq!(complete(&store, &lease).await.unwrap(), Effect::Applied);
        let LockAnswer::Completed(replay) = lock(&store, &name).await.unwrap() else { panic!("{name}") };
        assert_eq!(replay.expires_at, replay.completed_at + lease.retention());
        // `as_of` is the server's time of this call. The test may have been suspended since the completion.
        let record = store.get(&key(&name)).await.unwrap().unwrap();
        let (at, now) = (replay.completed_at.as_micros(), record.as_of.as_micros());
        assert!(at <= now + 100_000 && now <= at + 10_000_000, "{at} at {now}");
    }
}

#[tokio::test]
async fn a_waiter_is_notified_of_a_completion() {
    let (_server, store) = lone().await;
    let lease = acquire(&store, "order").await;
    assert!(!store.settled(lease.key(), Duration::from_millis(1)).await.unwrap());
    assert_eq!(complete(&store, &lease).await.unwrap(), Effect::Applied);
    assert!(store.settled(lease.key(), Duration::from_secs(20)).await.unwrap());
    let other = store.lock(lease.key(), &fingerprint(), &claim()).await.unwrap();
    assert!(matches!(other, LockAnswer::Completed(_)));
}
