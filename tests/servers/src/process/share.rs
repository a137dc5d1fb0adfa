//! Servers shared by many tests. The first test that needs them starts them.
//!
//! `cargo test` runs the tests of a binary in one process, and the servers end with it. nextest runs each test in a
//! process of its own: the first one starts the servers under a file lock and hands them to a keeper, which ends them
//! once nextest has ended, however it ended. The other processes find their addresses in a file.

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
    // Held while this process starts the servers. It is released when this function or this process ends.
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

/// Keeps the pipe open, and so the servers running, until this process ends.
fn hold(writer: PipeWriter) {
    std::mem::forget(writer);
}

/// The folder shared by the processes of one run of nextest; `None` without nextest.
fn run_folder(name: &str) -> Option<PathBuf> {
    let run = std::env::var("NEXTEST_RUN_ID").ok()?;
    let plain = !run.is_empty() && run.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    plain.then(|| std::env::temp_dir().join(format!("idem-run-{run}-{name}")))
}

/// The servers that another process wrote down, if all of them still answer.
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

/// Writes down the addresses. The file appears complete or not at all, even if this process is killed meanwhile.
fn note<S: Noted>(folder: &Path, servers: &[S]) -> io::Result<()> {
    let lines = servers.iter().map(Noted::note).collect::<Vec<_>>().join("\n");
    fs::write(folder.join("servers.new"), lines)?;
    fs::rename(folder.join("servers.new"), folder.join("servers"))
}

fn need<T>(what: &str, result: io::Result<T>) -> T {
    result.unwrap_or_else(|error| panic!("shared servers need {what}: {error}"))
}
