//! The disk runs full: first the table finds no room, then the server cannot write ahead and ends itself (PANIC), again and
//! again. Then there is room again.

use std::path::Path;
use std::time::Duration;

use idem_servers::postgres::{Server, ServerKind};
use tokio::time::sleep;

use super::{load, rules};
use crate::environment::postgres::small_disk::{Task, run, task};
use crate::environment::postgres::store::{options, turn};
use crate::judge::checker::check;
use crate::judge::history::write;
use crate::judge::rules::{Report, Rules};
use crate::table::judged;

/// What an empty server needs, and as much again.
const SIZE: &str = "192m";
/// How often the server is asked to write into a new file of its log, in which it must find no room.
const SWITCHES: usize = 4;
/// Looks, 50 ms apart, for a server that comes back by itself.
const COMEBACKS: usize = 50;

/// `test` names the calling test, which first calls [`inside`], in the process that has the small disk.
pub(crate) async fn round(test: &str, seed: u64) -> Report {
    check(&run(test, SIZE, seed).await, &Rules { disk_was_full: true, ..rules() })
}

/// Whether this process is the one with the small disk, which has then done its work.
pub(crate) async fn inside() -> bool {
    let Some(task) = task() else { return false };
    work(&task).await;
    true
}

async fn work(task: &Task) {
    let kind: ServerKind = turn(task.seed);
    let server = options(kind).config("max_wal_size = 32MB").config("min_wal_size = 32MB").start().await;
    let mut load = load([server.addr(); 2], "full disk", task.seed).await;
    load.run(700).await;
    let ballast = task.folder.join("ballast");
    fill(&ballast);
    load.run(1_200).await;
    let mut panicked = false;
    for _ in 0..SWITCHES {
        // What little others have freed.
        fill(&ballast);
        panicked |= server.try_sql("SELECT pg_switch_wal()").await.is_err();
        load.run(300).await;
    }
    load.run(700).await;
    let full = load.history().refused_as_full();
    std::fs::remove_file(&ballast).unwrap();
    let by_itself = comes_back(&server).await;
    if !by_itself {
        // As whoever runs it would.
        server.restart().await;
    }
    load.answered().await;
    load.run(500).await;
    load.end().await;
    println!(
        "disk full: {full} calls refused, the server ended itself: {panicked}, and came back by itself: {by_itself}"
    );
    assert!(full > 0, "no call was refused");
    assert!(panicked, "the server could still write ahead\n{}", server.log());
    write(&load.history().take(), std::fs::File::create(&task.history).unwrap());
}

/// Takes what room there is.
fn fill(file: &Path) {
    use std::io::Write as _;
    let mut file = std::fs::File::options().create(true).append(true).open(file).unwrap();
    for size in [1 << 20, 4 << 10] {
        while file.write_all(&vec![1; size]).is_ok() {}
    }
}

async fn comes_back(server: &Server) -> bool {
    for _ in 0..COMEBACKS {
        if server.try_sql("SELECT 1").await.is_ok() {
            return true;
        }
        sleep(Duration::from_millis(50)).await;
    }
    false
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_on_a_disk_that_runs_full() {
    const TEST: &str = "rounds::postgres::full_disk::nothing_is_lost_on_a_disk_that_runs_full";
    if inside().await {
        return;
    }
    judged("full disk", &round(TEST, 1).await);
}
