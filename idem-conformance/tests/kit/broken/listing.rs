//! `scan` and `erase` of the broken store.

use std::ops::Bound;

use idem_core::error::Operation;
use idem_core::scan::{Cursor, Entry, Erased, Expiry, Page, RecordState, Scan, Stage, Summary};
use idem_core::{Error, ErrorKind, Key, Result, Scope, Store};

use super::BrokenStore;
use crate::flaw::Flaw;
use crate::kept::{Kept, lock};

const CURSOR: [u8; 2] = *b"\xFFb";

impl BrokenStore {
    pub(super) fn list(&self, scan: &Scan, after: Option<&Cursor>) -> Result<Page> {
        match self.flaw {
            Flaw::ScansNever => {
                return Err(Error::new(ErrorKind::Unsupported, Operation::Scan, "it claims to"));
            }
            Flaw::ScansNothing => return Ok(Page::default()),
            Flaw::TakesAnyLimit => {}
            _ => scan.check()?,
        }
        let scan = self.altered(scan);
        let from = self.position(after)?;
        let (kept, now) = (lock(&self.kept), self.now());
        let from = from.map_or(Bound::Unbounded, Bound::Excluded);
        let mut behind = kept.records.range((from, Bound::Unbounded));
        let (mut page, mut last) = (Page::default(), None);
        for (key, record) in behind.by_ref().take(scan.limit) {
            let is_damaged = kept.corrupt.contains(key);
            if is_damaged && self.flaw == Flaw::ScansToFirstDamage {
                return Ok(page);
            }
            let size = record.outcome().map_or(0, idem_core::Outcome::size) as u64;
            let summary = (!is_damaged).then(|| Summary::of(record));
            let mut entry = Entry { key: *key, bytes: 100 + size, as_of: now, summary };
            self.misstate(&mut entry);
            page.examined += 1;
            page.entries.extend(scan.matches(&entry).then_some(entry));
            last = Some(*key);
        }
        let more = behind.next().is_some();
        if more && self.flaw == Flaw::ScansWithoutLastOfPage {
            page.entries.pop();
        }
        if self.flaw == Flaw::ScansWithoutLocks {
            page.entries.retain(|entry| entry.state() != RecordState::Held);
        }
        if self.flaw == Flaw::ScansGhosts && !more {
            let key = Key::from_storage_key([9; Key::STORAGE_LEN]);
            page.entries.push(Entry { key, bytes: 1, as_of: now, summary: None });
            page.examined += 1;
        }
        page.next = last.filter(|_| more).map(|last| self.cursor(&kept, &last)).transpose()?;
        Ok(page)
    }

    /// What is scanned for instead of what was asked for.
    fn altered(&self, scan: &Scan) -> Scan {
        let mut scan = scan.clone();
        match self.flaw {
            Flaw::ScansAllScopes => scan.scope = None,
            Flaw::ScansAllStates => scan.states.clear(),
            Flaw::ScansExpired => scan.expiry = Expiry::Either,
            _ => {}
        }
        scan
    }

    fn misstate(&self, entry: &mut Entry) {
        match (self.flaw, entry.summary.as_mut().map(|summary| &mut summary.stage)) {
            (Flaw::MisstatesStates, Some(Stage::Unfinished { held, .. })) => *held = true,
            (Flaw::MisstatesSizes, _) => entry.bytes = 1,
            _ => {}
        }
    }

    fn position(&self, after: Option<&Cursor>) -> Result<Option<Key>> {
        let Some(cursor) = after else { return Ok(None) };
        let key = match cursor.parts() {
            Some((CURSOR, key)) => key.try_into().ok().map(Key::from_storage_key),
            _ => None,
        };
        match (key, self.flaw) {
            // The number of records that were listed, of those that there were.
            (Some(key), Flaw::ScansByNumber) => {
                let seen = usize::from(key.storage_key()[0]);
                Ok(seen.checked_sub(1).and_then(|last| lock(&self.kept).records.keys().nth(last).copied()))
            }
            (Some(key), Flaw::SpendsItsCursors) if !lock(&self.kept).spent.insert(key) => {
                Err(Cursor::invalid())
            }
            (None, Flaw::TakesAnyCursor) => Ok(None),
            (None, _) => Err(Cursor::invalid()),
            (Some(key), _) => Ok(Some(key)),
        }
    }

    fn cursor(&self, kept: &Kept, last: &Key) -> Result<Cursor> {
        let mut position = *last.storage_key();
        if self.flaw == Flaw::ScansByNumber {
            position[0] = u8::try_from(kept.records.range(..=*last).count()).unwrap_or(u8::MAX);
        }
        Cursor::new(CURSOR, &position)
    }

    pub(super) async fn erase_step(
        &self,
        scope: &Scope,
        force: bool,
        after: Option<&Cursor>,
    ) -> Result<Erased> {
        let force = match self.flaw {
            Flaw::ErasesByForceAlways => true,
            Flaw::ErasesNeverByForce => false,
            _ => force,
        };
        let scan = match self.flaw {
            Flaw::ErasesAllScopes => Scan::all(),
            Flaw::ErasesCompletedOnly => Scan::of_scope(scope).with_state(RecordState::Completed),
            _ => Scan::of_scope(scope),
        };
        let page = self.list(&scan.with_limit(100), after)?;
        let next = page.next.filter(|_| self.flaw != Flaw::ErasesFirstStepOnly);
        let mut erased = Erased { next, ..Erased::default() };
        for entry in page.entries {
            match self.remove(&entry.key, force).await {
                Ok(true) => erased.removed += 1,
                Ok(false) => erased.held += 1,
                Err(error) if error.kind() == ErrorKind::Corrupt && self.flaw != Flaw::StopsAtDamage => {
                    if force {
                        let mut kept = lock(&self.kept);
                        kept.records.remove(&entry.key);
                        kept.corrupt.remove(&entry.key);
                    }
                    erased.damaged += 1;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(erased)
    }
}
