//! How much room is left for a store's file: on its file system, and in itself.
//!
//! Looked at by the [watcher](crate::watcher) now and then, and used by the writer at once: what it has written since
//! the last look it takes off by itself.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What a record takes of the file for each byte of it, pages that are not full included. redb's pages have 2^n KiB, so
/// that one with a large value may be half empty.
const TAKEN_PER_BYTE: u64 = 2;
/// Kept free for holders: dozens of small completions in a commit, and what a commit takes beside its records, which
/// grows with the file.
const RESERVE: u64 = 1 << 20;
const RESERVED_PART: u64 = 512;
const MOST_RESERVED: u64 = 8 << 20;
/// Where nobody knows, everything has room.
const UNKNOWN: u64 = u64::MAX;

#[derive(Debug)]
pub(crate) struct Room {
    path: PathBuf,
    /// What the file may take in all: what it has, and what it could still get. [`UNKNOWN`] until somebody looked.
    whole: AtomicU64,
    /// The bytes of all records, for whoever looks.
    counted: AtomicU64,
    /// Whether the application has tables of its own in the file. Nobody knows how large these are, so that nobody
    /// knows either what the records leave free of the file.
    has_rows: AtomicBool,
}

impl Room {
    /// Of the file at `path`.
    pub(crate) fn new(path: PathBuf) -> Self {
        let (whole, counted) = (AtomicU64::new(UNKNOWN), AtomicU64::new(0));
        Self { path, whole, counted, has_rows: AtomicBool::new(false) }
    }

    /// Looks at the file and its file system.
    pub(crate) fn look(&self) {
        let counted = self.counted.load(Ordering::Acquire);
        let mut seen = look(&self.path).ok().flatten();
        if self.has_rows.load(Ordering::Acquire) {
            seen = seen.map(|seen| Seen { taken: 0, ..seen });
        }
        let whole = seen.map(|seen| seen.whole(counted));
        self.whole.store(whole.unwrap_or(UNKNOWN), Ordering::Release);
    }

    /// Takes in how many bytes all records have by now.
    pub(crate) fn count(&self, counted: u64) {
        self.counted.store(counted, Ordering::Release);
    }

    /// The application has tables of its own in the file, or may have.
    pub(crate) fn has_rows(&self) {
        self.has_rows.store(true, Ordering::Release);
    }

    /// What is free while all records have `counted` bytes; `None` where nobody knows.
    pub(crate) fn free(&self, counted: u64) -> Option<u64> {
        let whole = self.whole.load(Ordering::Acquire);
        (whole != UNKNOWN).then(|| whole.saturating_sub(counted.saturating_mul(TAKEN_PER_BYTE)))
    }

    /// What is left for those who hold a key, so that what they do can be kept: new keys do not get it.
    pub(crate) fn reserve(&self) -> u64 {
        let whole = self.whole.load(Ordering::Acquire);
        if whole == UNKNOWN { 0 } else { RESERVE + (whole / RESERVED_PART).min(MOST_RESERVED) }
    }

    /// What records of `counted` bytes take of the file; `None` where the application may have tables in it as well.
    pub(crate) fn in_use(&self, counted: u64) -> Option<u64> {
        (!self.has_rows.load(Ordering::Acquire)).then(|| counted.saturating_mul(TAKEN_PER_BYTE))
    }

    /// How many bytes all records have if the file is full of them.
    pub(crate) fn most_counted(&self) -> u64 {
        look(&self.path).ok().flatten().map_or(0, |seen| seen.taken / TAKEN_PER_BYTE)
    }
}

/// What a look at the file shows.
#[derive(Debug, Clone, Copy)]
struct Seen {
    /// What the file system has left for this process.
    left: u64,
    /// What the file takes of it.
    taken: u64,
    /// What the file is longer than that.
    holes: u64,
}

impl Seen {
    /// What records of `counted` bytes do not take of the file is free, and in a file that is smaller than they would
    /// be, nothing is. redb takes holes as readily as pages that records have left: where not all of them could be filled,
    /// only what the file system has left is sure to be found.
    fn whole(self, counted: u64) -> u64 {
        let taken = if self.holes > self.left { 0 } else { self.taken };
        let taken = taken.max(counted.saturating_mul(TAKEN_PER_BYTE));
        self.left.saturating_add(taken).min(UNKNOWN - 1)
    }
}

/// `None` where a file system does not say.
#[cfg(unix)]
fn look(path: &std::path::Path) -> io::Result<Option<Seen>> {
    use std::os::unix::fs::MetadataExt as _;
    const BLOCK: u64 = 512;
    let (file, system) = (std::fs::metadata(path)?, rustix::fs::statvfs(path)?);
    let left = system.f_bavail.saturating_mul(system.f_frsize);
    // A file grows by holes, which are the file system's to fill.
    let taken = file.len().min(file.blocks().saturating_mul(BLOCK));
    let holes = file.len() - taken;
    Ok((system.f_blocks > 0).then_some(Seen { left, taken, holes }))
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "elsewhere it can fail")]
fn look(_: &std::path::Path) -> io::Result<Option<Seen>> {
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn free(seen: Seen, counted_then: u64, counted: u64) -> Option<u64> {
        let room = Room::new(PathBuf::new());
        room.whole.store(seen.whole(counted_then), Ordering::Release);
        room.free(counted)
    }

    #[test]
    fn what_is_free_in_the_file_is_free_as_well() {
        assert_eq!(free(Seen { left: 10, taken: 100, holes: 0 }, 20, 20), Some(70));
    }

    #[test]
    fn a_file_that_is_smaller_than_its_records_are_thought_to_be_has_nothing_free() {
        assert_eq!(free(Seen { left: 10, taken: 100, holes: 0 }, 80, 80), Some(10));
    }

    #[test]
    fn beside_holes_that_cannot_be_filled_nothing_of_the_file_is_free() {
        assert_eq!(free(Seen { left: 10, taken: 100, holes: 10 }, 20, 20), Some(70));
        assert_eq!(free(Seen { left: 10, taken: 100, holes: 11 }, 20, 20), Some(10));
    }

    #[test]
    fn what_was_written_since_the_look_is_taken_off() {
        assert_eq!(free(Seen { left: 10, taken: 100, holes: 0 }, 80, 83), Some(4));
        assert_eq!(free(Seen { left: 10, taken: 100, holes: 0 }, 80, 90), Some(0));
    }

    #[test]
    fn what_was_removed_since_the_look_is_free() {
        assert_eq!(free(Seen { left: 10, taken: 100, holes: 0 }, 50, 20), Some(70));
    }

    #[test]
    fn where_nobody_knows_nobody_says_how_much_is_free() {
        let room = Room::new(PathBuf::from("/no/such/file"));
        assert_eq!(room.free(1), None);
        room.look();
        assert_eq!(room.free(1), None);
        assert_eq!(room.most_counted(), 0);
    }
}
