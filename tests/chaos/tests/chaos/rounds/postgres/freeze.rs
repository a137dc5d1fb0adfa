//! The server hangs with all of its processes, then goes on as if nothing had happened (SIGSTOP, SIGCONT).

use idem_servers::postgres::Server;

use super::{load, rules};
use crate::callers::load::FIRST_PROBE;
use crate::environment::postgres::store::{options, turn};
use crate::judge::gap::longest_gap;
use crate::judge::history::now;
use crate::judge::rules::Report;
use crate::rng::Rng;
use crate::table::judged;

/// In milliseconds. Shorter than anybody waits; longer than a connection is waited for, and than the shortest lease; longer
/// than a call may take, and than all leases but the longest.
const PAUSES: [u64; 3] = [300, 1_200, 3_000];
/// The pause that no call outlasts.
const LONGEST: u64 = PAUSES[2];

pub(crate) async fn round(server: &Server, seed: u64) -> Report {
    let mut load = load([server.addr(); 2], "freeze", seed).await;
    let mut rng = Rng::new(seed);
    let mut pauses = PAUSES;
    pauses.rotate_left(usize::try_from(rng.below(3)).unwrap());
    for pause in pauses {
        load.run(400 + rng.below(400)).await;
        let begin = now();
        server.stop();
        load.run(pause).await;
        let end = now();
        server.cont();
        let silent = longest_gap(&load.history().copied(), 0..FIRST_PROBE, begin, end);
        assert!(silent > pause * 1_000 / 2, "a server that was to hang for {pause} ms answered");
        load.answered().await;
    }
    load.run(400).await;
    let report = load.judged_by(&rules()).await;
    assert!(report.is_outlasted(), "every call outlasted a server that hung for {LONGEST} ms");
    report
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_with_a_server_that_hangs_and_goes_on() {
    let server = options(turn(1)).start().await;
    judged("freeze", &round(&server, 1).await);
}
