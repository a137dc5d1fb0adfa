//! What must hold a write, how it is waited for, and what came of that.

use crate::protocol::command::{Command, Part};
use crate::protocol::reply::Reply;

/// What must hold a write before it is answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Acknowledgers {
    pub(crate) replicas: u8,
    /// Whether they are to have it on their disks, and the master, too.
    pub(crate) disk: bool,
}

impl Acknowledgers {
    pub(crate) fn is_none(self) -> bool {
        self == Self::default()
    }

    /// What waits for these, for so many milliseconds.
    pub(crate) fn command(self, timeout: u64) -> Command {
        let (replicas, timeout) = (Part::Number(self.replicas.into()), Part::Number(timeout));
        if self.disk {
            Command::new(["WAITAOF".into(), Part::Number(1), replicas, timeout])
        } else {
            Command::new(["WAIT".into(), replicas, timeout])
        }
    }
}

/// What holds a write.
#[derive(Debug, Clone, Copy)]
pub(super) struct Acknowledgement {
    pub(super) replicas: i64,
    /// Whether the master's disk does, where that was asked.
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
