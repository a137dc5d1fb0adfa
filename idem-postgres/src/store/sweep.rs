//! Removing expired records in the background.

use std::sync::Weak;
use std::time::Duration;

use super::remover::Remover;

/// Records removed by one statement: it holds locks on all of them until its commit.
const BUDGET: usize = 1_000;

/// Sweeps until the store is dropped.
pub(super) async fn run(store: Weak<Remover>, interval: Duration) {
    loop {
        tokio::time::sleep(interval).await;
        loop {
            let Some(store) = store.upgrade() else { return };
            match store.remove_expired("sweep", BUDGET).await {
                Ok(expired) if expired.more => {}
                Ok(_) => break,
                Err(error) => {
                    tracing::warn!(%error, "expired records could not be removed");
                    break;
                }
            }
        }
    }
}
