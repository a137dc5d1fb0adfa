//! The only file of the simulated disk, as redb uses it.

use std::fmt;
use std::io;
use std::ops::Bound;

use redb::{BackendError, StorageBackend};

use super::disk::{Disk, Kind};

/// One handle on a [`Disk`]'s file.
pub(crate) struct FaultyStorage {
    disk: Disk,
    handle: u64,
}

impl FaultyStorage {
    pub(super) fn new(disk: Disk, handle: u64) -> Self {
        Self { disk, handle }
    }
}

impl StorageBackend for FaultyStorage {
    fn len(&self) -> io::Result<u64> {
        let mut state = self.disk.state();
        state.admit(Kind::Other)?;
        Ok(state.image.bytes().len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut state = self.disk.state();
        state.admit(Kind::Other)?;
        let start = usize::try_from(offset).unwrap();
        let end = start + out.len();
        let found = state.image.bytes().get(start..end).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(found);
        state.counts.read += out.len() as u64;
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        let cut = state.admit(Kind::Change)?;
        if state.faults.most_bytes.is_some_and(|most| len > most) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        state.set_len(usize::try_from(len).unwrap());
        state.cut(cut)
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.disk.state_for_sync();
        let cut = match state.admit(Kind::Change) {
            Ok(cut) => cut,
            Err(error) => {
                if state.faults.failed_sync_forgets && !state.power_is_off {
                    state.image.forget_unsynced();
                }
                return Err(error);
            }
        };
        state.cut(cut)?;
        state.counts.syncs += 1;
        if !state.faults.lies {
            state.image.sync();
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.disk.state();
        let cut = state.admit(Kind::Change)?;
        state.counts.written += data.len() as u64;
        let offset = usize::try_from(offset).unwrap();
        if offset + data.len() > state.image.bytes().len() {
            state.set_len(offset + data.len());
        }
        let written = state.take_blocks(offset, data.len());
        state.image.write(offset, &data[..written]);
        state.cut(cut)?;
        if written < data.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn close(&self) -> io::Result<()> {
        self.disk.state().unlock(self.handle);
        Ok(())
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        whole(start, end)?;
        Ok(self.disk.state().lock(self.handle))
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        whole(start, end)?;
        self.disk.state().unlock(self.handle);
        Ok(())
    }
}

/// Only locks of the whole file are supported: it then has one user at a time.
fn whole(start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
    match (start, end) {
        (Bound::Unbounded | Bound::Included(0), Bound::Unbounded) => Ok(()),
        _ => Err(BackendError::Unsupported),
    }
}

impl fmt::Debug for FaultyStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FaultyStorage({})", self.handle)
    }
}
