//! Holders sleep past their lease and then continue as if they still held the key.

use idem_servers::postgres::Server;

use super::{load_of, rules};
use crate::callers::worker::Round;
use crate::environment::postgres::store::{options, turn};
use crate::judge::rules::Report;
use crate::table::judged;

pub(crate) async fn round(server: &Server, seed: u64) -> Report {
    let load = load_of([server.addr(); 2], "paused", seed, Round { sleepers: 60, ..Round::new() }).await;
    load.run(4_000).await;
    load.judged_by(&rules()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_that_sleeps_past_its_lease_is_refused_by_postgres_once_another_took_over() {
    let server = options(turn(1)).start().await;
    let (mut superseded, mut late) = (0, 0);
    // How often either happens depends on the machine. The round is repeated with other seeds until both were seen.
    for seed in 1..=6 {
        let report = round(&server, seed).await;
        judged("paused holders", &report);
        (superseded, late) = (superseded + report.superseded, late + report.late);
        if superseded > 0 && late > 0 {
            break;
        }
    }
    assert!(superseded > 0, "nobody took over from a sleeper");
    assert!(late > 0, "no sleeper completed a key that nobody took over");
}
