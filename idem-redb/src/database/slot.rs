//! Where the open database is kept: ready for use, or away (being reopened, compacted, or closed).

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock, TryLockError};

use idem_core::Result;
use redb::{Database, ReadTransaction, ReadableDatabase};
use tokio::sync::watch;

use crate::error::{Away, Failure};
use crate::storage::guard::{drop_guarded, guarded};
use crate::storage::tables::snapshot::Snapshot;

const PUT_ASIDE: Away = Away::transient("the database is being put aside");

/// Readers never block on it; only the writer puts the database in and takes it out.
#[derive(Debug)]
pub(crate) struct Slot {
    state: RwLock<State>,
    /// How many commits there were. A snapshot of an earlier commit is not read from.
    commits: AtomicU64,
    /// Whether a snapshot may be cached. A snapshot keeps redb from reusing the pages of its moment. In a database of
    /// the store's own the next commit drops it; in one that others write to, it would pin pages for longer.
    caches_snapshots: bool,
    /// Signals that the database was put in, or that the reason of its absence changed.
    changed: watch::Sender<()>,
    /// Set once the database must never be used again.
    lost: OnceLock<Away>,
    /// Whether the writer was asked to check the database after a failed read.
    check_requested: AtomicBool,
}

#[derive(Debug)]
enum State {
    Ready { database: Arc<Database>, cached: RwLock<Option<Box<CachedSnapshot>>> },
    Away(Away),
}

/// Opened once between two commits: opening a snapshot takes as long as reading from it.
struct CachedSnapshot {
    snapshot: Snapshot,
    commit: u64,
}

impl Slot {
    pub(crate) fn new(database: Arc<Database>, caches_snapshots: bool) -> Self {
        Self {
            state: RwLock::new(State::ready(database)),
            commits: AtomicU64::new(0),
            caches_snapshots,
            changed: watch::Sender::new(()),
            lost: OnceLock::new(),
            check_requested: AtomicBool::new(false),
        }
    }

    /// Whether the database is the store's own.
    pub(crate) fn is_own(&self) -> bool {
        self.caches_snapshots
    }

    /// Receives every later change of what readers find.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Sets whether a check after a failed read is requested; returns whether it was before.
    pub(crate) fn swap_check_requested(&self, requested: bool) -> bool {
        self.check_requested.swap(requested, Ordering::AcqRel)
    }

    /// Reads what was committed last. Never blocks.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&Snapshot) -> Result<T, Failure>) -> Result<T, Failure> {
        self.with_ready(|database, cached| {
            if let Ok(cached) = cached.try_read()
                && let Some(cached) = &*cached
                && cached.commit == self.commits.load(Ordering::Acquire)
            {
                return read(&cached.snapshot);
            }
            // Loaded before the transaction begins: a commit in between only makes the snapshot look older than it is.
            let commit = self.commits.load(Ordering::Acquire);
            let snapshot = Snapshot::open(&database.begin_read()?)?;
            let answer = read(&snapshot);
            if self.caches_snapshots
                && let Ok(mut cached) = cached.try_write()
            {
                *cached = Some(Box::new(CachedSnapshot { snapshot, commit }));
            }
            answer
        })
    }

    /// Reads in a transaction of its own, for long reads.
    pub(crate) fn scan<T>(
        &self,
        scan: impl FnOnce(&ReadTransaction) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.with_ready(|database, _| scan(&database.begin_read()?))
    }

    /// Lets later reads see what was committed. Called before any caller is answered.
    pub(crate) fn committed(&self) {
        self.commits.fetch_add(1, Ordering::AcqRel);
        if let State::Ready { cached, .. } = &*self.state.read().unwrap_or_else(PoisonError::into_inner) {
            *cached.write().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    /// Whether the database can be used.
    pub(crate) fn is_ready(&self) -> bool {
        matches!(*self.state.read().unwrap_or_else(PoisonError::into_inner), State::Ready { .. })
    }

    pub(crate) fn is_lost(&self) -> bool {
        self.lost.get().is_some()
    }

    /// Refuses everything from now on; returns whether this is the first time.
    pub(crate) fn mark_lost(&self, why: Away) -> bool {
        let is_new = self.lost.set(why).is_ok();
        self.changed.send_replace(());
        is_new
    }

    /// The database, without blocking.
    pub(crate) fn try_database(&self) -> Result<Arc<Database>, Failure> {
        self.with_ready(|database, _| Ok(Arc::clone(database)))
    }

    /// The database, for the writer alone: only the writer takes it out, and it may wait for readers.
    pub(crate) fn database(&self) -> Result<Arc<Database>, Failure> {
        if let Some(why) = self.lost.get() {
            return Err(Failure::Away(why.clone()));
        }
        match &*self.state.read().unwrap_or_else(PoisonError::into_inner) {
            State::Ready { database, .. } => Ok(Arc::clone(database)),
            State::Away(away) => Err(Failure::Away(away.clone())),
        }
    }

    /// Takes the database out, once no reader uses it any more.
    pub(crate) fn take(&self, why: Away) -> Option<Arc<Database>> {
        let before = {
            let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *state, State::Away(why))
        };
        self.changed.send_replace(());
        match before {
            State::Ready { database, cached } => {
                drop_guarded(cached);
                Some(database)
            }
            State::Away(_) => None,
        }
    }

    /// Changes the reason why the database is away, where it is away.
    pub(crate) fn explain(&self, why: Away) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if matches!(*state, State::Away(_)) {
            *state = State::Away(why);
        }
        drop(state);
        self.changed.send_replace(());
    }

    /// Puts a database in. The one before it, if any, stays readable until then, and is dropped.
    pub(crate) fn put(&self, database: Arc<Database>) {
        let ready = State::ready(database);
        let before =
            std::mem::replace(&mut *self.state.write().unwrap_or_else(PoisonError::into_inner), ready);
        self.changed.send_replace(());
        drop_guarded(before);
    }

    fn with_ready<T>(
        &self,
        read: impl FnOnce(&Arc<Database>, &RwLock<Option<Box<CachedSnapshot>>>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        if let Some(why) = self.lost.get() {
            return Err(Failure::Away(why.clone()));
        }
        let state = match self.state.try_read() {
            Ok(state) => state,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Err(Failure::Away(PUT_ASIDE)),
        };
        match &*state {
            State::Away(away) => Err(Failure::Away(away.clone())),
            State::Ready { database, cached } => guarded(|| read(database, cached)),
        }
    }
}

impl State {
    fn ready(database: Arc<Database>) -> Self {
        Self::Ready { database, cached: RwLock::new(None) }
    }
}

impl std::fmt::Debug for CachedSnapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CachedSnapshot").field("commit", &self.commit).finish_non_exhaustive()
    }
}
