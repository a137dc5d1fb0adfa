//! Whether an opening after a crash would have to read the whole file.

/// Whether the last commit spares an opening after a crash the reading of the whole file. Of a database that was just
/// opened nobody knows: it may have been repaired.
#[derive(Debug, Default)]
pub(crate) struct RepairRecord {
    in_last_begun: bool,
    in_last_commit: bool,
}

impl RepairRecord {
    /// A transaction was begun that does so, or does not.
    pub(crate) fn began(&mut self, quick_repair: bool) {
        self.in_last_begun = quick_repair;
    }

    /// That transaction is committed.
    pub(crate) fn committed(&mut self) {
        self.in_last_commit = self.in_last_begun;
    }

    /// The last commit may be one that does not: the database was opened, or compacted, or a commit failed.
    pub(crate) fn forget(&mut self) {
        self.in_last_commit = false;
    }

    pub(crate) fn is_current(&self) -> bool {
        self.in_last_commit
    }
}
