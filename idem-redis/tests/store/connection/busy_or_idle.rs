//! Servers that run a long script, and servers that close idle connections.

use std::time::Duration;

use idem_core::{Effect, Store};
use idem_redis::RedisStore;
use idem_servers::redis::{Pair, Server};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::support::{acquire, complete, config, key, kind};

/// `SSUBSCRIBE` and all calls are refused with `BUSY`, but the fence behind a subscription is answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_stay_in_order_while_a_script_keeps_the_server_busy() {
    let server = Server::options().config("busy-reply-threshold 20").start().await;
    let mut patient = config(&server);
    patient.call_timeout = Duration::from_millis(300);
    patient.response_timeout = Duration::from_secs(10);
    let store = RedisStore::open(patient).await.unwrap();
    let mut leases = Vec::new();
    for number in 0..16 {
        leases.push(acquire(&store, &format!("order {number}")).await);
    }
    for _ in 0..5 {
        let node = server.node().clone();
        let looping = tokio::spawn(async move { node.command(&["EVAL", "while true do end", "0"]).await });
        sleep(Duration::from_millis(60)).await;
        let mut callers = JoinSet::new();
        for number in 0..16 {
            let store = store.clone();
            callers.spawn(async move {
                let key = key(&format!("order {number}"));
                let _ =
                    timeout(Duration::from_millis(number * 7), store.settled(&key, Duration::from_secs(1)))
                        .await;
                kind(store.get(&key).await)
            });
        }
        callers.join_all().await;
        server.run(&["SCRIPT", "KILL"]).await;
        let _ = looping.await;
        for lease in &leases {
            let record = store.get(lease.key()).await.unwrap().unwrap();
            assert_eq!(record.token, lease.token(), "the answer to another call");
        }
    }
}

/// The connection that waits for replicas is idle while nothing is written, and is closed. The one for calls stays open.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_ends_idle_connections_disturbs_no_call() {
    let pair = Pair::start(1).await;
    pair.master().run(&["CONFIG", "SET", "timeout", "1"]).await;
    let mut config = config(pair.master());
    config.check_interval = Duration::from_hours(1);
    let store = RedisStore::open(config).await.unwrap();
    for round in 0..2 {
        let lease = acquire(&store, &format!("order {round}")).await;
        for _ in 0..25 {
            assert!(store.get(lease.key()).await.unwrap().is_some());
            sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(complete(&store, &lease).await.unwrap(), Effect::Applied);
        sleep(Duration::from_millis(2_500)).await;
    }
}
