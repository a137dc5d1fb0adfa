//! How much room is left for a store's file: on its file system, and in itself.
//!
//! The watcher measures it now and then, and the writer before it refuses a call. What the writer has written since
//! the last measurement is subtracted.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::quota::disk_usage::{self, DiskUsage};

/// What a record takes of the file for each byte of it, pages that are not full included. redb's pages have 2^n KiB, so
/// that one with a large value may be half empty.
const ALLOCATED_PER_BYTE: u64 = 2;
/// Kept free for holders: dozens of small completions in a commit, and what a commit takes beside its records, which
/// grows with the file.
const RESERVE: u64 = 1 << 20;
const RESERVED_PART: u64 = 512;
const MOST_RESERVED: u64 = 8 << 20;
/// So many times the reserve is looked after with each commit.
const NEARLY_SHORT: u64 = 4;
/// Of how many bytes of new records it is seen whether the file grows by them.
const EVIDENCE: u64 = 256 << 10;
/// One such part of what records have left of the file is sure to be found again, where nobody knows how much more.
const SURE_PART: u64 = 16;

#[derive(Debug)]
pub(crate) struct DiskSpace {
    path: PathBuf,
    /// Never locked while the system is asked.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// What the last look showed, if it showed anything.
    measured: Option<DiskUsage>,
    /// The bytes of all records, and how many they were at the last look.
    counted: u64,
    counted_then: u64,
    /// The most bytes of records that the file is known to have had room for, less where that turned out to be too much.
    peak: u64,
    /// How many bytes of records were added, and what the file had taken before, since it was last judged by them.
    added: u64,
    allocated_before: u64,
    /// Whether the application has tables of its own in the file. Nobody knows how large these are, so that nobody
    /// knows either what the records leave free of the file.
    has_other_tables: bool,
    /// Whether what the file system keeps for root turned out not to be for this process.
    excludes_root_reserve: bool,
    /// Whether the writer has looked since the last commit.
    is_fresh: bool,
}

impl DiskSpace {
    /// Of the file at `path`.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, state: Mutex::default() }
    }

    /// Of a file that has `counted` bytes of records, and had `most` at one time, as far as anybody knows.
    pub(crate) fn begin(&self, counted: u64, peak: u64, has_other_tables: bool) {
        self.measure();
        let mut state = self.state();
        (state.counted, state.counted_then, state.has_other_tables) = (counted, counted, has_other_tables);
        let of_the_file = state.measured.map_or(0, |measured| measured.allocated / ALLOCATED_PER_BYTE);
        state.peak = peak.max(counted).max(if has_other_tables { 0 } else { of_the_file });
    }

    /// Looks at the file and its file system.
    pub(crate) fn measure(&self) {
        let (excludes_root_reserve, counted) = {
            let state = self.state();
            (state.excludes_root_reserve, state.counted)
        };
        let measured = disk_usage::measure(&self.path, !excludes_root_reserve).ok().flatten();
        self.state().record(measured, counted);
    }

    /// Looks again, unless nothing was committed since; whether it did.
    pub(crate) fn measure_again(&self) -> bool {
        if self.state().is_fresh {
            return false;
        }
        self.measure();
        self.state().is_fresh = true;
        true
    }

    /// Takes in how many bytes all records have by now, and how many were added with the last commit.
    pub(crate) fn count(&self, counted: u64, added: u64) {
        let mut state = self.state();
        state.added = state.added.saturating_add(added);
        (state.counted, state.is_fresh) = (counted, false);
        state.peak = state.peak.max(counted);
    }

    /// The application has tables of its own in the file, or may have.
    pub(crate) fn note_other_tables(&self) {
        self.state().has_other_tables = true;
    }

    /// The file has given back what was free in it.
    pub(crate) fn compacted(&self) {
        let mut state = self.state();
        (state.peak, state.is_fresh) = (state.counted, false);
    }

    /// A write found no room: so much less than was thought can be found in the file.
    pub(crate) fn ran_out_of_space(&self) {
        self.measure();
        let mut state = self.state();
        state.lower_peak();
        if state.measured.is_some_and(|measured| measured.available >= measured.reserve()) {
            state.excludes_root_reserve = true;
        }
    }

    /// What is free for new records; `None` where nobody knows.
    pub(crate) fn free(&self) -> Option<u64> {
        self.state().free()
    }

    /// What the file system has left; `None` where nobody knows.
    pub(crate) fn available(&self) -> Option<u64> {
        self.state().available()
    }

    /// What is left, where that is for those who hold a key.
    pub(crate) fn reserved(&self) -> Option<u64> {
        let state = self.state();
        state.available().filter(|_| state.is_for_holders())
    }

    /// Whether it may soon be short of room, so that what was seen a moment ago will not do.
    pub(crate) fn is_nearly_short(&self) -> bool {
        let state = self.state();
        state
            .measured
            .zip(state.available())
            .is_some_and(|(measured, available)| available < NEARLY_SHORT.saturating_mul(measured.reserve()))
    }

    /// What the records take of the file; `None` where the application may have tables in it as well.
    pub(crate) fn in_use(&self) -> Option<u64> {
        let state = self.state();
        (!state.has_other_tables).then(|| state.counted.saturating_mul(ALLOCATED_PER_BYTE))
    }

    /// The most bytes of records that the file is known to have had room for.
    pub(crate) fn peak(&self) -> u64 {
        self.state().peak
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes in what was seen when all records had `counted` bytes.
    fn record(&mut self, measured: Option<DiskUsage>, counted: u64) {
        if let Some(measured) = measured {
            if self.added >= EVIDENCE {
                // A file that grows by all that is added has no pages left that could be found again.
                if measured.allocated.saturating_sub(self.allocated_before) >= self.added {
                    self.peak = self.counted + self.removed() / 4;
                }
                self.added = 0;
            }
            if self.added == 0 {
                self.allocated_before = measured.allocated;
            }
        }
        (self.measured, self.counted_then) = (measured, counted);
        self.peak = self.peak.max(self.counted);
    }

    fn lower_peak(&mut self) {
        self.peak = self.counted + self.removed() / 2;
    }

    fn available(&self) -> Option<u64> {
        let written = self.counted.saturating_sub(self.counted_then).saturating_mul(ALLOCATED_PER_BYTE);
        Some(self.measured?.available.saturating_sub(written))
    }

    /// What records have left of the file since it had the most.
    fn removed(&self) -> u64 {
        self.measured.map_or(0, |measured| self.peak.min(measured.allocated).saturating_sub(self.counted))
    }

    /// Whether the file system has no more than what is for holders.
    fn is_short(&self) -> bool {
        self.measured
            .zip(self.available())
            .is_some_and(|(measured, available)| available < measured.reserve())
    }

    fn is_for_holders(&self) -> bool {
        let in_the_file = self.measured.map_or(0, |measured| measured.reserve().min(self.peak / 2));
        self.is_short() && self.removed() < in_the_file
    }

    /// What records do not take of the file is free, and in a file that is smaller than they would be, nothing is. redb
    /// takes holes as readily as pages that records have left: where not all of them could be filled, and where there
    /// are rows, what the file system has left is sure to be found, and a little of what records have left.
    fn free(&self) -> Option<u64> {
        let measured = self.measured?;
        let allocated =
            if self.has_other_tables || measured.holes > measured.available { 0 } else { measured.allocated };
        let allocated = allocated.max(self.counted_then.saturating_mul(ALLOCATED_PER_BYTE));
        let free = measured
            .available
            .saturating_add(allocated)
            .saturating_sub(self.counted.saturating_mul(ALLOCATED_PER_BYTE));
        Some(free.max(self.available()?.saturating_add(self.removed() / SURE_PART)))
    }
}

impl DiskUsage {
    /// What is left for those who hold a key, so that what they do can be kept: new keys do not get it.
    fn reserve(self) -> u64 {
        RESERVE + (self.available.saturating_add(self.allocated) / RESERVED_PART).min(MOST_RESERVED)
    }
}

#[cfg(test)]
mod tests;
