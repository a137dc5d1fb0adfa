//! Storage given to redb that can be revoked.
//!
//! A write transaction that never ends, because a table of it was leaked, keeps its database open forever, and with it
//! the lock on its file. Revoking the storage closes it all the same, so that the file can be opened again. Passing it
//! on lets the next database use it without closing it in between.

use std::io;
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use redb::{BackendError, StorageBackend};

use crate::error::{Revoked, is_full};

/// One opening of a storage. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct RevocableStorage(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    storage: RwLock<Option<Box<dyn StorageBackend>>>,
    /// Whether the database before has locked the storage, and left it locked.
    is_locked: bool,
    /// The length that the storage had before it last grew; [`NOT_GROWN`] once the space behind it may be in use.
    grown_from: AtomicU64,
    /// Whether an operation ran out of space.
    was_out_of_space: AtomicBool,
}

const NOT_GROWN: u64 = u64::MAX;

impl RevocableStorage {
    pub(crate) fn new(storage: impl StorageBackend) -> Self {
        Self::with_storage(Box::new(storage), false)
    }

    fn with_storage(storage: Box<dyn StorageBackend>, is_locked: bool) -> Self {
        let grown_from = AtomicU64::new(NOT_GROWN);
        Self(Arc::new(Inner {
            storage: RwLock::new(Some(storage)),
            is_locked,
            grown_from,
            was_out_of_space: AtomicBool::new(false),
        }))
    }

    /// Closes the storage: every later use of it fails. Does nothing when it was closed before.
    pub(crate) fn revoke(&self) -> io::Result<()> {
        self.take().map_or(Ok(()), |storage| storage.close())
    }

    /// Its length in bytes; `None` when it was closed, or does not know.
    pub(crate) fn length(&self) -> Option<u64> {
        self.with(StorageBackend::len).ok()
    }

    /// The same storage for the next database, with its locks, so that no other process comes in between. Every later
    /// use of this one fails. `None` when it was closed.
    pub(crate) fn pass_on(&self) -> Option<Self> {
        let storage = self.take()?;
        // A file that grew has holes. Writing into them takes space, which may be missing, and the database would
        // prefer them to free pages that have their space already.
        let grown_from = self.0.grown_from.load(Ordering::Acquire);
        if grown_from != NOT_GROWN
            && let Err(error) = storage.set_len(grown_from)
        {
            tracing::debug!(error = &error as &dyn std::error::Error, "the storage stays longer than it was");
        }
        Some(Self::with_storage(storage, true))
    }

    fn take(&self) -> Option<Box<dyn StorageBackend>> {
        self.0.storage.write().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn with<T, E: From<io::Error>>(
        &self,
        act: impl FnOnce(&dyn StorageBackend) -> Result<T, E>,
    ) -> Result<T, E> {
        match &*self.0.storage.read().unwrap_or_else(PoisonError::into_inner) {
            Some(storage) => act(&**storage),
            None => Err(io::Error::other(Revoked).into()),
        }
    }

    /// Whether an operation ran out of space since this was last called.
    pub(crate) fn take_out_of_space(&self) -> bool {
        self.0.was_out_of_space.swap(false, Ordering::AcqRel)
    }

    fn change<T>(&self, act: impl FnOnce(&dyn StorageBackend) -> io::Result<T>) -> io::Result<T> {
        let done = self.with(act);
        if let Err(error) = &done
            && is_full(error)
        {
            self.0.was_out_of_space.store(true, Ordering::Release);
        }
        done
    }

    fn lock(
        &self,
        lock: impl FnOnce(&dyn StorageBackend) -> Result<bool, BackendError>,
    ) -> Result<bool, BackendError> {
        if self.0.is_locked { Ok(true) } else { self.with(lock) }
    }
}

impl StorageBackend for RevocableStorage {
    fn len(&self) -> io::Result<u64> {
        self.with(StorageBackend::len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.with(|storage| storage.read(offset, out))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(|storage| {
            let before = storage.len()?;
            storage.set_len(len)?;
            if len <= before {
                self.0.grown_from.store(NOT_GROWN, Ordering::Release);
            } else {
                self.0.grown_from.fetch_min(before, Ordering::AcqRel);
            }
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.change(StorageBackend::sync_data)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        // This is redb's header: from now on, committed data may be anywhere in the file.
        if offset == 0 {
            self.0.grown_from.store(NOT_GROWN, Ordering::Release);
        }
        self.change(|storage| storage.write(offset, data))
    }

    fn close(&self) -> io::Result<()> {
        self.revoke()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.lock(|storage| storage.try_lock_range(start, end))
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.lock(|storage| storage.try_lock_shared_range(start, end))
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.with(|storage| storage.lock_range(start, end))
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.with(|storage| storage.lock_shared_range(start, end))
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.with(|storage| storage.unlock_range(start, end))
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.with(|storage| storage.query_lock_range(start, end))
    }
}
