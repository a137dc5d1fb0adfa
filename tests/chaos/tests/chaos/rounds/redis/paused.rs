//! Holders sleep past their lease and then continue as if they still held the key.

use idem_redis::Acks;
use idem_servers::redis::Cluster;

use super::load_on;
use crate::callers::worker::Round;
use crate::environment::redis::cluster::{options, turn};
use crate::judge::rules::{Reads, Report};
use crate::table::judged;

pub(crate) async fn round(cluster: &Cluster, seed: u64, acks: Option<Acks>) -> Report {
    let load = load_on(cluster, "paused", seed, acks, Round { sleepers: 60, ..Round::new() }).await;
    load.run(4_000).await;
    load.finish(Reads::AreFresh).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_that_sleeps_past_its_lease_is_refused_once_another_took_over() {
    let cluster = options(turn(0)).start().await;
    let (mut superseded, mut late) = (0, 0);
    // How often either happens depends on the machine. The round is repeated with other seeds until both were seen.
    for seed in 1..=6 {
        let report = round(&cluster, seed, None).await;
        judged("paused holders", &report);
        (superseded, late) = (superseded + report.superseded, late + report.late);
        if superseded > 0 && late > 0 {
            break;
        }
    }
    assert!(superseded > 0, "nobody took over from a sleeper");
    assert!(late > 0, "no sleeper completed a key that nobody took over");
}
