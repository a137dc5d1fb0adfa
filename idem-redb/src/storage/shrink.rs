//! When the store shrinks its file by itself.
//!
//! A file keeps the size that its records once took, and later records use its free pages. To give these back, redb
//! moves all pages that are in use, and no call reads or writes meanwhile. So the file is shrunk only when there is
//! much to give back and little to move, which takes a few seconds at most: once the store is idle, or after a while
//! if it never is.

use std::time::Duration;

/// A smaller file is left as it is.
const LEAST_LENGTH: u64 = 64 << 20;
/// The most bytes in use, overhead included. Twice as much was moved in four seconds.
const MOST_IN_USE: u64 = 64 << 20;
/// The file is at least so many times larger than what is in use.
const TIMES: u64 = 4;
/// How long an idle moment is waited for.
const IDLE_WAIT: Duration = Duration::from_mins(10);
/// The pause between two attempts, whatever came of the first.
const PAUSE: Duration = Duration::from_mins(10);

/// The length of a file, and how much of it is in use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FileUsage {
    pub(crate) length: u64,
    pub(crate) in_use: u64,
}

impl FileUsage {
    /// Whether there is much to give back, and little to move.
    fn is_sparse(self) -> bool {
        self.length >= LEAST_LENGTH.max(self.in_use.saturating_mul(TIMES)) && self.in_use <= MOST_IN_USE
    }
}

/// Since when the file could be shrunk, and when the next attempt is due.
#[derive(Debug, Default)]
pub(crate) struct Shrinking {
    since: Option<Duration>,
    not_before: Duration,
}

impl Shrinking {
    /// Whether the file is to be shrunk at the next idle moment.
    pub(crate) fn waits_for_idle(&mut self, found: Option<FileUsage>, now: Duration) -> bool {
        if now < self.not_before || !found.is_some_and(FileUsage::is_sparse) {
            self.since = None;
            return false;
        }
        self.since.get_or_insert(now);
        true
    }

    /// Whether the file is to be shrunk without an idle moment.
    pub(crate) fn is_overdue(&mut self, found: Option<FileUsage>, now: Duration) -> bool {
        self.waits_for_idle(found, now)
            && self.since.is_some_and(|since| now.saturating_sub(since) >= IDLE_WAIT)
    }

    /// Notes an attempt.
    pub(crate) fn tried(&mut self, now: Duration) {
        (self.since, self.not_before) = (None, now + PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;
    const SPARSE: Option<FileUsage> = Some(FileUsage { length: 1_000 * MIB, in_use: 10 * MIB });
    const NOW: Duration = Duration::from_secs(1);

    #[test]
    fn a_file_is_shrunk_when_there_is_much_to_give_back_and_little_to_move() {
        for (length, in_use, expected) in
            [(1_000, 10, true), (64, 16, true), (63, 0, false), (100, 30, false), (10_000, 65, false)]
        {
            let found = FileUsage { length: length * MIB, in_use: in_use * MIB };
            let waits = Shrinking::default().waits_for_idle(Some(found), NOW);
            assert_eq!(waits, expected, "{length} MiB, {in_use} MiB in use");
        }
        assert!(!Shrinking::default().waits_for_idle(None, NOW));
    }

    #[test]
    fn no_rest_is_waited_for_for_ever() {
        let mut shrinking = Shrinking::default();
        assert!(!shrinking.is_overdue(SPARSE, NOW));
        assert!(!shrinking.is_overdue(SPARSE, NOW + IDLE_WAIT / 2));
        assert!(shrinking.is_overdue(SPARSE, NOW + IDLE_WAIT));
        // Once the space was needed again, the wait starts again.
        assert!(!shrinking.is_overdue(None, NOW + IDLE_WAIT));
        assert!(!shrinking.is_overdue(SPARSE, NOW + IDLE_WAIT));
    }

    #[test]
    fn an_attempt_is_not_made_again_at_once() {
        let mut shrinking = Shrinking::default();
        assert!(shrinking.waits_for_idle(SPARSE, NOW));
        shrinking.tried(NOW);
        assert!(!shrinking.waits_for_idle(SPARSE, NOW + PAUSE / 2));
        assert!(shrinking.waits_for_idle(SPARSE, NOW + PAUSE));
    }
}
