//! A file system of a given size, which only a process of its own sees: the rounds that fill it run there.

use std::io::BufReader;
use std::path::PathBuf;
use std::process::Stdio;

use serde::{Deserialize, Serialize};
use tokio::process::Command;

use crate::judge::history::{Event, read};

const TASK: &str = "IDEM_CHAOS_SMALL_DISK";

/// What that process is to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Task {
    pub(crate) seed: u64,
    /// The small file system. Its temporary files are there, and so the servers.
    pub(crate) folder: PathBuf,
    /// Where it leaves the history, on another file system.
    pub(crate) history: PathBuf,
}

/// The task of this process, where it was started by [`run`].
pub(crate) fn task() -> Option<Task> {
    std::env::var(TASK).ok().map(|task| serde_json::from_str(&task).unwrap())
}

/// Runs this binary's `test`, which must first look for its [`task`], with a file system of `size`, and gives its history.
///
/// # Panics
/// When the test fails, or when no file system can be mounted.
pub(crate) async fn run(test: &str, size: &str, seed: u64) -> Vec<Event> {
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let task = Task { seed, folder: disk.clone(), history: folder.path().join("history") };
    // Root runs the server as another user, which a namespace of users would not know. Anybody else needs one to mount, and
    // in it one more, since the server refuses to run as what is root there.
    let script = format!("mount -t tmpfs -o size={size},mode=0777 idem \"$0\"");
    let mut command = Command::new("unshare");
    if is_root() {
        command.args(["--mount", "sh", "-c", &format!("{script} && exec \"$@\"")]);
    } else {
        let inner = "exec unshare --user --map-user=1000 --map-group=1000 \"$@\"";
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &format!("{script} && {inner}")]);
    }
    let output = command
        .arg(&disk)
        .arg(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--include-ignored"])
        .env(TASK, serde_json::to_string(&task).unwrap())
        .env("TMPDIR", &disk)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let told =
        [output.stdout, output.stderr].map(|told| String::from_utf8_lossy(&told).into_owned()).concat();
    assert!(
        output.status.success() && told.contains("1 passed"),
        "it failed, or a tmpfs may not be mounted here (by root, or with user namespaces):\n{told}"
    );
    told.lines().filter(|line| line.starts_with("disk full: ")).for_each(|line| println!("{line}"));
    read(BufReader::new(std::fs::File::open(&task.history).unwrap()))
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}
