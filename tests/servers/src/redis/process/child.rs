//! A server process that does not outlive its holder.
//!
//! Its parent is a shell, the watchdog. It waits for a line, or the end, of a pipe, then kills the server, waits
//! for it and ends. This process holds the other end of the pipe, and the kernel closes it however this process
//! dies. Because the shell is the server's parent, the server's id cannot be reused by another process. The shell
//! is in a process group of its own, so that signals for a test and its children (a time limit, Ctrl-C) do not end
//! the shell first.

use std::ffi::OsString;
use std::io::{self, PipeReader, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::net::unix::pipe;

/// After the id of the server, only the server still holds the original standard output: when that ends, the server has
/// ended. If the pipe ends without a line, the holder died, so the shell removes the folder. The last line kills the
/// server's forks.
///
/// `SIGHUP` is ignored: the kernel sends it to a process group that is orphaned while it has a stopped member.
const WATCHDOG: &str = r#"
trap '' HUP
folder=$1
shift
"$@" </dev/null &
echo $!
exec >/dev/null
read -r line || abandoned=yes
kill -KILL $!
wait $!
if [ "$abandoned" ]; then rm -rf "$folder"; fi
kill -KILL 0
"#;

/// A running server. Dropping it kills the server and waits for its end.
#[derive(Debug)]
pub(in crate::redis) struct Process {
    pid: u32,
    watchdog: Child,
    /// `None` if other processes hold the pipe: dropping this value then leaves the server running for them.
    stdin: Option<ChildStdin>,
}

/// Notices the end of a server.
#[derive(Debug)]
pub(in crate::redis) struct Exit(BufReader<pipe::Receiver>);

impl Process {
    /// Runs `command` in `folder`, which is removed with everything in it when this process dies. With a `leash`,
    /// the server lives until all writers of that pipe are gone, instead of as long as this value.
    pub(in crate::redis) async fn spawn(
        command: &[OsString],
        folder: &Path,
        leash: Option<&PipeReader>,
    ) -> io::Result<(Self, Exit)> {
        let errors = std::fs::File::options().create(true).append(true).open(folder.join("stderr.log"))?;
        let stdin = match leash {
            Some(reader) => Stdio::from(reader.try_clone()?),
            None => Stdio::piped(),
        };
        let mut watchdog = Command::new("sh")
            .args(["-c", WATCHDOG, "redis-watchdog"])
            .arg(folder)
            .args(command)
            .current_dir(folder)
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(errors)
            .process_group(0)
            .spawn()?;
        let stdin = watchdog.stdin.take();
        let stdout = watchdog.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let mut process = Self { pid: 0, watchdog, stdin };
        let mut output = BufReader::new(pipe::Receiver::from_owned_fd(OwnedFd::from(stdout))?);
        let mut first = String::new();
        output.read_line(&mut first).await?;
        process.pid = first.trim().parse().map_err(io::Error::other)?;
        Ok((process, Exit(output)))
    }

    pub(in crate::redis) fn pid(&self) -> u32 {
        self.pid
    }

    /// Sends a signal by name: `STOP`.
    pub(in crate::redis) fn signal(&self, name: &str) -> io::Result<()> {
        let pid = self.pid.to_string();
        let sent = Command::new("sh").args(["-c", "kill -s \"$0\" \"$1\"", name, &pid]).status()?;
        if sent.success() { Ok(()) } else { Err(io::Error::other(format!("kill -s {name} {pid} failed"))) }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let Some(mut stdin) = self.stdin.take() else { return };
        // An error means that the watchdog is gone, so there is nothing left to end.
        let _ = stdin.write_all(b"\n");
        let _ = self.watchdog.wait();
    }
}

impl Exit {
    /// Waits until the server has ended.
    pub(in crate::redis) async fn wait(&mut self) {
        // An error means that the pipe is closed, which means the same as its end.
        let _ = self.0.read_to_end(&mut Vec::new()).await;
    }
}
