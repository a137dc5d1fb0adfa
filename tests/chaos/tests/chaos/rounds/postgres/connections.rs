//! An administrator ends the store's connections (`pg_terminate_backend`) and cancels its statements
//! (`pg_cancel_backend`), again and again.

use idem_servers::postgres::Server;

use super::{load, rules};
use crate::environment::postgres::connect::{OF_THE_STORE, connect, number};
use crate::environment::postgres::store::{options, turn};
use crate::judge::rules::Report;
use crate::rng::Rng;
use crate::table::judged;

const TIMES: usize = 40;

pub(crate) async fn round(server: &Server, seed: u64) -> Report {
    let mut load = load([server.addr(); 2], "connections", seed).await;
    let (admin, mut rng) = (connect(server.addr()).await, Rng::new(seed));
    let (mut ended, mut cancelled) = (0, 0);
    load.run(500).await;
    for _ in 0..TIMES {
        let (how, count) = if rng.percent(40) {
            ("pg_terminate_backend", &mut ended)
        } else {
            ("pg_cancel_backend", &mut cancelled)
        };
        // Those that are idle have nothing to cancel.
        let state = if how == "pg_cancel_backend" { "AND state = 'active'" } else { "AND random() < 0.6" };
        *count += number(
            &admin,
            &format!(
                "SELECT count(*) FILTER (WHERE {how}(pid)) FROM pg_stat_activity WHERE {OF_THE_STORE} {state}"
            ),
        )
        .await;
        load.run(rng.below(100)).await;
    }
    load.answered().await;
    println!("{ended} connections ended, {cancelled} statements cancelled");
    assert!(ended > 0 && cancelled > 0);
    load.judged_by(&rules()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_with_connections_that_are_ended_and_statements_that_are_cancelled() {
    let server = options(turn(0)).start().await;
    judged("ended connections", &round(&server, 1).await);
}
