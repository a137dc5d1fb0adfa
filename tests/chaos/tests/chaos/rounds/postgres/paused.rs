//! Holders sleep past their lease and then continue as if they still held the key.

use idem_servers::postgres::Server;

use super::{load_of, rules};
use crate::environment::postgres::store::{options, turn};
use crate::judge::rules::Report;
use crate::rounds::paused::{run, until_both_were_seen, with_sleepers};

pub(crate) async fn round(server: &Server, seed: u64) -> Report {
    let load = load_of([server.addr(); 2], "paused", seed, with_sleepers()).await;
    run(&load).await;
    load.judged_by(&rules()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_that_sleeps_past_its_lease_is_refused_by_postgres_once_another_took_over() {
    let server = options(turn(1)).start().await;
    until_both_were_seen(async |seed| round(&server, seed).await).await;
}
