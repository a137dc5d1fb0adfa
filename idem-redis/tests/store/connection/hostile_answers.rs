//! Answers that no server has a reason to send.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use idem_redis::RedisStore;
use idem_servers::redis::Server;
use tokio::time::{Instant, sleep, timeout};

use crate::proxy::{Act, Proxy, has};
use crate::support::{config, lock};

/// A store that gets `first` and then, without end, `again` as the answer to the first `SET` of a record.
async fn flooded(first: &'static [u8], again: Vec<u8>) -> (Server, Proxy, RedisStore, Arc<AtomicUsize>) {
    let server = Server::lone().await;
    let (armed, taken) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
    let proxy = Proxy::start(&server, {
        let taken = Arc::clone(&taken);
        move |_, request| {
            if has(request, "\r\nSET\r\n") && !has(request, "marker") && armed.swap(false, Ordering::Relaxed)
            {
                return Act::AnswerEndlessly {
                    first: first.to_vec(),
                    again: again.clone(),
                    taken: Arc::clone(&taken),
                };
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
async fn an_oversized_answer_ends_the_connection_before_it_is_buffered() {
    let (_server, _proxy, store, taken) = flooded(b"$536870912\r\n", vec![7; 65_536]).await;
    let _ = lock(&store, "order").await;
    let taken = taken.load(Ordering::Relaxed);
    assert!(taken < ENOUGH, "{taken} bytes were taken");
}

/// A decoder that starts over with every piece that arrives would block the runtime.
#[tokio::test]
async fn an_endless_list_ends_the_connection_before_it_blocks_the_runtime() {
    let (_server, _proxy, store, taken) = flooded(b"*268435456\r\n", b"_\r\n".repeat(20_000)).await;
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
