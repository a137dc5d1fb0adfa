//! What must hold a write, the command that waits for it, and the answer to that command.

use crate::protocol::command::{Command, Part};
use crate::protocol::reply::Reply;

/// What must hold a write before it is answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Acknowledgers {
    pub(crate) replicas: u8,
    /// Whether the write must be on the disks of the replicas and of the master.
    pub(crate) disk: bool,
}

impl Acknowledgers {
    pub(crate) fn is_none(self) -> bool {
        self == Self::default()
    }

    /// The command that waits for these acknowledgers, for `timeout` milliseconds.
    pub(crate) fn command(self, timeout: u64) -> Command {
        let (replicas, timeout) = (Part::Number(self.replicas.into()), Part::Number(timeout));
        if self.disk {
            Command::new(["WAITAOF".into(), Part::Number(1), replicas, timeout])
        } else {
            Command::new(["WAIT".into(), replicas, timeout])
        }
    }
}

/// What holds a write, according to the answer to `WAIT` or `WAITAOF`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Acknowledgement {
    pub(super) replicas: i64,
    /// Whether the master's disk holds it, where that was asked for.
    pub(super) disk: bool,
}

impl Acknowledgement {
    pub(super) fn read(answer: &Reply) -> Option<Self> {
        match answer.array() {
            Some([local, replicas]) => {
                Some(Self { replicas: replicas.integer()?, disk: local.integer()? > 0 })
            }
            _ => Some(Self { replicas: answer.integer()?, disk: false }),
        }
    }
}
