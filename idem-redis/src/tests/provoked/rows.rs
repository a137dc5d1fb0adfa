//! Checks that no row is forgotten.

use super::list::{NOT_PROVOKED, PROVOKED};
use super::support::name;
use crate::protocol::errors::table::TABLE;

#[test]
fn every_row_is_provoked_or_says_why_not() {
    let excused = NOT_PROVOKED.iter().map(|(row, _)| *row);
    let known: Vec<_> = PROVOKED.iter().copied().chain(excused).collect();
    for row in TABLE {
        assert!(known.contains(&&*name(row)), "{} is neither provoked nor excused", name(row));
    }
    for row in known {
        assert!(TABLE.iter().any(|known| name(known) == row), "the table has no row {row}");
    }
}
