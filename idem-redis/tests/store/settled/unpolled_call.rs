//! Calls that are started and then no longer polled, as by a `select!` that goes on with another branch.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use idem_core::Store;
use idem_redis::RedisStore;
use idem_servers::redis::Pair;
use tokio::time::{sleep, timeout};

use crate::proxy::{Act, Proxy};
use crate::support::{claim, config, fingerprint, key, lock};

/// The first call makes the connection that waits for replicas, which all calls share.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_write_that_is_no_longer_polled_blocks_no_other_write() {
    let pair = Pair::start(1).await;
    let second = Arc::new(AtomicBool::new(false));
    let proxy = Proxy::start(pair.master(), {
        let second = Arc::clone(&second);
        move |number, _| {
            second.fetch_or(number == 2, Ordering::Relaxed);
            Act::Pass
        }
    })
    .await;
    let mut config = config(&proxy.node());
    config.check_interval = Duration::from_hours(1);
    let store = RedisStore::open(config).await.unwrap();
    let (key, fingerprint, mine) = (key("left lying"), fingerprint(), claim());
    let mut left = std::pin::pin!(store.lock(&key, &fingerprint, &mine));
    while !second.load(Ordering::Relaxed) {
        let is_pending = poll_fn(|context| Poll::Ready(left.as_mut().poll(context).is_pending())).await;
        assert!(is_pending);
        sleep(Duration::from_millis(1)).await;
    }
    // Ten times `call_timeout`.
    let other = timeout(Duration::from_secs(20), lock(&store, "other")).await;
    assert!(matches!(other, Ok(Ok(_))), "{other:?}");
    assert!(left.await.is_ok());
}
