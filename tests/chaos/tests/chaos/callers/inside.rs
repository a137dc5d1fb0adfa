//! Callers on the inner side of a partition. They run in a process of their own, since they need another network
//! namespace.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::Ordering;

use idem_redis::Acks;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use tokio::task::spawn_blocking;

use crate::callers::load::Load;
use crate::callers::worker::Round;
use crate::environment::redis::cluster::{cluster_config, open};
use crate::judge::history::{Event, Micros, read, write};

const TASK: &str = "IDEM_CHAOS_INSIDE";
const READY: &str = "the callers inside are at work";

/// What the other process is to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Task {
    pub(crate) servers: Vec<SocketAddr>,
    pub(crate) acks: Option<u8>,
    pub(crate) label: String,
    pub(crate) seed: u64,
    pub(crate) begun: Micros,
    /// Whether its store confirms what it replays.
    pub(crate) confirms: bool,
    /// The slots whose masters stay reachable; the callers use no others.
    pub(crate) slots: RangeInclusive<u16>,
    pub(crate) history: PathBuf,
}

/// The process with the callers inside. Dropping it ends them.
#[derive(Debug)]
pub(crate) struct Inside {
    child: Child,
    stdin: Option<ChildStdin>,
    history: PathBuf,
    _folder: TempDir,
}

impl Inside {
    /// Runs this binary's `test`, which must first call [`work`], by the command `prefix`, and waits until its
    /// callers have begun.
    pub(crate) async fn start(test: &str, prefix: &[&str], mut task: Task) -> Self {
        let folder = tempfile::tempdir().unwrap();
        task.history = folder.path().join("history");
        let exe = std::env::current_exe().unwrap();
        let mut words = prefix.iter().map(Into::into).chain([exe.into_os_string()]);
        let mut command = Command::new(words.next().unwrap());
        command.args(words).args([test, "--exact", "--nocapture", "--include-ignored"]);
        command.env(TASK, serde_json::to_string(&task).unwrap());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (stdin, output) = (child.stdin.take(), child.stdout.take().unwrap());
        let inside = Self { child, stdin, history: task.history, _folder: folder };
        let ready = spawn_blocking(move || {
            let mut lines = BufReader::new(output).lines().map(Result::unwrap);
            let ready = lines.any(|line| line.contains(READY));
            // Drained until the process ends: a full pipe would block it.
            std::thread::spawn(move || lines.for_each(drop));
            ready
        });
        assert!(ready.await.unwrap(), "the callers inside did not begin");
        inside
    }

    /// Waits until calls inside succeed again, ends the callers, and returns their history.
    pub(crate) async fn finish(mut self) -> Vec<Event> {
        drop(self.stdin.take());
        spawn_blocking(move || {
            let status = self.child.wait().unwrap();
            assert!(status.success(), "the callers inside failed: {status}");
            read(BufReader::new(std::fs::File::open(&self.history).unwrap()))
        })
        .await
        .unwrap()
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The task of this process, where it was started by [`Inside::start`].
pub(crate) fn task() -> Option<Task> {
    std::env::var(TASK).ok().map(|task| serde_json::from_str(&task).unwrap())
}

/// Runs the callers of `task` until the standard input ends.
pub(crate) async fn work(task: Task) {
    let mut config = cluster_config(&task.servers, task.acks.map(Acks::Count));
    config.confirm_replays = task.confirms;
    let round = Round { begun: task.begun, slots: Some(task.slots), ..Round::new() };
    let mut load = Load::begin(vec![open(config).await], &task.label, task.seed, round);
    println!("{READY}");
    spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await.unwrap().unwrap();
    load.answered().await;
    load.round.stop.store(true, Ordering::Relaxed);
    load.stop().await;
    write(&load.history().take(), std::fs::File::create(&task.history).unwrap());
}
