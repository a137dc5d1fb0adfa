//! What is left of a released or removed key: its token, for ten seconds, so that sequences go on rising.

use idem_core::{Effect, Lease, LostReason, Store};
use idem_redis::RedisStore;

use crate::support::{acquire, complete, config, lone};

/// Sets the sequence of the token an hour ahead of all clocks.
async fn put_ahead(server: &idem_servers::redis::Node, name: &str, lease: &Lease) -> u64 {
    let ahead = lease.token().sequence + 3_600_000_000;
    server.run(&[b"SETRANGE".as_slice(), name.as_bytes(), b"6", &ahead.to_be_bytes()]).await;
    ahead
}

#[tokio::test]
async fn sequences_rise_across_release_and_removal_however_the_clocks_of_callers_differ() {
    let (server, store) = lone().await;
    let other = RedisStore::open(config(&server)).await.unwrap();
    let lease = acquire(&store, "order").await;
    let name = store.redis_key(lease.key());
    assert_eq!(store.release(&lease).await.unwrap(), Effect::Applied);
    let ahead = put_ahead(&server, &name, &lease).await;

    let second = acquire(&other, "order").await;
    assert!(second.token().sequence > ahead && second.attempt() == 1, "{second:?}");
    assert!(other.remove(second.key(), true).await.unwrap());
    let third = acquire(&store, "order").await;
    assert!(third.token().sequence > second.token().sequence, "{third:?}");
    assert_eq!(complete(&store, &third).await.unwrap(), Effect::Applied);
    assert!(other.remove(third.key(), false).await.unwrap());
    let fourth = acquire(&other, "order").await;
    assert!(fourth.token().sequence > third.token().sequence, "{fourth:?}");
    assert_eq!(other.release(&fourth).await.unwrap(), Effect::Applied);
}

#[tokio::test]
async fn a_released_key_is_as_if_never_locked() {
    let (server, store) = lone().await;
    let lease = acquire(&store, "order").await;
    assert_eq!(store.release(&lease).await.unwrap(), Effect::Applied);
    let gone = Effect::Lost(LostReason::Gone);
    assert_eq!(store.get(lease.key()).await.unwrap(), None);
    assert!(store.settled(lease.key(), std::time::Duration::from_secs(20)).await.unwrap());
    assert!(!store.remove(lease.key(), true).await.unwrap());
    assert_eq!(store.release(&lease).await.unwrap(), gone);
    assert_eq!(complete(&store, &lease).await.unwrap(), gone);
    assert_eq!(store.renew(&lease, lease.retention()).await.unwrap(), gone);
    // Another request may use the key.
    let another = idem_core::Fingerprint::builder("test").part("another request").finish();
    let locked = store.lock(lease.key(), &another, &crate::support::claim()).await.unwrap();
    assert!(matches!(locked, idem_core::LockAnswer::Acquired(_)), "{locked:?}");

    let lease = acquire(&store, "other order").await;
    assert_eq!(store.release(&lease).await.unwrap(), Effect::Applied);
    let left = server.run(&["PTTL", &store.redis_key(lease.key())]).await.text();
    assert!((1..=10_000).contains(&left.parse::<i64>().unwrap()), "{left} ms");
}

/// A store's estimate of the server's time may be wrong by that much.
#[tokio::test]
async fn a_released_key_is_remembered_for_as_long_as_an_answer_may_take() {
    let server = idem_servers::redis::Server::lone().await;
    let mut config = config(&server);
    config.response_timeout = std::time::Duration::from_secs(20);
    let store = RedisStore::open(config).await.unwrap();
    let lease = acquire(&store, "order").await;
    assert_eq!(store.release(&lease).await.unwrap(), Effect::Applied);
    let left = server.run(&["PTTL", &store.redis_key(lease.key())]).await.text();
    assert!((10_001..=20_000).contains(&left.parse::<i64>().unwrap()), "{left} ms");
}
