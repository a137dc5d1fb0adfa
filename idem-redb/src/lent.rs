//! Storage lent to redb, which can be taken back.
//!
//! A write transaction that is never ended, because a table of it was leaked, keeps its database open for ever, and
//! with it the lock on its file. Taken back, the storage is closed all the same, and can be opened again.

use std::io;
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock};

use redb::{BackendError, StorageBackend};

/// One opening of a storage. Clones are the same.
#[derive(Debug)]
pub(crate) struct Lent<B>(Arc<RwLock<Option<B>>>);

/// Taking back a [`Lent`] storage of whatever kind.
pub(crate) trait TakeBack: Send {
    /// Closes the storage; whoever still uses it gets errors. Nothing is done to one that was closed before.
    fn take_back(&self) -> io::Result<()>;
}

impl<B: StorageBackend> Lent<B> {
    pub(crate) fn new(storage: B) -> Self {
        Self(Arc::new(RwLock::new(Some(storage))))
    }

    fn with<T, E: From<io::Error>>(&self, act: impl FnOnce(&B) -> Result<T, E>) -> Result<T, E> {
        match &*self.0.read().unwrap_or_else(PoisonError::into_inner) {
            Some(storage) => act(storage),
            None => Err(io::Error::other("the storage was closed").into()),
        }
    }
}

impl<B> Clone for Lent<B> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<B: StorageBackend> TakeBack for Lent<B> {
    fn take_back(&self) -> io::Result<()> {
        let storage = self.0.write().unwrap_or_else(PoisonError::into_inner).take();
        storage.map_or(Ok(()), |storage| storage.close())
    }
}

impl<B: StorageBackend> StorageBackend for Lent<B> {
    fn len(&self) -> io::Result<u64> {
        self.with(B::len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.with(|storage| storage.read(offset, out))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.with(|storage| storage.set_len(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.with(B::sync_data)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.with(|storage| storage.write(offset, data))
    }

    fn close(&self) -> io::Result<()> {
        self.take_back()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.with(|storage| storage.try_lock_range(start, end))
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.with(|storage| storage.try_lock_shared_range(start, end))
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
