//! Keys that hold something that idem did not write: every call reports it, and leaves it as it is.

use std::time::Duration;

use bytes::Bytes;
use idem_core::{ErrorKind, Lease, Store};
use idem_redis::RedisStore;
use idem_servers::redis::{Reply, Server};

use crate::support::{acquire, complete, kind, lock, lone, value};

#[tokio::test]
async fn a_key_of_another_type_is_corrupt_to_every_call_and_left_as_it_is() {
    let (server, store) = lone().await;
    let lease = acquire(&store, "order").await;
    let name = store.redis_key(lease.key());
    server.run(&["DEL", &name]).await;
    server.run(&["RPUSH", &name, "a", "list"]).await;
    assert_corrupt(&store, &lease, ErrorKind::Corrupt).await;
    assert_eq!(server.run(&["LRANGE", &name, "0", "-1"]).await.elements().len(), 2);
    assert!(store.remove(lease.key(), true).await.unwrap());
    acquire(&store, "order").await;
}

#[tokio::test]
async fn garbage_is_corrupt_to_every_call_and_left_as_it_is() {
    let (server, store) = lone().await;
    let lease = acquire(&store, "order").await;
    let name = store.redis_key(lease.key());
    let record = read(&server, &name).await;
    let mut shapes: Vec<(Vec<u8>, ErrorKind)> =
        vec![
        (Vec::new(), ErrorKind::Corrupt),
        (b"x".to_vec(), ErrorKind::Incompatible),
        (vec![1], ErrorKind::Corrupt),
        (b"some other program's value, long enough to be taken for a record at the first glance, but not \
           one at all".to_vec(), ErrorKind::Incompatible),
        (record[..80].to_vec(), ErrorKind::Corrupt),
    ];
    let mut newer = record.clone();
    newer[0] = 2;
    shapes.push((newer, ErrorKind::Incompatible));
    let mut no_state = record.clone();
    no_state[1] = 9;
    shapes.push((no_state, ErrorKind::Corrupt));
    for (shape, expected) in shapes {
        server.run(&[b"SET".as_slice(), name.as_bytes(), &shape, b"PX", b"100000"]).await;
        assert_corrupt(&store, &lease, expected).await;
        assert_eq!(read(&server, &name).await, shape);
    }
    assert!(store.remove(lease.key(), true).await.unwrap());
    acquire(&store, "order").await;
}

#[tokio::test]
async fn a_record_that_never_expires_is_corrupt() {
    let (server, store) = lone().await;
    let lease = acquire(&store, "order").await;
    server.run(&["PERSIST", &store.redis_key(lease.key())]).await;
    assert_eq!(kind(store.get(lease.key()).await), ErrorKind::Corrupt);
    assert_eq!(kind(store.renew(&lease, Duration::from_secs(30)).await), ErrorKind::Corrupt);
}

#[tokio::test]
async fn an_altered_outcome_is_corrupt_to_its_retries() {
    let (server, store) = lone().await;
    let lease = acquire(&store, "order").await;
    let _ = complete(&store, &lease).await.unwrap();
    let name = store.redis_key(lease.key());
    let sound = read(&server, &name).await;
    for at in 54..sound.len() {
        let mut altered = sound.clone();
        altered[at] ^= 1;
        server.run(&[b"SET".as_slice(), name.as_bytes(), &altered, b"KEEPTTL"]).await;
        assert_eq!(kind(lock(&store, "order").await), ErrorKind::Corrupt, "byte {at}");
        assert_eq!(kind(store.get(lease.key()).await), ErrorKind::Corrupt, "byte {at}");
    }
}

async fn assert_corrupt(store: &RedisStore, lease: &Lease, expected: ErrorKind) {
    let (key, duration) = (lease.key(), Duration::from_secs(30));
    assert_eq!(kind(lock(store, "order").await), expected, "lock");
    assert_eq!(kind(store.get(key).await), expected, "get");
    assert_eq!(kind(store.renew(lease, duration).await), expected, "renew");
    let progress = Bytes::from_static(b"charged");
    assert_eq!(kind(store.checkpoint(lease, 1, progress, duration).await), expected, "checkpoint");
    assert_eq!(kind(store.complete(lease, value(), lease.retention()).await), expected, "complete");
    assert_eq!(kind(store.release(lease).await), expected, "release");
    assert_eq!(kind(store.settled(key, Duration::from_millis(10)).await), expected, "settled");
    assert_eq!(kind(store.remove(key, false).await), expected, "remove");
}

async fn read(server: &Server, name: &str) -> Vec<u8> {
    match server.run(&["GET", name]).await {
        Reply::Bulk(bytes) => bytes,
        other => panic!("{other:?}"),
    }
}
