//! Waiters that come and go.

use std::time::Duration;

use idem_core::Store;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::support::{acquire, key, lone};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn waiters_that_come_and_go_at_the_same_time_leave_no_subscription_behind() {
    let (server, store) = lone().await;
    for number in 0..4 {
        acquire(&store, &format!("order {number}")).await;
    }
    let mut waiters = JoinSet::new();
    for number in 0..32_u64 {
        let store = store.clone();
        waiters.spawn(async move {
            for turn in 0..100 {
                let limit = Duration::from_micros((number * 37 + turn * 91) % 1_500);
                let key = key(&format!("order {}", number % 4));
                let _ = tokio::time::timeout(limit, store.settled(&key, limit)).await;
            }
        });
    }
    waiters.join_all().await;
    let mut left = String::new();
    for _ in 0..100 {
        left = format!("{:?}", server.run(&["PUBSUB", "SHARDCHANNELS"]).await.elements());
        if left == "[]" {
            return;
        }
        sleep(Duration::from_millis(50)).await;
    }
    panic!("{left}");
}
