//! The short way of a completion: a record that is as it was locked is replaced by one that is ready.

use std::time::Duration;

use bytes::Bytes;
use idem_core::{Effect, LockAnswer, Store};
use idem_servers::redis::Server;

use crate::support::{
    acquire, assert_replays, calls_of, claim, complete, fingerprint, key, lock, lone, value,
};

/// How often scripts have asked the server for its time, which the short way does not.
async fn long_ways(server: &Server) -> u64 {
    calls_of(server, "time").await
}

#[tokio::test]
async fn what_is_as_it_was_locked_is_completed_the_short_way_by_whoever_holds_it() {
    let server = Server::lone().await;
    // Nothing else asks for the time.
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

    let before = long_ways(&server).await;
    for lease in [&fresh, &renewed, &again] {
        assert_eq!(complete(&store, lease).await.unwrap(), Effect::Applied);
    }
    assert_eq!(long_ways(&server).await, before);

    assert_eq!(complete(&store, &saved).await.unwrap(), Effect::Applied);
    assert_eq!(store.complete(&brief, value(), Duration::from_millis(1)).await.unwrap(), Effect::Applied);
    assert_eq!(long_ways(&server).await, before + 2);
    for name in ["fresh", "renewed", "taken over", "with a checkpoint", "outlived by its lease"] {
        assert_replays(&store, name).await;
    }
    // Said once, it is not done twice.
    assert_eq!(complete(&store, &fresh).await.unwrap(), Effect::Applied);
}

#[tokio::test]
async fn its_times_are_those_of_the_server() {
    let (_server, store) = lone().await;
    for short in [true, false] {
        let name = format!("order {short}");
        let lease = acquire(&store, &name).await;
        if !short {
            let duration = Duration::from_mins(1);
            let _ = store.checkpoint(&lease, 1, Bytes::from_static(b"half"), duration).await.unwrap();
        }
        assert_eq!(complete(&store, &lease).await.unwrap(), Effect::Applied);
        let LockAnswer::Completed(replay) = lock(&store, &name).await.unwrap() else { panic!("{name}") };
        assert_eq!(replay.expires_at, replay.completed_at + lease.retention());
        // The server's time is asked for here. The test may be halted meanwhile.
        let record = store.get(&key(&name)).await.unwrap().unwrap();
        let (at, now) = (replay.completed_at.as_micros(), record.as_of.as_micros());
        assert!(at <= now + 100_000 && now <= at + 10_000_000, "{at} at {now}");
    }
}

#[tokio::test]
async fn somebody_who_waits_is_told_all_the_same() {
    let (_server, store) = lone().await;
    let lease = acquire(&store, "order").await;
    assert!(!store.settled(lease.key(), Duration::from_millis(1)).await.unwrap());
    assert_eq!(complete(&store, &lease).await.unwrap(), Effect::Applied);
    assert!(store.settled(lease.key(), Duration::from_secs(20)).await.unwrap());
    let other = store.lock(lease.key(), &fingerprint(), &claim()).await.unwrap();
    assert!(matches!(other, LockAnswer::Completed(_)));
}
