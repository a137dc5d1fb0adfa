//! Removing expired records in the background.

use std::sync::Weak;
use std::time::Duration;

use super::operator_calls::OperatorCalls;

/// Records removed by one statement at most: it holds locks on all of them until its commit.
const BUDGET: usize = 1_000;

/// Sweeps until the store is dropped.
pub(super) async fn run(store: Weak<OperatorCalls>, interval: Duration) {
    let mut budget = BUDGET;
    loop {
        tokio::time::sleep(interval).await;
        loop {
            let Some(store) = store.upgrade() else { return };
            match store.remove_expired("sweep", budget).await {
                Ok(expired) => {
                    budget = BUDGET.min(budget * 2);
                    if !expired.more {
                        break;
                    }
                }
                Err(error) => {
                    // Perhaps it took too long: a thousand records of a megabyte are more than a thousand small ones.
                    budget = (budget / 2).max(1);
                    tracing::warn!(%error, "expired records could not be removed");
                    break;
                }
            }
        }
    }
}
