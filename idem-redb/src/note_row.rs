//! How many notes there are, so that the locks can be counted, and whether each lock has one.
//!
//! Locks and notes stand in one table, of which redb tells the number of rows alone. The row changes with the notes,
//! and not with the locks. A version that does not know it leaves it as it is: so it names the mark that it was
//! committed beside, and is not believed beside another.

use crate::mark::{self, Mark};

const COVERED: usize = 24;
const LEN: usize = COVERED + 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoteRow {
    /// How many notes there are.
    pub(crate) notes: u64,
    /// Whether each lock has one: then nobody has to look for those that have none.
    pub(crate) is_complete: bool,
}

impl NoteRow {
    /// What is known where nothing was written down, of so many locks and notes together: each lock has its note.
    pub(crate) fn of_pairs(rows: u64) -> Self {
        Self { notes: rows / 2, is_complete: true }
    }

    /// What it is once so many notes came or went, and locks without one.
    pub(crate) fn after(self, noted: i64, has_young: bool) -> Self {
        Self { notes: self.notes.saturating_add_signed(noted), is_complete: self.is_complete && !has_young }
    }

    pub(crate) fn to_bytes(self, beside: Mark) -> [u8; LEN] {
        let mut bytes = [0; LEN];
        bytes[..8].copy_from_slice(&self.notes.to_be_bytes());
        bytes[8..16].copy_from_slice(&u64::from(self.is_complete).to_be_bytes());
        bytes[16..24].copy_from_slice(&mark::sum(&beside.to_bytes()).to_be_bytes());
        let sum = mark::sum(&bytes[..COVERED]);
        bytes[COVERED..].copy_from_slice(&sum.to_be_bytes());
        bytes
    }

    /// What stands beside `mark`, among so many locks and notes. Damaged: there may be locks without a note.
    pub(crate) fn from_bytes(bytes: &[u8], mark: Mark, rows: u64) -> Self {
        let guess = Self::of_pairs(rows);
        let fields = <[[u8; 8]; 4]>::try_from(bytes.as_chunks().0).ok();
        let Some([notes, is_complete, beside, stored]) = fields.map(|all| all.map(u64::from_be_bytes)) else {
            return Self { is_complete: false, ..guess };
        };
        if bytes.len() != LEN || stored != mark::sum(&bytes[..COVERED]) {
            return Self { is_complete: false, ..guess };
        }
        let is_of_mark = beside == mark::sum(&mark.to_bytes());
        // An older version gives each lock its note, and looks for none.
        Self { notes: if is_of_mark { notes } else { guess.notes }, is_complete: is_complete == 1 }
    }
}

#[cfg(test)]
mod tests {
    use idem_core::Timestamp;

    use super::*;

    fn mark(time: u64) -> Mark {
        Mark { time: Timestamp::from_micros(time), ..Mark::default() }
    }

    #[test]
    fn a_row_is_believed_beside_its_mark_alone() {
        for is_complete in [true, false] {
            let row = NoteRow { notes: 7, is_complete };
            let bytes = row.to_bytes(mark(5));
            assert_eq!(NoteRow::from_bytes(&bytes, mark(5), 40), row);
            assert_eq!(NoteRow::from_bytes(&bytes, mark(6), 40), NoteRow { notes: 20, is_complete });
        }
    }

    #[test]
    fn a_damaged_row_claims_nothing() {
        let bytes = NoteRow { notes: 7, is_complete: true }.to_bytes(mark(5));
        let nothing = NoteRow { notes: 20, is_complete: false };
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(NoteRow::from_bytes(&damaged, mark(5), 40), nothing, "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert_eq!(NoteRow::from_bytes(&bytes[..length], mark(5), 40), nothing, "length {length}");
        }
    }
}
