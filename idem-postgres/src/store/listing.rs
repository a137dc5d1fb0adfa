//! `scan` and `erase`: records in the order of their keys.

use std::sync::Arc;

use idem_core::backend::codec::{self, HEAD_LEN};
use idem_core::clock::Timestamp;
use idem_core::error::Operation;
use idem_core::scan::{Cursor, Entry, Erased, Page, RecordState, Scan, Summary};
use idem_core::{Key, Result, Scope};

use super::operator_calls::{OperatorCalls, OwnedParameter};
use crate::batch::{Columns, key_of};
use crate::error::Failure;
use crate::sql::Row;

/// Records that one call of `erase` looks at: it holds locks on all of them until its commit.
const STEP: usize = 16;
/// What an unfinished record may be found to be.
const UNFINISHED: [RecordState; 4] =
    [RecordState::Held, RecordState::Lapsed, RecordState::Released, RecordState::Damaged];
/// Position: the key that was looked at last.
const TAG: [u8; 2] = *b"Pk";

impl OperatorCalls {
    pub(super) async fn scan(self: &Arc<Self>, scan: &Scan, after: Option<&Cursor>) -> Result<Page> {
        scan.check()?;
        let [from, to] = range(scan.scope, after)?;
        let wants = |states: &[RecordState]| states.iter().any(|state| scan.wants(*state));
        let parameters = vec![
            OwnedParameter::Bytes(from),
            OwnedParameter::Bytes(to),
            OwnedParameter::Number(scan.limit),
            // A damaged record may say that it is either.
            OwnedParameter::Flag(wants(&[RecordState::Completed, RecordState::Damaged])),
            OwnedParameter::Flag(wants(&UNFINISHED)),
        ];
        let statement = format!("SELECT * FROM {}.scan($1, $2, $3, $4, $5)", self.schema());
        let rows = self.rows(Operation::Scan, statement, parameters, false).await?;
        page(scan, &rows).map_err(|failure| failure.error(Operation::Scan))
    }

    pub(super) async fn erase(
        self: &Arc<Self>,
        scope: &Scope,
        force: bool,
        after: Option<&Cursor>,
    ) -> Result<Erased> {
        let range = range(Some(scope.prefix()), after);
        let [from, to] = range.map_err(|error| error.during(Operation::Erase))?;
        let parameters = vec![
            OwnedParameter::Bytes(from),
            OwnedParameter::Bytes(to),
            OwnedParameter::Flag(force),
            OwnedParameter::Number(STEP),
        ];
        let statement = format!("SELECT * FROM {}.erase($1, $2, $3, $4)", self.schema());
        let row = self.row(Operation::Erase, statement, parameters).await?;
        let read = || -> Result<Erased, Failure> {
            let number = |name| row.get::<i64>(name).map(|number| u64::try_from(number).unwrap_or(0));
            let last: Option<&[u8]> = row.get("last")?;
            let next = last.map(cursor).transpose()?;
            Ok(Erased { removed: number("removed")?, held: number("held")?, damaged: 0, next })
        };
        read().map_err(|failure| failure.error(Operation::Erase))
    }
}

fn cursor(last: &[u8]) -> Result<Cursor, Failure> {
    Cursor::new(TAG, last).map_err(|error| Failure::incompatible(error.message()))
}

/// The key behind which to begin, and the last one.
fn range(scope: Option<[u8; Scope::PREFIX_LEN]>, after: Option<&Cursor>) -> Result<[Vec<u8>; 2]> {
    let mut last = [u8::MAX; Key::STORAGE_LEN];
    let mut from = Vec::new();
    if let Some(scope) = scope {
        last[..Scope::PREFIX_LEN].copy_from_slice(&scope);
        // It is shorter than any key of the scope, and so before all of them.
        from = scope.to_vec();
    }
    if let Some(cursor) = after {
        let Some((TAG, position)) = cursor.parts() else { return Err(Cursor::invalid()) };
        // That of another scope would pass over keys of this one.
        if position.len() != Key::STORAGE_LEN || !position.starts_with(&from) {
            return Err(Cursor::invalid());
        }
        from = position.to_vec();
    }
    Ok([from, last.to_vec()])
}

fn page(scan: &Scan, rows: &[Row]) -> Result<Page, Failure> {
    let mut page = Page::default();
    for row in rows {
        let entry = entry(row)?;
        let number = |name| row.get::<i64>(name).map(|number| usize::try_from(number).unwrap_or(0));
        let (number, examined) = (number("number")?, number("looked")?);
        if number == examined && examined == scan.limit {
            page.next = Some(cursor(entry.key.storage_key())?);
        }
        page.examined = examined;
        page.entries.extend(scan.matches(&entry).then_some(entry));
    }
    Ok(page)
}

fn entry(row: &Row) -> Result<Entry, Failure> {
    let columns = Columns::of(row);
    Ok(Entry {
        key: Key::from_storage_key(key_of(row)?),
        bytes: columns.number("bytes")?,
        as_of: Timestamp::from_micros(columns.number("now")?),
        summary: summary(row, &columns)?,
    })
}

/// The summary of the record that the columns say; `None`: they are not what was written.
fn summary(row: &Row, columns: &Columns<'_>) -> Result<Option<Summary>, Failure> {
    let state: i16 = row.get("state")?;
    let (Ok(state), Ok(token), Ok(fingerprint)) =
        (u8::try_from(state), columns.token()?, columns.fingerprint()?)
    else {
        return Ok(None);
    };
    let times = if state == 3 { ["completed_at", "expires_at"] } else { ["lease_until", "retention"] };
    let attempt = u32::try_from(columns.number("attempt")?).unwrap_or(u32::MAX);
    let kind: &[u8] = row.get("kind")?;
    // As the first bytes of a record, which core reads.
    let mut head = Vec::with_capacity(HEAD_LEN);
    head.extend_from_slice(&[codec::VERSION, state]);
    head.extend_from_slice(&attempt.to_be_bytes());
    head.extend_from_slice(&token.sequence.to_be_bytes());
    head.extend_from_slice(token.owner.as_bytes());
    for time in times {
        head.extend_from_slice(&columns.number(time)?.to_be_bytes());
    }
    head.extend_from_slice(&columns.step()?.to_be_bytes());
    head.extend_from_slice(fingerprint.as_bytes());
    head.extend_from_slice(kind);
    Ok(codec::summarize_head(&head).ok())
}
