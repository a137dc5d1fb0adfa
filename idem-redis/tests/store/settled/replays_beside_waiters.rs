//! Replays beside a waiter. A server bounds what it buffers for a connection that subscribes, so notifications have a
//! connection of their own, and replays of any size go by another.

use std::time::Duration;

use bytes::Bytes;
use idem_core::{Effect, LockAnswer, Outcome, Store};
use tokio::task::JoinSet;

use crate::support::{acquire, key, lock, lone};

/// The server's default is `client-output-buffer-limit pubsub 32mb 8mb 60`; connections that do not subscribe have no limit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_outcomes_replay_concurrently_while_a_key_is_waited_for() {
    let (server, store) = lone().await;
    let large = Outcome::Value(Bytes::from(vec![7; 1 << 20]));
    let lease = acquire(&store, "large").await;
    assert_eq!(store.complete(&lease, large, lease.retention()).await.unwrap(), Effect::Applied);
    let held = acquire(&store, "held").await;
    for waited_for in [false, true] {
        let waiting = waited_for.then(|| {
            let (store, key) = (store.clone(), *held.key());
            tokio::spawn(async move { store.settled(&key, Duration::from_mins(1)).await })
        });
        let channel = store.redis_key(held.key());
        while waited_for && server.run(&["PUBSUB", "SHARDNUMSUB", &channel]).await.elements()[1].text() != "1"
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let mut callers = JoinSet::new();
        for _ in 0..100 {
            let store = store.clone();
            callers.spawn(async move { lock(&store, "large").await });
        }
        let answers = callers.join_all().await;
        let replayed = answers.iter().filter(|answer| matches!(answer, Ok(LockAnswer::Completed(_)))).count();
        let failed = answers.iter().find_map(|answer| answer.as_ref().err());
        assert_eq!(replayed, 100, "waited for: {waited_for}: {failed:?}\n{}", server.log());
        if let Some(waiting) = waiting {
            waiting.abort();
        }
    }
    assert!(store.get(&key("large")).await.unwrap().is_some());
}
