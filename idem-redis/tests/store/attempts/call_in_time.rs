//! No call takes longer than `call_timeout`, not even one that first makes the connection that waits for replicas.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use idem_redis::RedisStore;
use idem_servers::redis::Pair;
use tokio::time::{Instant, timeout};

use crate::proxy::{Act, Proxy, has};
use crate::support::{config, lock};

/// Every step is within its own limit, but all steps together exceed that of the call.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_ends_in_time_although_every_step_of_waiting_for_replicas_is_slow() {
    let pair = Pair::start(1).await;
    let slow = Arc::new(AtomicBool::new(false));
    let proxy = Proxy::start(pair.master(), {
        let slow = Arc::clone(&slow);
        move |_, request| {
            let is_slow = slow.load(Ordering::Relaxed) && !has(request, "\r\nSET\r\n");
            if is_slow { Act::Late(Duration::from_millis(1_600)) } else { Act::Pass }
        }
    })
    .await;
    let mut config = config(&proxy.node());
    (config.connect_timeout, config.response_timeout) = (Duration::from_secs(2), Duration::from_secs(2));
    // More than twice `response_timeout`, as with the defaults.
    config.call_timeout = Duration::from_millis(4_500);
    config.ack_timeout = Duration::from_millis(500);
    config.check_interval = Duration::from_hours(1);
    let store = RedisStore::open(config).await.unwrap();
    slow.store(true, Ordering::Relaxed);
    let began = Instant::now();
    let ended = timeout(Duration::from_secs(6), lock(&store, "order")).await;
    assert!(ended.is_ok(), "not ended after {:?}, with a limit of 4.5 s", began.elapsed());
}
