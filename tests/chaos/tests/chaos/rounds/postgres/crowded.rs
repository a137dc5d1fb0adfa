//! Others take all connections that the server allows, then free them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use idem_servers::postgres::{Server, ServerKind};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::{load, rules};
use crate::environment::postgres::connect::{OF_THE_STORE, connect, number, try_connect};
use crate::environment::postgres::store::{options, turn};
use crate::judge::rules::Report;
use crate::table::judged;

const MOST: usize = 20;
/// Longer than a call of the store may take.
const CROWDED: u64 = 2_500;

/// On a server that allows few connections.
pub(crate) async fn start(kind: ServerKind) -> Server {
    options(kind).config(format!("max_connections = {MOST}")).start().await
}

pub(crate) async fn round(server: &Server, seed: u64) -> Report {
    let mut load = load([server.addr(); 2], "crowded", seed).await;
    let admin = connect(server.addr()).await;
    load.run(500).await;
    let crowd = Crowd::begin(server.addr());
    shut_out(&admin).await;
    load.run(CROWDED).await;
    let refused = crowd.end().await;
    load.answered().await;
    load.run(500).await;
    let report = load.judged_by(&rules()).await;
    println!("{refused} of the crowd were refused themselves");
    assert!(refused > 0 && report.is_outlasted());
    report
}

/// Ends the store's connections until others have taken the place of all of them.
async fn shut_out(admin: &Client) {
    let end = format!("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE {OF_THE_STORE}");
    let all = async {
        let mut free_of_it = 0;
        while free_of_it < 5 {
            free_of_it = if number(admin, &end).await == 0 { free_of_it + 1 } else { 0 };
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(30), all).await.unwrap();
}

/// Takes each connection that becomes free, and keeps it.
struct Crowd {
    tasks: Vec<JoinHandle<()>>,
    refused: Arc<AtomicU64>,
}

impl Crowd {
    fn begin(server: SocketAddr) -> Self {
        let refused = Arc::new(AtomicU64::new(0));
        let tasks = (0..4).map(|_| tokio::spawn(take(server, Arc::clone(&refused)))).collect();
        Self { tasks, refused }
    }

    /// Frees the connections, and tells how often there was none.
    async fn end(self) -> u64 {
        let mut ends = JoinSet::new();
        for task in self.tasks {
            task.abort();
            ends.spawn(task);
        }
        while ends.join_next().await.is_some() {}
        self.refused.load(Ordering::Relaxed)
    }
}

async fn take(server: SocketAddr, refused: Arc<AtomicU64>) {
    let mut taken = Vec::new();
    loop {
        match try_connect(server).await {
            Ok(client) => taken.push(client),
            Err(error) => {
                assert_eq!(error.code(), Some(&SqlState::TOO_MANY_CONNECTIONS), "{error:?}");
                refused.fetch_add(1, Ordering::Relaxed);
                sleep(Duration::from_millis(5)).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_when_others_take_all_connections() {
    let server = start(turn(1)).await;
    judged("no connection left", &round(&server, 1).await);
}
