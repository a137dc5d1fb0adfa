//! How much space is left for a store's file: on its file system, and within the file.
//!
//! The watcher measures it now and then, and the writer before it refuses a call. What the writer has written since
//! the last measurement is subtracted.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::quota::disk_usage::{self, DiskUsage};

/// How many bytes of the file a record takes for each byte of it, partly filled pages included. redb's pages have 2^n
/// KiB, so a page with a large value may be half empty.
const ALLOCATED_PER_BYTE: u64 = 2;
/// Reserved for holders: room for dozens of small completions in a commit, and for what a commit writes beside its
/// records, which grows with the file.
const RESERVE: u64 = 1 << 20;
const RESERVED_PART: u64 = 512;
const MOST_RESERVED: u64 = 8 << 20;
/// Below so many times the reserve, the space is measured again for each commit.
const NEARLY_SHORT: u64 = 4;
/// After so many bytes of new records, it is judged whether the file grew by them.
const EVIDENCE: u64 = 256 << 10;
/// Of the space that removed records have left in the file, at least one such part can be reused, where no more is
/// known.
const SURE_PART: u64 = 16;

#[derive(Debug)]
pub(crate) struct DiskSpace {
    path: PathBuf,
    /// Never locked during a system call.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The last measurement, if there was one.
    measured: Option<DiskUsage>,
    /// The bytes of all records, now and at the last measurement.
    counted: u64,
    counted_then: u64,
    /// The most bytes of records that the file is known to have had room for; lowered where that turned out to be too
    /// much.
    peak: u64,
    /// The bytes of records added since the file was last judged by its growth, what it had allocated then, and what
    /// removed records had left in it.
    added: u64,
    allocated_before: u64,
    removed_before: u64,
    /// Whether the application has tables of its own in the file. Their size is unknown, and so is what the records
    /// leave free of the file.
    has_other_tables: bool,
    /// Whether this process turned out not to have the space that the file system keeps for root.
    excludes_root_reserve: bool,
    /// Whether the writer has measured since the last commit.
    is_fresh: bool,
}

impl DiskSpace {
    /// The space of the file at `path`.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, state: Mutex::default() }
    }

    /// Begins with a file that has `counted` bytes of records now, and had `peak` at one time, as far as is known.
    pub(crate) fn begin(&self, counted: u64, peak: u64, has_other_tables: bool) {
        self.measure();
        let mut state = self.state();
        (state.counted, state.counted_then, state.has_other_tables) = (counted, counted, has_other_tables);
        let of_the_file = state.measured.map_or(0, |measured| measured.allocated / ALLOCATED_PER_BYTE);
        state.peak = peak.max(counted).max(if has_other_tables { 0 } else { of_the_file });
    }

    /// Measures the file and its file system.
    pub(crate) fn measure(&self) {
        let (excludes_root_reserve, counted) = {
            let state = self.state();
            (state.excludes_root_reserve, state.counted)
        };
        let measured = disk_usage::measure(&self.path, !excludes_root_reserve).ok().flatten();
        self.state().record(measured, counted);
    }

    /// Measures again, unless nothing was committed since the last time; returns whether it did.
    pub(crate) fn measure_again(&self) -> bool {
        if self.state().is_fresh {
            return false;
        }
        self.measure();
        self.state().is_fresh = true;
        true
    }

    /// Updates the bytes of all records, of which the last commit added `added`.
    pub(crate) fn count(&self, counted: u64, added: u64) {
        let mut state = self.state();
        state.added = state.added.saturating_add(added);
        (state.counted, state.is_fresh) = (counted, false);
        state.peak = state.peak.max(counted);
    }

    /// Notes that the application has tables of its own in the file, or may have.
    pub(crate) fn note_other_tables(&self) {
        self.state().has_other_tables = true;
    }

    /// The file was compacted: no free pages remain in it.
    pub(crate) fn compacted(&self) {
        let mut state = self.state();
        (state.peak, state.is_fresh) = (state.counted, false);
    }

    /// A write ran out of space: less of the file is reusable than was assumed.
    pub(crate) fn ran_out_of_space(&self) {
        self.measure();
        let mut state = self.state();
        state.lower_peak();
        if state.measured.is_some_and(|measured| measured.available >= measured.reserve()) {
            state.excludes_root_reserve = true;
        }
    }

    /// The space for new records; `None` where it is unknown.
    pub(crate) fn free(&self) -> Option<u64> {
        self.state().free()
    }

    /// The space that the file system has left; `None` where it is unknown.
    pub(crate) fn available(&self) -> Option<u64> {
        self.state().available()
    }

    /// The space that is left, where all of it is reserved for holders of keys.
    pub(crate) fn reserved(&self) -> Option<u64> {
        let state = self.state();
        state.available().filter(|_| state.is_for_holders())
    }

    /// Whether space may soon be short, so that an older measurement will not do.
    pub(crate) fn is_nearly_short(&self) -> bool {
        let state = self.state();
        state
            .measured
            .zip(state.available())
            .is_some_and(|(measured, available)| available < NEARLY_SHORT.saturating_mul(measured.reserve()))
    }

    /// The bytes of the file that records take; `None` where the application may have tables in it as well.
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
    /// Records a measurement that was begun when all records had `counted` bytes.
    fn record(&mut self, measured: Option<DiskUsage>, counted: u64) {
        if let Some(measured) = measured
            && self.added >= EVIDENCE
        {
            // A file that grows by all that is added, though records had left space in it, has no reusable pages.
            let grew = measured.allocated.saturating_sub(self.allocated_before) >= self.added;
            if grew && self.removed_before >= EVIDENCE {
                self.peak = self.counted + self.removed() / 4;
            }
            self.added = 0;
        }
        (self.measured, self.counted_then) = (measured, counted);
        self.peak = self.peak.max(self.counted);
        if let Some(measured) = measured.filter(|_| self.added == 0) {
            (self.allocated_before, self.removed_before) = (measured.allocated, self.removed());
        }
    }

    fn lower_peak(&mut self) {
        self.peak = self.counted + self.removed() / 2;
    }

    fn available(&self) -> Option<u64> {
        let written = self.counted.saturating_sub(self.counted_then).saturating_mul(ALLOCATED_PER_BYTE);
        Some(self.measured?.available.saturating_sub(written))
    }

    /// The bytes that removed records have left in the file since its peak.
    fn removed(&self) -> u64 {
        self.measured.map_or(0, |measured| self.peak.min(measured.allocated).saturating_sub(self.counted))
    }

    /// Whether the file system has less left than the reserve.
    fn is_short(&self) -> bool {
        self.measured
            .zip(self.available())
            .is_some_and(|(measured, available)| available < measured.reserve())
    }

    fn is_for_holders(&self) -> bool {
        let in_the_file = self.measured.map_or(0, |measured| measured.reserve().min(self.peak / 2));
        self.is_short() && self.removed() < in_the_file
    }

    /// The part of the file that records do not take is free; a file that is smaller than the estimate of its records
    /// has no free part. redb fills holes as readily as pages that records have left. So where the holes cannot all be
    /// filled, and where the application has tables, only this counts: what the file system has left, and a small part
    /// of what records have left.
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
    /// The space reserved for holders, so that their calls can be recorded: new keys do not get it.
    fn reserve(self) -> u64 {
        RESERVE + (self.available.saturating_add(self.allocated) / RESERVED_PART).min(MOST_RESERVED)
    }
}

#[cfg(test)]
mod tests;
