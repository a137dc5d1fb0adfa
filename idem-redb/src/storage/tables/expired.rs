//! Looking up expired records, for a sweep.

use idem_core::Key;
use idem_core::clock::Timestamp;
use redb::{ReadOnlyTable, ReadTransaction};

use crate::error::Failure;
use crate::storage::records::lock_expiry::{due, read_note};
use crate::storage::records::lock_record::read_lock;
use crate::storage::records::schema::{LOCKS, OUTCOMES, Place, StorageKey, owner_of};

/// How many notes of renewed locks are read at most. The same sweep moves these notes on, so the next look-up gets
/// further.
const MOST_RENEWED: usize = 4_096;

/// Expired records.
#[derive(Debug, Default)]
pub(crate) struct FoundExpired {
    /// When they were looked up.
    pub(crate) as_of: Timestamp,
    /// Completed records, in the order of their expiry.
    pub(crate) outcomes: Vec<(Key, Place)>,
    /// Locks, in the order of their notes.
    pub(crate) locks: Vec<(Key, Place)>,
    /// Due notes of locks that have not expired, or cannot be read, or are gone.
    pub(crate) notes: Vec<(Key, Place)>,
    /// Whether the look-up stopped at `MOST_RENEWED`, and may have missed more.
    pub(crate) is_truncated: bool,
}

impl FoundExpired {
    pub(crate) fn expired(&self) -> usize {
        self.outcomes.len() + self.locks.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.expired() + self.notes.len() == 0
    }
}

/// Looks up at most `limits.0` outcomes and `limits.1` locks. Costs nothing for what has not expired.
pub(crate) fn find_expired(
    txn: &ReadTransaction,
    now: Timestamp,
    limits: (usize, usize),
) -> Result<FoundExpired, Failure> {
    let mut found = FoundExpired { as_of: now, ..FoundExpired::default() };
    for entry in txn.open_table(OUTCOMES)?.range(..=Place::last_expired(now).0)? {
        if found.outcomes.len() == limits.0 {
            break;
        }
        // An unreadable outcome is skipped, and left for the operator.
        let (place, value) = entry?;
        if let Ok((key, _)) = owner_of(value.value()) {
            found.outcomes.push((key, Place(place.value())));
        }
    }
    let locks: ReadOnlyTable<StorageKey, &[u8]> = txn.open_table(LOCKS)?;
    let due = due(now);
    for entry in locks.range::<&[u8; Key::STORAGE_LEN]>(due.start()..=due.end())? {
        if found.locks.len() == limits.1 {
            break;
        }
        if found.notes.len() == MOST_RENEWED {
            found.is_truncated = true;
            break;
        }
        let (note, value) = entry?;
        let Some((note, key)) = read_note(note.value(), value.value()) else { continue };
        match read_lock(&locks, &key, now) {
            Ok(Some((_, record))) if record.is_expired(now) => found.locks.push((key, note)),
            Ok(_) | Err(Failure::Record(_)) => found.notes.push((key, note)),
            Err(failure) => return Err(failure),
        }
    }
    Ok(found)
}
