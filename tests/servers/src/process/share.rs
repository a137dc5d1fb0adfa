//! Servers for many tests: started by the first that asks, used by all, ended with the last.
//!
//! `cargo test` runs the tests of a binary in one process, and the servers end with it. nextest runs each test in a
//! process of its own: the first one starts the servers under a file lock and leaves them to a keeper, which ends
//! them once nextest has ended, however it ended. The others find them by their notes in a file.

use std::fs::{self, File};
use std::io::{self, PipeReader, PipeWriter};
use std::path::{Path, PathBuf};

use super::keeper::hand_over;

/// A server that another process can find again by one line of text.
pub(crate) trait Noted: Sized {
    fn note(&self) -> String;

    fn read(note: &str) -> Option<Self>;

    fn is_alive(&self) -> impl Future<Output = bool>;
}

/// The servers that `start` starts, or that it started for another process of this run under the same name. They live
/// until all writers of the pipe that it is given are gone.
pub(crate) async fn share<S: Noted>(name: &str, start: impl AsyncFnOnce(PipeReader) -> Vec<S>) -> Vec<S> {
    let (reader, writer) = need("a pipe", io::pipe());
    let Some(folder) = run_folder(name) else {
        let servers = start(reader).await;
        hold(writer);
        return servers;
    };
    need("the folder of this run", fs::create_dir_all(&folder));
    let lock = need("a lock file", File::create(folder.join("lock")));
    // Whoever starts the servers holds it meanwhile. It is given back when this function ends, or this process.
    let lock = tokio::task::spawn_blocking(move || lock.lock().map(|()| lock)).await;
    let _lock = need("the lock", lock.map_err(io::Error::other).flatten());
    if let Some(servers) = known(&folder).await {
        return servers;
    }
    let servers = start(reader).await;
    need("a keeper", hand_over(writer, &folder));
    need("a note of the servers", note(&folder, &servers));
    servers
}

/// Until this process ends: then the pipe does, and so the servers.
fn hold(writer: PipeWriter) {
    std::mem::forget(writer);
}

/// The folder that the processes of one run of nextest have in common; none without nextest.
fn run_folder(name: &str) -> Option<PathBuf> {
    let run = std::env::var("NEXTEST_RUN_ID").ok()?;
    let plain = !run.is_empty() && run.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    plain.then(|| std::env::temp_dir().join(format!("idem-run-{run}-{name}")))
}

/// The servers that another process noted, if all of them still answer.
async fn known<S: Noted>(folder: &Path) -> Option<Vec<S>> {
    let noted = fs::read_to_string(folder.join("servers")).ok()?;
    let servers: Vec<S> = noted.lines().map(S::read).collect::<Option<_>>()?;
    for server in &servers {
        if !server.is_alive().await {
            return None;
        }
    }
    Some(servers).filter(|servers| !servers.is_empty())
}

/// Whole or not at all: this process may be killed while it writes.
fn note<S: Noted>(folder: &Path, servers: &[S]) -> io::Result<()> {
    let lines = servers.iter().map(Noted::note).collect::<Vec<_>>().join("\n");
    fs::write(folder.join("servers.new"), lines)?;
    fs::rename(folder.join("servers.new"), folder.join("servers"))
}

fn need<T>(what: &str, result: io::Result<T>) -> T {
    result.unwrap_or_else(|error| panic!("shared servers need {what}: {error}"))
}
