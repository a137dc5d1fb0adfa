//! Nothing is left in a session that another client gets next.

use std::time::Duration;

use idem_core::Store as _;

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
        // Long enough for the one who waits to look, and to find that it must wait.
        while here.get(&key).await.unwrap().is_some() && !waited(&pooled, &key).await {
            tokio::task::yield_now().await;
        }
        assert!(!waiting.is_finished());
        let _effect = there.complete(&lease, value("done"), RETENTION).await.unwrap();
        assert!(waiting.await.unwrap().unwrap());
    }
    assert_eq!(pooled.count_in_sessions("pg_listening_channels()").await, 0);
}

/// Whether the one who waits has said so.
async fn waited(pooled: &Pooled, key: &idem_core::Key) -> bool {
    let key: String = key.storage_key().iter().map(|byte| format!("{byte:02x}")).collect();
    let schema = &pooled.config.schema;
    pooled.server.sql(&format!("SELECT waited FROM {schema}.records WHERE key = '\\x{key}'")).await == "t"
}
