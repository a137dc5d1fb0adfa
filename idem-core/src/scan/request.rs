//! Which records are wanted.

use std::fmt;

use super::entry::Entry;
use crate::error::{Error, ErrorKind, Operation, Result};
use crate::identity::{Key, Scope};

/// Which records a scan lists, and how many it looks at in one call.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Scan {
    /// Only keys of the scope with this [prefix](Scope::prefix); `None`: of all scopes.
    pub scope: Option<[u8; Scope::PREFIX_LEN]>,
    /// Only records in these states; empty: in any.
    pub states: Vec<RecordState>,
    /// Whether expired records, which nothing has removed yet, are listed.
    pub expiry: Expiry,
    /// How many records one call looks at: 1 to [`MAX_LIMIT`](Scan::MAX_LIMIT). By default
    /// [`DEFAULT_LIMIT`](Scan::DEFAULT_LIMIT).
    pub limit: usize,
}

impl Scan {
    /// The largest [`limit`](Scan::limit).
    pub const MAX_LIMIT: usize = 10_000;
    /// The [`limit`](Scan::limit) where none is given.
    pub const DEFAULT_LIMIT: usize = 1_000;

    /// Of all scopes, in any state, not expired.
    #[must_use]
    pub fn all() -> Self {
        Self { scope: None, states: Vec::new(), expiry: Expiry::default(), limit: Self::DEFAULT_LIMIT }
    }

    /// Of one scope, in any state, not expired.
    #[must_use]
    pub fn of_scope(scope: &Scope) -> Self {
        Self { scope: Some(scope.prefix()), ..Self::all() }
    }

    /// Also those in `state`; the first call of this method leaves out all other states.
    #[must_use]
    pub fn with_state(mut self, state: RecordState) -> Self {
        self.states.push(state);
        self
    }

    /// With this [`expiry`](Scan::expiry).
    #[must_use]
    pub fn with_expiry(self, expiry: Expiry) -> Self {
        Self { expiry, ..self }
    }

    /// With this [`limit`](Scan::limit).
    #[must_use]
    pub fn with_limit(self, limit: usize) -> Self {
        Self { limit, ..self }
    }

    /// For those who write a store, to be called first.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for a limit outside its bounds.
    pub fn check(&self) -> Result<()> {
        if (1..=Self::MAX_LIMIT).contains(&self.limit) {
            return Ok(());
        }
        let message =
            format!("the limit is {}; a scan looks at 1 to {} records a call", self.limit, Self::MAX_LIMIT);
        Err(Error::new(ErrorKind::InvalidArgument, Operation::Scan, message))
    }

    /// Whether the scope of `key` is wanted at all.
    #[must_use]
    pub fn covers(&self, key: &Key) -> bool {
        self.scope.is_none_or(|scope| key.scope_prefix() == scope)
    }

    /// Whether records in `state` are wanted at all. A store need not look where there can be none.
    #[must_use]
    pub fn wants(&self, state: RecordState) -> bool {
        self.states.is_empty() || self.states.contains(&state)
    }

    /// Whether `entry` is to be listed.
    #[must_use]
    pub fn matches(&self, entry: &Entry) -> bool {
        let in_time = match self.expiry {
            Expiry::NotExpired => !entry.is_expired(),
            Expiry::Expired => entry.is_expired(),
            Expiry::Either => true,
        };
        in_time && self.wants(entry.state()) && self.covers(&entry.key)
    }
}

/// Whether expired records are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Expiry {
    /// Only records that callers still find.
    #[default]
    NotExpired,
    /// Only records that are as good as gone.
    Expired,
    /// Both.
    Either,
}

/// What can be said of a record in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum RecordState {
    /// Locked, and its lease is live.
    Held,
    /// Locked, its lease is over, and nobody has taken over: its holder is gone, or is late.
    Lapsed,
    /// Released with a checkpoint. The next attempt may begin at once.
    Released,
    /// Completed: retries get its outcome.
    Completed,
    /// It cannot be read: its bytes are not what was written, or it is of a later version. A scan may not notice damage, since
    /// it need not read outcomes and checkpoints.
    Damaged,
}

impl RecordState {
    /// Every state.
    pub const ALL: [Self; 5] = [Self::Held, Self::Lapsed, Self::Released, Self::Completed, Self::Damaged];

    /// The state in one word of lower case.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Lapsed => "lapsed",
            Self::Released => "released",
            Self::Completed => "completed",
            Self::Damaged => "damaged",
        }
    }
}

impl fmt::Display for RecordState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
