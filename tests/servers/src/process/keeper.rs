//! Keeps servers running for the processes of one run of nextest.

use std::fs;
use std::io::{self, PipeWriter};
use std::os::unix::process::{CommandExt as _, parent_id};
use std::path::Path;
use std::process::{Command, Stdio};

/// A shell whose output is the pipe that keeps the servers alive; no other process has that end. It polls twice a
/// second whether the runner still exists, because a process cannot wait for one that is not its child. The
/// runner's start time (field 22 of its `stat`, 20th after the name) tells it from a later process with the same
/// id.
const KEEPER: &str = r#"
runner=$1
begun=$2
folder=$3
is_there() {
    if [ -z "$begun" ]; then kill -0 "$runner" 2>/dev/null; return; fi
    read -r stat 2>/dev/null <"/proc/$runner/stat" || return
    set -- ${stat##*) }
    [ "$1" != Z ] && [ "${20}" = "$begun" ]
}
while is_there; do sleep 0.5 >/dev/null; done
exec >/dev/null
rm -rf "$folder"
"#;

/// Hands `writer`, the pipe that keeps the servers alive, to a keeper. When the parent of this process has ended, the
/// keeper closes the pipe and removes `folder`.
pub(crate) fn hand_over(writer: PipeWriter, folder: &Path) -> io::Result<()> {
    let runner = parent_id();
    Command::new("sh")
        .args(["-c", KEEPER, "server-keeper", &runner.to_string(), &begun(runner).unwrap_or_default()])
        .arg(folder)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(writer)
        // nextest waits until the outputs of a test are closed.
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()?;
    Ok(())
}

/// The start time of a process; `None` where there is no `/proc`.
fn begun(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    fields.split(' ').nth(19).map(str::to_owned)
}
