//! Whether an opening after a crash would have to read the whole file.

/// Whether the last commit recorded what spares an opening after a crash from reading the whole file. Unknown for a
/// database that was just opened, which may have been repaired.
#[derive(Debug, Default)]
pub(crate) struct RepairRecord {
    in_last_begun: bool,
    in_last_commit: bool,
}

impl RepairRecord {
    /// A transaction was begun, with quick repair or without.
    pub(crate) fn began(&mut self, quick_repair: bool) {
        self.in_last_begun = quick_repair;
    }

    /// That transaction is committed.
    pub(crate) fn committed(&mut self) {
        self.in_last_commit = self.in_last_begun;
    }

    /// The last commit may be one without quick repair: the database was opened or compacted, or a commit failed.
    pub(crate) fn forget(&mut self) {
        self.in_last_commit = false;
    }

    pub(crate) fn is_current(&self) -> bool {
        self.in_last_commit
    }
}
