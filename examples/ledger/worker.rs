//! The process that books, as the process that started it sees it.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::Result;
use crate::answer::Answer;
use crate::arguments::Arguments;
use crate::books::Books;

/// When to kill a worker.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) after_answers: u64,
    /// After those answers, so that the kill comes anywhere between two answers.
    pub(crate) pause: Duration,
}

/// How a worker ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Finished,
    Killed,
}

#[derive(Debug)]
pub(crate) struct Worker {
    process: Child,
    answers: BufReader<ChildStdout>,
}

impl Worker {
    /// Starts this program again as a worker.
    pub(crate) fn start(arguments: &Arguments, books: &Books) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(&arguments.stream).args(books.for_worker());
        if arguments.naive {
            command.arg("--naive");
        }
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let answers = process.stdout.take().ok_or("the worker has no standard output")?;
        Ok(Self { process, answers: BufReader::new(answers) })
    }

    /// Reads the worker's answers to the end, and kills it at the moment `kill`.
    pub(crate) fn run(
        mut self,
        kill: Option<Moment>,
        mut on_answer: impl FnMut(Answer) -> Result<()>,
    ) -> Result<End> {
        let (mut pending, mut answers) = (kill, 0);
        let mut line = Vec::new();
        loop {
            if let Some(due) = pending.take_if(|moment| answers >= moment.after_answers) {
                std::thread::sleep(due.pause);
                self.process.kill()?;
            }
            // Whatever the worker has written is acknowledged, so it counts even after the kill. A line that is cut off
            // does not.
            line.clear();
            self.answers.read_until(b'\n', &mut line)?;
            let Some(text) = line.strip_suffix(b"\n") else { break };
            on_answer(std::str::from_utf8(text)?.parse()?)?;
            answers += 1;
        }
        let status = self.process.wait()?;
        match (kill, pending) {
            _ if status.success() => Ok(End::Finished),
            (Some(_), None) if was_killed(status) => Ok(End::Killed),
            _ => Err(format!("the worker failed: {status}").into()),
        }
    }
}

/// Whatever goes wrong, no worker is left behind.
impl Drop for Worker {
    fn drop(&mut self) {
        // An error means that the worker has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[cfg(unix)]
fn was_killed(status: ExitStatus) -> bool {
    const SIGKILL: i32 = 9;
    std::os::unix::process::ExitStatusExt::signal(&status) == Some(SIGKILL)
}

#[cfg(not(unix))]
fn was_killed(status: ExitStatus) -> bool {
    !status.success()
}
