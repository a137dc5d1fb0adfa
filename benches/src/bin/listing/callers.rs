//! Callers beside what is measured.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use idem_benches::{Fresh, Result};
use idem_core::{Claim, Fingerprint, LockAnswer, Outcome, Owner, Store};
use tokio::task::JoinSet;
use tokio::time::Instant;

const CALLERS: usize = 32;
/// Pauses between two cycles, so that the store is busy and not saturated.
const PAUSE: Duration = Duration::from_millis(10);

/// How long calls took.
pub(crate) struct Latency {
    median: Duration,
    p99: Duration,
    calls: usize,
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "median {:?}, p99 {:?} of {} calls", self.median, self.p99, self.calls)
    }
}

/// Runs callers for as long as `other` takes.
pub(crate) async fn while_it_runs<T>(
    store: &Arc<dyn Store>,
    other: impl Future<Output = T>,
) -> Result<(T, Latency)> {
    let stop = Arc::new(AtomicBool::new(false));
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        callers.spawn(call(Arc::clone(store), Arc::clone(&stop)));
    }
    let answer = other.await;
    stop.store(true, Ordering::Relaxed);
    let mut took = Vec::new();
    for caller in callers.join_all().await {
        took.extend(caller?);
    }
    took.sort_unstable();
    let at = |percent: usize| took.get(took.len() * percent / 100).copied().unwrap_or_default();
    let latency = Latency { median: at(50), p99: at(99), calls: took.len() };
    Ok((answer, latency))
}

async fn call(store: Arc<dyn Store>, stop: Arc<AtomicBool>) -> Result<Vec<Duration>> {
    let (mut fresh, mut took) = (Fresh::new(), Vec::new());
    while !stop.load(Ordering::Relaxed) {
        let (lease, retention) = (Duration::from_secs(30), Duration::from_mins(10));
        let claim = Claim { owner: Owner::random()?, lease, retention };
        let asked = Instant::now();
        let LockAnswer::Acquired(lease) =
            store.lock(&fresh.key(), &Fingerprint::from_bytes([7; 32]), &claim).await?
        else {
            return Err("a fresh key was not acquired".into());
        };
        took.push(asked.elapsed());
        let asked = Instant::now();
        let _effect = store.complete(&lease, Outcome::Value(vec![1; 200].into()), retention).await?;
        took.push(asked.elapsed());
        tokio::time::sleep(PAUSE).await;
    }
    Ok(took)
}
