//! A simulated disk that loses unsynced writes, fails, runs full, stalls and lies, on command.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use tokio::sync::Notify;

use super::image::Image;
use super::rng::Rng;
use super::storage::FaultyStorage;

/// The unit in which a file system allocates space.
const BLOCK: usize = 4096;

/// The disk. It outlives every store that is opened on it; clones are the same disk.
#[derive(Clone)]
pub(crate) struct Disk(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    released: Condvar,
    stalled: Notify,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) image: Image,
    /// Which blocks of the file take space.
    blocks: Vec<bool>,
    used_blocks: usize,
    pub(super) power_is_off: bool,
    handles: u64,
    locked_by: Option<u64>,
    pub(super) counts: Counts,
    pub(super) faults: Faults,
    stall_syncs: bool,
    /// How many syncs may go on although syncs are stalled.
    passes: u64,
}

/// The calls to the disk so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    /// All calls.
    pub(crate) calls: u64,
    /// Calls that change something: writes, changes of length, syncs.
    pub(crate) changes: u64,
    pub(crate) syncs: u64,
    /// Bytes that were read.
    pub(crate) read: u64,
    /// Bytes that were to be written.
    pub(crate) written: u64,
    /// How often it was opened.
    pub(crate) opened: u64,
}

/// What the disk does wrong. Numbers are absolute: compare [`Counts`].
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults {
    /// The power fails in the middle of this change.
    pub(crate) power_cut_at: Option<u64>,
    pub(crate) failure: Option<Failure>,
    /// How many blocks the file may take; more is `StorageFull`.
    pub(crate) space: Option<usize>,
    /// Writes fail outside of the first block, as on a full file system that copies on write.
    pub(crate) nothing_fits: bool,
    /// How many bytes long the file may be made; more is `StorageFull`.
    pub(crate) most_bytes: Option<u64>,
    /// Syncs claim success and do nothing.
    pub(crate) lies: bool,
    /// A failed sync drops what it should have synced, as on Linux.
    pub(crate) failed_sync_forgets: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Failure {
    /// Which call fails.
    pub(crate) at: u64,
    /// Whether every call after it fails as well.
    pub(crate) for_ever: bool,
}

impl Disk {
    /// An empty disk.
    pub(crate) fn new() -> Self {
        Self::holding(Vec::new())
    }

    pub(crate) fn holding(bytes: Vec<u8>) -> Self {
        let blocks: Vec<bool> =
            bytes.chunks(BLOCK).map(|block| *block != [0; BLOCK][..block.len()]).collect();
        let used_blocks = count(&blocks);
        let state = State { image: Image::synced(bytes), blocks, used_blocks, ..State::default() };
        Self(Arc::new(Shared { state: Mutex::new(state), released: Condvar::new(), stalled: Notify::new() }))
    }

    /// A handle on the disk's one file, as a store opens it.
    pub(crate) fn open(&self) -> io::Result<FaultyStorage> {
        let mut state = self.state();
        state.admit(Kind::Other)?;
        state.handles += 1;
        state.counts.opened += 1;
        Ok(FaultyStorage::new(self.clone(), state.handles))
    }

    /// What [`RedbBuilder::open_backend`](idem_redb::RedbBuilder::open_backend) takes.
    pub(crate) fn opener(&self) -> impl Fn() -> io::Result<FaultyStorage> + Send + Sync + 'static {
        let disk = self.clone();
        move || disk.open()
    }

    pub(crate) fn change_faults(&self, change: impl FnOnce(&mut Faults, Counts)) {
        let mut state = self.state();
        let counts = state.counts;
        change(&mut state.faults, counts);
    }

    pub(crate) fn counts(&self) -> Counts {
        self.state().counts
    }

    /// Whether the power has failed.
    pub(crate) fn is_off(&self) -> bool {
        self.state().power_is_off
    }

    pub(crate) fn used_blocks(&self) -> usize {
        self.state().used_blocks
    }

    /// The file as reads see it.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.state().image.bytes().to_vec()
    }

    /// Cuts the power, unless it is off already, and returns the disk as it is found afterwards.
    pub(crate) fn after_power_cut(&self, rng: &mut Rng) -> Self {
        let mut state = self.state();
        state.power_is_off = true;
        Self::holding(state.image.survive(rng))
    }

    /// Makes every sync wait until [`release_syncs`](Disk::release_syncs).
    pub(crate) fn stall_syncs(&self) {
        self.state().stall_syncs = true;
    }

    /// Lets `syncs` of the stalled syncs go on, now or when they come.
    pub(crate) fn let_pass(&self, syncs: u64) {
        self.state().passes += syncs;
        self.0.released.notify_all();
    }

    pub(crate) fn release_syncs(&self) {
        let mut state = self.state();
        (state.stall_syncs, state.passes) = (false, 0);
        drop(state);
        self.0.released.notify_all();
    }

    /// Waits until a sync stalls.
    pub(crate) async fn stalled(&self) {
        self.0.stalled.notified().await;
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }

    /// The state, once the sync need not stall.
    pub(super) fn state_for_sync(&self) -> MutexGuard<'_, State> {
        let state = self.state();
        if state.stall_syncs && state.passes == 0 {
            self.0.stalled.notify_one();
        }
        let waits = |state: &mut State| state.stall_syncs && state.passes == 0;
        let mut state = self.0.released.wait_while(state, waits).unwrap();
        state.passes = state.passes.saturating_sub(1);
        state
    }
}

#[derive(Clone, Copy)]
pub(super) enum Kind {
    Change,
    Other,
}

impl State {
    /// Counts a call, and fails it when that is planned. True: the power fails during the call.
    pub(super) fn admit(&mut self, kind: Kind) -> io::Result<bool> {
        if self.power_is_off {
            return Err(io::Error::other("the power is off"));
        }
        self.counts.calls += 1;
        if let Some(failure) = &self.faults.failure
            && (self.counts.calls == failure.at || failure.for_ever && self.counts.calls > failure.at)
        {
            return Err(io::Error::other("planned I/O error"));
        }
        if matches!(kind, Kind::Other) {
            return Ok(false);
        }
        self.counts.changes += 1;
        Ok(self.faults.power_cut_at == Some(self.counts.changes))
    }

    pub(super) fn cut(&mut self, now: bool) -> io::Result<()> {
        if now {
            self.power_is_off = true;
            return Err(io::Error::other("the power failed"));
        }
        Ok(())
    }

    pub(super) fn set_len(&mut self, len: usize) {
        self.image.set_len(len);
        let blocks = len.div_ceil(BLOCK);
        self.used_blocks -= count(self.blocks.get(blocks..).unwrap_or_default());
        self.blocks.resize(blocks, false);
    }

    /// Allocates the blocks that a write needs. Returns how many bytes fit, which is less than `len` when space
    /// runs out.
    pub(super) fn take_blocks(&mut self, offset: usize, len: usize) -> usize {
        if self.faults.nothing_fits && offset > 0 {
            return 0;
        }
        let space = self.faults.space.unwrap_or(usize::MAX);
        for block in offset / BLOCK..(offset + len).div_ceil(BLOCK) {
            if self.blocks[block] {
                continue;
            }
            if self.used_blocks >= space {
                return (block * BLOCK).saturating_sub(offset);
            }
            self.used_blocks += 1;
            self.blocks[block] = true;
        }
        len
    }

    pub(super) fn lock(&mut self, handle: u64) -> bool {
        let free = self.locked_by.is_none();
        if free {
            self.locked_by = Some(handle);
        }
        free
    }

    pub(super) fn unlock(&mut self, handle: u64) {
        if self.locked_by == Some(handle) {
            self.locked_by = None;
        }
    }
}

fn count(blocks: &[bool]) -> usize {
    blocks.iter().filter(|used| **used).count()
}
