//! The server is killed with all of its processes (SIGKILL) and started again.

use idem_servers::postgres::{Server, ServerKind};

use super::{load, rules};
use crate::environment::postgres::store::{options, turn};
use crate::judge::rules::Report;
use crate::rng::Rng;
use crate::table::{judged, losses};

const KILLS: usize = 2;

pub(crate) async fn round(server: &Server, seed: u64) -> Report {
    let mut load = load([server.addr(); 2], "kill", seed).await;
    let mut rng = Rng::new(seed);
    // A server that acknowledges too early must not lose the store's table.
    server.sql("CHECKPOINT").await;
    for _ in 0..KILLS {
        load.run(400 + rng.below(600)).await;
        let begun = server.sql("SELECT pg_postmaster_start_time()").await;
        server.kill();
        // Sometimes at once, sometimes after calls have failed.
        load.run(rng.below(2_500)).await;
        server.restart().await;
        load.answered().await;
        assert_ne!(server.sql("SELECT pg_postmaster_start_time()").await, begun);
    }
    load.run(500).await;
    load.judged_by(&rules()).await
}

/// A server that acknowledges what is not on disk yet.
pub(crate) async fn careless(kind: ServerKind) -> Server {
    options(kind).config("synchronous_commit = off").config("wal_writer_delay = 10s").start().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_when_the_server_is_killed() {
    let server = options(turn(0)).start().await;
    judged("kill", &round(&server, 1).await);
}

/// Shows that the round can fail.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_synchronous_commits_a_killed_server_takes_completions_with_it() {
    let server = careless(turn(1)).await;
    losses("kill, synchronous_commit = off", async |seed| round(&server, seed).await).await;
}
