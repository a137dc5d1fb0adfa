//! The definition of one step of each workload.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

/// The lease of every claim: longer than any run.
pub const LEASE: Duration = Duration::from_hours(1);
/// The retention of every claim, unless a bench wants records to expire.
pub const RETENTION: Duration = Duration::from_hours(24);

/// What every caller does, over and over; one operation is one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Workload {
    /// `lock` of a key that nobody used before. Bare: one insert of a lock record. The outcome's size does not matter here;
    /// both sizes are measured all the same, and their difference is noise.
    Lock,
    /// `lock` of a fresh key, then `complete` with the outcome. Bare: insert of the lock record, then the
    /// outcome's record in its place; two commits where the backend commits.
    Cycle,
    /// `lock` of a completed key, picked at random among many, so the outcome comes back. Bare: one get.
    Replay,
    /// The same with one key for all callers, so that the cores contend for its cache lines.
    HotReplay,
    /// A storm of retries. All callers `lock` the same key. Whoever acquires it yields once, as work would, and completes
    /// it. The others get `InProgress` until then and the outcome after, and lock again at once. After
    /// [`REPLAYS_PER_KEY`](Workload::REPLAYS_PER_KEY) answers with the outcome, all move to the next key. Bare: the first
    /// step of a key is the bare cycle, the others are bare gets.
    Contended,
}

impl Workload {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 5] = [Self::Lock, Self::Cycle, Self::Replay, Self::HotReplay, Self::Contended];

    /// How many steps on one contended key are answered with its outcome.
    pub const REPLAYS_PER_KEY: u64 = 1_024;

    /// Whether every step leaves a record behind.
    #[must_use]
    pub fn grows(self) -> bool {
        matches!(self, Self::Lock | Self::Cycle)
    }

    /// Whether the steps need keys that are completed already.
    #[must_use]
    pub fn replays(self) -> bool {
        matches!(self, Self::Replay | Self::HotReplay)
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Lock => "lock",
            Self::Cycle => "cycle",
            Self::Replay => "replay",
            Self::HotReplay => "hot replay",
            Self::Contended => "contended",
        })
    }
}
