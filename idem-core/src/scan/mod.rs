//! Looking at the records of a store, and erasing those of a scope: what tools for operators are built on.
//!
//! A [`Scan`] says which records are wanted, and [`Store::scan`](crate::Store::scan) answers a [`Page`] of them, with what
//! is known of each except its outcome and its checkpoint. [`Stats`] counts what pages list.
//! [`Store::erase`](crate::Store::erase) removes the records of a scope.
//!
//! A store keeps digests, so nobody reads scopes or clients' keys out of it. Who knows scope and client key makes the
//! [`Key`](crate::Key) from them, and finds the record.
//!
//! ```
//! use idem_core::Store;
//! use idem_core::scan::{RecordState, Scan};
//!
//! /// Lists the keys whose holder is gone, or late: its lease is over, and nobody has taken over.
//! async fn lapsed(store: &dyn Store) -> idem_core::Result<()> {
//!     let (scan, mut after) = (Scan::all().with_state(RecordState::Lapsed), None);
//!     loop {
//!         let page = store.scan(&scan, after.as_ref()).await?;
//!         for entry in page.entries {
//!             println!("{} after attempt {}", entry.key, entry.summary.map_or(0, |summary| summary.attempt));
//!         }
//!         let Some(next) = page.next else { return Ok(()) };
//!         after = Some(next);
//!     }
//! }
//! ```

mod cursor;
mod entry;
mod erase;
mod request;
mod stats;

pub use cursor::Cursor;
pub use entry::{Entry, Page, Stage, Summary};
pub use erase::Erased;
pub(crate) use erase::{erase_page, step};
pub use request::{Expiry, RecordState, Scan};
pub use stats::{ScopeShare, Stats};

/// The error of a store that does not list its records.
pub(crate) fn unsupported() -> crate::Error {
    let message = "this store does not list its records";
    crate::Error::new(crate::ErrorKind::Unsupported, crate::error::Operation::Scan, message)
}
