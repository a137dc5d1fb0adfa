//! Records that expire while their replicas are waited for.

use std::time::Duration;

use idem_core::{Claim, Store};
use idem_redis::RedisStore;
use idem_servers::redis::Pair;
use tokio::task::JoinSet;

use crate::support::{claim, config, fingerprint, key};

/// The replica holds every write; a key that expires in the same millisecond must not fail the other calls of its batch.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn locks_are_acknowledged_while_other_keys_of_their_batch_expire() {
    let pair = Pair::start(1).await;
    let mut patient = config(pair.master());
    // Generous limits, so that no failure comes from slowness.
    (patient.call_timeout, patient.response_timeout) = (Duration::from_mins(1), Duration::from_secs(20));
    patient.ack_timeout = Duration::from_secs(10);
    let store = RedisStore::open(patient).await.unwrap();
    let mut callers = JoinSet::new();
    for caller in 0..64 {
        let store = store.clone();
        callers.spawn(async move {
            let mut failed = Vec::new();
            for turn in 0..1_000 {
                let short = Duration::from_millis(1 + turn % 5);
                let brief = Claim { lease: short, retention: short, ..claim() };
                let mine = if caller % 8 != 0 { brief } else { claim() };
                let answer = store.lock(&key(&format!("{caller}-{turn}")), &fingerprint(), &mine).await;
                if let Err(error) = answer {
                    failed.push((caller % 8 != 0, error.to_string()));
                }
            }
            failed
        });
    }
    let failed: Vec<_> = callers.join_all().await.into_iter().flatten().collect();
    let lasting = failed.iter().filter(|(is_brief, _)| !is_brief).count();
    assert!(failed.is_empty(), "{} failed, {lasting} of them of lasting keys: {:?}", failed.len(), failed[0]);
}
