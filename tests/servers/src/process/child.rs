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
/// A server that cleans up after itself gets a signal of its own first, and is woken in case it is frozen. It may still
/// write into its folder for a moment.
///
/// When a process dies whose child's group has a frozen member, the kernel hangs up on that group.
const WATCHDOG: &str = r#"
trap '' HUP
folder=$1
ending=$2
shift 2
"$@" </dev/null &
echo $!
exec >/dev/null
read -r line || abandoned=yes
kill -s "$ending" $!
kill -CONT $!
wait $!
if [ "$abandoned" ]; then rm -rf "$folder" || { sleep 1; rm -rf "$folder"; }; fi
kill -KILL 0
"#;

/// A running server. Dropping it kills the server and waits for its end.
#[derive(Debug)]
pub(crate) struct Process {
    pid: u32,
    watchdog: Child,
    /// `None` if other processes hold the pipe: dropping this value then leaves the server running for them.
    stdin: Option<ChildStdin>,
}

/// Notices the end of a server.
#[derive(Debug)]
pub(crate) struct Exit(BufReader<pipe::Receiver>);

impl Process {
    /// Runs `command` in `folder`, which is removed with everything in it when this process dies. The server ends by the
    /// signal `ending`. With a `leash` it lives until all writers of that pipe are gone, instead of as long as this value.
    pub(crate) async fn spawn(
        command: &[OsString],
        folder: &Path,
        ending: &str,
        leash: Option<&PipeReader>,
    ) -> io::Result<(Self, Exit)> {
        let errors = std::fs::File::options().create(true).append(true).open(folder.join("stderr.log"))?;
        let stdin = match leash {
            Some(reader) => Stdio::from(reader.try_clone()?),
            None => Stdio::piped(),
        };
        let mut watchdog = Command::new("sh")
            .args(["-c", WATCHDOG, "server-watchdog"])
            .arg(folder)
            .arg(ending)
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

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Sends a signal by name: `STOP`.
    pub(crate) fn signal(&self, name: &str) -> io::Result<()> {
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
    pub(crate) async fn wait(&mut self) {
        // An error means that the pipe is closed, which is the same.
        let _ = self.0.read_to_end(&mut Vec::new()).await;
    }
}
