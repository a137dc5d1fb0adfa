//! What one scope may fill of the disk: the rule, and the counting that it is held to.
//!
//! A new key is refused while its scope holds more than `share / (1 - share)` times what is free, see
//! [`max_share_per_scope`](crate::RedbConfig::max_share_per_scope). What a scope holds is [counted](crate::held) as it is
//! committed; what waits in the same commit is not counted yet.

use std::sync::Arc;
use std::time::Duration;

use idem_core::{Error, ErrorKind, Key, Operation, Scope};

use crate::error::Failure;
use crate::held::{Changes, Held, ScopeId};
use crate::room::Room;
use crate::tables::Tables;

/// What a lock, its note, and their places in the file take.
pub(crate) const LOCK: i64 = 288;

/// How long changes are counted before the counts are written down, in the next commit.
const SAVED_EVERY: Duration = Duration::from_secs(1);
/// How many bytes of changes are: to be wrong by so much after a crash is no matter, and a fast sweep removes far more
/// in a second.
const SAVED_AFTER: u64 = 64 << 10;

/// What a file says of itself when it is opened.
#[derive(Debug)]
pub(crate) struct Known {
    /// What its scopes hold. `None`: it does not say, and holds records all the same.
    pub(crate) held: Option<Held>,
    /// Whether there are tables of the application's in it.
    pub(crate) has_rows: bool,
}

/// Whether anybody counts what the scopes of a database hold, and what the database itself says of it.
#[derive(Debug)]
pub(crate) struct Counting {
    share: Option<Share>,
    /// Whether the database may say what scopes hold, while nobody counts any more: a later opening must not believe it.
    is_stale: bool,
}

impl Counting {
    pub(crate) fn new(share: Option<Share>) -> Self {
        Self { is_stale: share.is_none(), share }
    }

    pub(crate) fn share(&self) -> Option<&Share> {
        self.share.as_ref()
    }

    /// Another database of the application's was taken over.
    pub(crate) fn adopted(&mut self) {
        self.is_stale = true;
    }

    /// Counts the changes made in `tables`, and writes the counts down now and then.
    pub(crate) fn write(&self, tables: &mut Tables<'_>, now: Duration) -> Result<Option<Counts>, Failure> {
        let Some(share) = &self.share else { return self.forget(tables).map(|()| None) };
        let (counts, is_due) = share.with(&tables.take_changes(), now);
        if is_due {
            tables.write_held(&counts.held)?;
        }
        Ok(Some(counts))
    }

    /// Writes down what was counted so far.
    pub(crate) fn write_all(&self, tables: &mut Tables<'_>) -> Result<(), Failure> {
        match &self.share {
            Some(share) => tables.write_held(share.held()),
            None => self.forget(tables),
        }
    }

    fn forget(&self, tables: &mut Tables<'_>) -> Result<(), Failure> {
        if self.is_stale { tables.remove_held() } else { Ok(()) }
    }

    /// What was written is committed.
    pub(crate) fn committed(&mut self, counts: Option<Counts>) {
        self.is_stale = false;
        if let (Some(share), Some(counts)) = (&mut self.share, counts) {
            share.committed(counts);
        }
    }
}

/// Looks after the shares of scopes.
#[derive(Debug)]
pub(crate) struct Share {
    option: f64,
    /// The one that has no share: it is the choice of an application that has one tenant.
    shared: Option<ScopeId>,
    room: Arc<Room>,
    counts: Counts,
}

/// What is counted, and how much of it is not written down yet.
#[derive(Debug, Clone)]
pub(crate) struct Counts {
    pub(crate) held: Held,
    unsaved: u64,
    /// `None` until it was written down once.
    saved_at: Option<Duration>,
}

impl Share {
    /// Of a file of which so much is known.
    pub(crate) fn new(option: f64, room: Arc<Room>, known: Known) -> Self {
        if known.has_rows {
            room.has_rows();
        }
        // One that does not say it is full of records, as far as anybody knows: as these go, it gets room.
        let held = known.held.unwrap_or_else(|| Held::unknown(room.most_counted()));
        room.count(held.all());
        let counts = Counts { held, unsaved: 0, saved_at: None };
        Self { option, shared: shared_scope(), room, counts }
    }

    /// Refuses a new key where the room that is left is for those who hold one, or where its scope holds too much of what
    /// there is.
    #[expect(clippy::cast_precision_loss, reason = "bytes of a disk, to 53 bits")]
    pub(crate) fn check(&self, key: &Key) -> idem_core::Result<()> {
        let free = self.free();
        if let Some(free) = free
            && free < self.room.reserve()
        {
            return Err(nearly_full(free));
        }
        let scope = scope_of(key);
        let held = self.counts.held.of(&scope);
        // Of no scope is the first record refused, nor of one that is too small to be counted.
        if held == 0 || self.shared == Some(scope) || self.option >= 1.0 {
            return Ok(());
        }
        let per_free = self.option / (1.0 - self.option);
        match free {
            Some(free) if held as f64 > per_free * free as f64 => Err(self.refusal(held, free)),
            _ => Ok(()),
        }
    }

    #[cold]
    fn refusal(&self, held: u64, free: u64) -> Error {
        let (held, free) = (kibibytes(held), kibibytes(free));
        let message = format!(
            "this scope holds {held} or more, which is its share (max_share_per_scope = {}) while {free} is left on \
             the disk; its known keys go on, and its records make room as they expire",
            self.option
        );
        Error::new(ErrorKind::Full, Operation::Lock, message)
    }

    /// What is counted once `changes` are committed, and whether it is to be written down with them.
    pub(crate) fn with(&self, changes: &Changes, now: Duration) -> (Counts, bool) {
        let mut counts = self.counts.clone();
        for (scope, bytes) in changes.iter() {
            counts.held.change((self.shared != Some(*scope)).then_some(scope), *bytes);
            counts.unsaved = counts.unsaved.saturating_add(bytes.unsigned_abs());
        }
        let is_due = counts.unsaved > SAVED_AFTER
            || counts.saved_at.is_none_or(|saved_at| now.saturating_sub(saved_at) > SAVED_EVERY);
        if is_due {
            (counts.unsaved, counts.saved_at) = (0, Some(now));
        }
        (counts, is_due)
    }

    /// How much of the file all records take, where they are all that is in it.
    pub(crate) fn in_use(&self) -> Option<u64> {
        self.room.in_use(self.counts.held.all())
    }

    /// How much is left to take, where anybody knows.
    pub(crate) fn free(&self) -> Option<u64> {
        self.room.free(self.counts.held.all())
    }

    /// The application may have written beside the records.
    pub(crate) fn has_rows(&self) {
        self.room.has_rows();
    }

    /// Takes over what was counted, once it is committed.
    pub(crate) fn committed(&mut self, counts: Counts) {
        self.room.count(counts.held.all());
        self.counts = counts;
    }

    /// What is counted.
    pub(crate) fn held(&self) -> &Held {
        &self.counts.held
    }
}

#[cold]
fn nearly_full(free: u64) -> Error {
    let message = format!(
        "the disk is nearly full: the {} that is left is kept for those who hold a key; nothing already kept is lost",
        kibibytes(free)
    );
    Error::new(ErrorKind::Full, Operation::Lock, message)
}

fn kibibytes(bytes: u64) -> String {
    format!("{} KiB", bytes >> 10)
}

pub(crate) fn scope_of(key: &Key) -> ScopeId {
    let mut scope = ScopeId::default();
    let length = scope.len();
    scope.copy_from_slice(&key.storage_key()[..length]);
    scope
}

/// `None` never happens: the text of the key is a valid one.
fn shared_scope() -> Option<ScopeId> {
    Key::new(&Scope::shared(), "any").ok().map(|key| scope_of(&key))
}
