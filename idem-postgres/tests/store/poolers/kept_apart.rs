//! Nothing is left in a session that another client gets next.

use std::time::Duration;

use idem_core::Store as _;
use tokio::time::sleep;

use super::Pooled;
use crate::support::{RETENTION, claim, key, lock, open, value};

#[tokio::test]
async fn who_waits_behind_a_pooler_leaves_nobody_listening() {
    let pooled = Pooled::start().await;
    let (here, there) = (open(&pooled.config).await, open(&pooled.config).await);
    for round in 0..3 {
        let key = key(format!("order-{round}"));
        let lease = lock(&there, &key, &claim()).await;
        let waiting = tokio::spawn({
            let here = here.clone();
            async move { here.settled(&key, Duration::from_mins(1)).await }
        });
        // It has looked by then, and must wait.
        sleep(Duration::from_millis(300)).await;
        assert!(!waiting.is_finished());
        let _effect = there.complete(&lease, value("done"), RETENTION).await.unwrap();
        assert!(waiting.await.unwrap().unwrap());
    }
    assert!(!here.capabilities().notifies);
    assert_eq!(pooled.count_in_sessions("pg_listening_channels()").await, 0);
}
