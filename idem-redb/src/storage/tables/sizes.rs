//! The bytes that records are counted with.

use crate::storage::records::schema::{INDEX_KEY_LEN, Place};

/// A lock, its note, and their places in the file.
pub(crate) const LOCK: i64 = 288;

/// What an outcome takes beside its value in the log: its place, there and in the index, and its key in the index.
pub(super) const IN_INDEX: usize = 2 * Place::LEN + INDEX_KEY_LEN;

/// As a signed count.
pub(super) fn size(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
