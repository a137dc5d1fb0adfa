//! Servers end when they are dropped, when a test panics, with the process that started them, and with the test run.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use idem_servers::redis::{Server, ServerKind, shared_lone};
use tokio::sync::oneshot;

/// The role of this process when a test started it.
const ROLE: &str = "IDEM_REDIS_ROLE";

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
async fn a_server_ends_when_its_test_panics() {
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
        let [process, folder] = traces(&server);
        println!("{}", process.display());
        println!("{}", folder.display());
        // Frozen, so that it cannot end by itself.
        server.stop();
        println!("end");
        return std::future::pending().await;
    }
    let mut child = run_in_child("ending::a_server_ends_when_its_process_is_killed", "owner", None);
    let traces = reported_paths(&mut child);
    assert!(traces.len() == 2 && traces.iter().all(|trace| Path::new(trace).exists()), "{traces:?}");
    child.kill().unwrap();
    child.wait().unwrap();
    for trace in traces {
        vanished(Path::new(&trace)).await;
    }
}

/// A child process acts as the runner, and starts two tests one after the other.
#[tokio::test]
async fn a_shared_server_is_one_for_all_processes_and_ends_when_the_runner_is_killed() {
    const TEST: &str = "ending::a_shared_server_is_one_for_all_processes_and_ends_when_the_runner_is_killed";
    match std::env::var(ROLE).as_deref() {
        Ok("case") => {
            let server = shared_lone().await;
            println!("/proc/{}", server.run(&["INFO", "server"]).await.field("process_id").unwrap());
            let folder = server.run(&["CONFIG", "GET", "dir"]).await.elements()[1].text();
            println!("{folder}");
            return;
        }
        Ok(_) => {
            let run = std::env::var("NEXTEST_RUN_ID").unwrap();
            for _ in 0..2 {
                let case = run_in_child(TEST, "case", Some(&run)).wait_with_output().unwrap();
                assert!(case.status.success());
                paths(&case.stdout[..]).for_each(|path| println!("{path}"));
            }
            println!("end");
            return std::future::pending().await;
        }
        Err(_) => {}
    }
    let run = format!("of-a-test-{}", std::process::id());
    let shared = format!("idem-run-{run}-redis-{}-lone", ServerKind::chosen());
    let shared = std::env::temp_dir().join(shared);
    let mut runner = run_in_child(TEST, "runner", Some(&run));
    let traces = reported_paths(&mut runner);
    let (first, second) = traces.split_at(2);
    assert_eq!(first, second, "the second test uses the server of the first");
    assert!(shared.exists() && first.iter().all(|trace| Path::new(trace).exists()), "{first:?}");
    runner.kill().unwrap();
    runner.wait().unwrap();
    for trace in first {
        vanished(Path::new(trace)).await;
    }
    vanished(&shared).await;
}

fn traces(server: &Server) -> [PathBuf; 2] {
    [format!("/proc/{}", server.pid().unwrap()).into(), server.folder().to_owned()]
}

/// Runs one test of this binary in a child process, as part of the nextest run `run`.
fn run_in_child(test: &str, role: &str, run: Option<&str>) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture"]).env(ROLE, role).stdout(Stdio::piped());
    if let Some(run) = run {
        command.env("NEXTEST_RUN_ID", run);
    }
    command.spawn().unwrap()
}

/// The paths that a process prints before it waits to be killed.
fn reported_paths(child: &mut Child) -> Vec<String> {
    paths(BufReader::new(child.stdout.take().unwrap())).collect()
}

/// The lines of an output that are paths, up to the line `end`.
fn paths(output: impl BufRead) -> impl Iterator<Item = String> {
    let lines = output.lines().map(Result::unwrap).take_while(|line| line != "end");
    lines.filter(|line| line.starts_with('/'))
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
