//! Servers end when they are dropped, by a panic, and with the process that started them.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use idem_servers::postgres::Server;
use tokio::sync::oneshot;

/// The role of this process when a test started it.
const ROLE: &str = "IDEM_POSTGRES_ROLE";

#[tokio::test]
async fn a_server_ends_when_it_is_dropped() {
    let server = Server::lone().await;
    let traces = traces(&server);
    assert!(traces.iter().all(|trace| trace.exists()));
    drop(server);
    assert!(!traces.iter().any(|trace| trace.exists()));
}

#[tokio::test]
async fn a_frozen_server_ends_when_it_is_dropped() {
    let server = Server::lone().await;
    let traces = traces(&server);
    server.stop();
    drop(server);
    assert!(!traces.iter().any(|trace| trace.exists()));
}

#[tokio::test]
async fn a_server_ends_by_a_panic() {
    let (tell, told) = oneshot::channel();
    let test = tokio::spawn(async {
        let server = Server::lone().await;
        tell.send(traces(&server)).unwrap();
        panic!("on purpose");
    });
    assert!(test.await.unwrap_err().is_panic());
    assert!(!told.await.unwrap().iter().any(|trace| trace.exists()));
}

#[tokio::test]
async fn a_server_ends_when_its_process_is_killed() {
    if std::env::var(ROLE).is_ok() {
        let server = Server::lone().await;
        for trace in traces(&server) {
            println!("{}", trace.display());
        }
        println!("end");
        return std::future::pending().await;
    }
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["ending::a_server_ends_when_its_process_is_killed", "--exact", "--nocapture"])
        .env(ROLE, "owner")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let traces: Vec<_> =
        lines.take_while(|line| line != "end").filter(|line| line.starts_with('/')).collect();
    assert!(traces.len() == 2 && traces.iter().all(|trace| Path::new(trace).exists()), "{traces:?}");
    child.kill().unwrap();
    child.wait().unwrap();
    for trace in traces {
        vanished(Path::new(&trace)).await;
    }
}

fn traces(server: &Server) -> [PathBuf; 2] {
    [format!("/proc/{}", server.pid().unwrap()).into(), server.folder().to_owned()]
}

async fn vanished(trace: &Path) {
    let wait = async {
        while trace.exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let vanished = tokio::time::timeout(Duration::from_secs(30), wait).await;
    assert!(vanished.is_ok(), "{} is still there", trace.display());
}
