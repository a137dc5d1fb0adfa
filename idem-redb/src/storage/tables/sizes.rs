//! How many bytes records are counted for.

use crate::storage::records::schema::{INDEX_KEY_LEN, Place};

/// What a lock, its note, and their places in the file take.
pub(crate) const LOCK: i64 = 288;

/// What a record in the log takes beside itself: its place, there and in the index, and its key in the index.
pub(super) const IN_INDEX: usize = 2 * Place::LEN + INDEX_KEY_LEN;

/// Of so many bytes.
pub(super) fn size(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
