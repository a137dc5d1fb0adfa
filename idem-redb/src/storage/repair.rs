//! Whether an opening after a crash would have to read the whole file.

/// Whether the last commit spares an opening after a crash the reading of the whole file. Of a database that was just
/// opened nobody knows: it may have been repaired.
#[derive(Debug, Default)]
pub(crate) struct Spared {
    by_last_begun: bool,
    by_last_commit: bool,
}

impl Spared {
    /// A transaction was begun that does so, or does not.
    pub(crate) fn began(&mut self, quick_repair: bool) {
        self.by_last_begun = quick_repair;
    }

    /// That transaction is committed.
    pub(crate) fn committed(&mut self) {
        self.by_last_commit = self.by_last_begun;
    }

    /// The last commit may be one that does not: the database was opened, or compacted, or a commit failed.
    pub(crate) fn forget(&mut self) {
        self.by_last_commit = false;
    }

    pub(crate) fn is_spared(&self) -> bool {
        self.by_last_commit
    }
}
