//! Removing the records of a scope.

use std::future::Future;

use futures_util::StreamExt as _;
use futures_util::stream;

use super::cursor::Cursor;
use super::entry::{Entry, Page};
use super::request::Scan;
use crate::error::{ErrorKind, Operation, Result};
use crate::identity::{Key, Scope};
use crate::record::Record;

/// Records that one call looks at.
const STEP: usize = 256;
/// Removals that are under way at once: stores carry out together what comes together.
const AT_ONCE: usize = 16;

/// What one step of [`Store::erase`](crate::Store::erase) did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Erased {
    /// How many records were removed.
    pub removed: u64,
    /// How many were left, since their lease is live; in PostgreSQL also those that a transaction has locked.
    pub held: u64,
    /// How many were found to be damaged, or of a later version, and left.
    pub damaged: u64,
    /// Where the next step goes on; `None`: this was the last one.
    pub next: Option<Cursor>,
}

#[derive(Clone, Copy)]
enum Removal {
    Removed,
    Held,
    Damaged,
    Gone,
}

/// The scan of one step of an erasure.
pub(crate) fn step(scope: &Scope) -> Scan {
    Scan::of_scope(scope).with_limit(STEP)
}

/// [`Store::erase`](crate::Store::erase) of the records that `page` lists, by the calls of the store.
pub(crate) async fn erase_page<R, G>(
    page: Page,
    force: bool,
    remove: impl Fn(Key) -> R + Sync,
    get: impl Fn(Key) -> G + Sync,
) -> Result<Erased>
where
    R: Future<Output = Result<bool>> + Send,
    G: Future<Output = Result<Option<Record>>> + Send,
{
    let (remove, get) = (&remove, &get);
    let removal = |entry: Entry| async move {
        if !force && entry.lease_remaining().is_some() {
            return Ok(Removal::Held);
        }
        match remove(entry.key).await {
            Ok(true) => Ok(Removal::Removed),
            Ok(false) if force => Ok(Removal::Gone),
            // It has expired or was removed since, or else somebody has locked it.
            Ok(false) => Ok(match get(entry.key).await?.and_then(|record| record.lease_remaining()) {
                Some(_) => Removal::Held,
                None => Removal::Gone,
            }),
            Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Incompatible) => {
                Ok(Removal::Damaged)
            }
            Err(error) => Err(error),
        }
    };
    let mut erased = Erased { next: page.next, ..Erased::default() };
    let mut removals = stream::iter(page.entries).map(removal).buffer_unordered(AT_ONCE);
    while let Some(removal) = removals.next().await {
        match removal.map_err(|error| error.during(Operation::Erase))? {
            Removal::Removed => erased.removed += 1,
            Removal::Held => erased.held += 1,
            Removal::Damaged => erased.damaged += 1,
            Removal::Gone => {}
        }
    }
    Ok(erased)
}
