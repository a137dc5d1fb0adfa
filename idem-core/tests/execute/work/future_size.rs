//! The size of the future of an execution.

use std::convert::Infallible;
use std::time::Duration;

use idem_core::{Lease, Outcome, StoreExt};

use crate::support::{Scripted, key, order, pend_once, policy};

/// Holds 4 KiB while it waits.
async fn large(_: Lease) -> Result<Outcome, Infallible> {
    let bytes = std::hint::black_box([7_u8; 4_096]);
    pend_once().await;
    Ok(Outcome::Value(std::hint::black_box(&bytes).to_vec().into()))
}

#[test]
fn future_of_an_execution_holds_the_work_once() {
    let (store, key, order, policy) = (Scripted::new(), key(), order(), policy());
    let with_retention = store.execute_with_retention(&key, &order, &policy, async |lease| {
        large(lease).await.map(|outcome| (outcome, Duration::from_mins(1)))
    });
    let outcome = store.execute_outcome(&key, &order, &policy, large);
    let (most, takes) = (size_of_val(&with_retention) + 1_024, size_of_val(&outcome));
    assert!(takes <= most, "{takes} bytes, and {most} with a retention of its own");
}
