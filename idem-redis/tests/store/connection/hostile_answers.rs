//! Answers that no server has a reason to send.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use idem_redis::RedisStore;
use idem_servers::redis::Server;
use tokio::time::{Instant, sleep, timeout};

use crate::proxy::{Act, Proxy, has};
use crate::support::{config, lock};

/// A store to which the next `SET` of a record is answered by `first` and then, without end, by `again`.
async fn flooded(first: &'static [u8], again: Vec<u8>) -> (Server, Proxy, RedisStore, Arc<AtomicUsize>) {
    let server = Server::lone().await;
    let (armed, taken) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
    let proxy = Proxy::start(&server, {
        let taken = Arc::clone(&taken);
        move |_, request| {
            if has(request, "\r\nSET\r\n") && !has(request, "marker") && armed.swap(false, Ordering::Relaxed)
            {
                return Act::Say { first: first.to_vec(), again: again.clone(), taken: Arc::clone(&taken) };
            }
            Act::Pass
        }
    })
    .await;
    let mut config = config(&proxy.node());
    config.max_outcome = 1 << 20;
    (config.response_timeout, config.call_timeout) = (Duration::from_secs(4), Duration::from_secs(12));
    config.check_interval = Duration::from_hours(1);
    let store = RedisStore::open(config).await.unwrap();
    (server, proxy, store, taken)
}

/// Sixteen times the largest record.
const ENOUGH: usize = 16 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_far_larger_than_any_record_is_given_up_before_it_is_kept() {
    let (_server, _between, store, taken) = flooded(b"$536870912\r\n", vec![7; 65_536]).await;
    let _ = lock(&store, "order").await;
    let taken = taken.load(Ordering::Relaxed);
    assert!(taken < ENOUGH, "{taken} bytes were taken");
}

/// What has come of a list is gone through again with every piece that comes.
#[tokio::test]
async fn a_list_without_end_is_given_up_before_it_holds_up_the_runtime() {
    let (_server, _between, store, taken) = flooded(b"*268435456\r\n", b"_\r\n".repeat(20_000)).await;
    let longest = tokio::spawn(async {
        let mut longest = Duration::ZERO;
        let _ = timeout(Duration::from_secs(8), async {
            loop {
                let began = Instant::now();
                sleep(Duration::from_millis(1)).await;
                longest = longest.max(began.elapsed());
            }
        })
        .await;
        longest
    });
    let _ = lock(&store, "order").await;
    let (longest, taken) = (longest.await.unwrap(), taken.load(Ordering::Relaxed));
    assert!(taken < ENOUGH, "{taken} bytes were taken, and another task stood still for {longest:?}");
}
