//! Starting a store: its database, its writer, and the watcher of its file.

use super::calls::Handle;
use crate::config::RedbConfig;
use crate::database::origin::{DatabaseSupplier, Origin, OwnDatabase};
use crate::database::read_latency::ReadLatency;
use crate::database::slot::Slot;
use crate::database::state::StoreState;
use crate::database::watcher;
use crate::quota::disk_space::DiskSpace;
use crate::quota::known_usage;
use crate::quota::scope_quota::ScopeQuota;
use crate::storage::guard::guarded;
use crate::storage::identity::FileIdentity;
use crate::storage::open::{self, Opened};
use crate::storage::records::high_water_mark::HighWaterMark;
use crate::storage::setup::{self, Ownership};
use crate::storage::tables::recount::KnownUsage;
use crate::writer::commit::transactions::WriteTransactions;
use crate::writer::queue::priority::{self};
use crate::writer::worker::Writer;
use crate::writer::write_turn::turn::WriteTurn;
use idem_core::Result;
use idem_core::backend::{StoreClock, Waiters};
use idem_core::clock::SharedClock;
use idem_core::error::Operation;
use redb::{Database, StorageBackend};
use std::io;
use std::sync::{Arc, mpsc as std_mpsc};
/// A store that has been started, and the channel that tells its sweeper when the store is gone.
pub(crate) struct Started {
    pub(crate) handle: Arc<Handle>,
    pub(crate) stopped: std_mpsc::Receiver<()>,
}

impl Handle {
    pub(crate) fn open_file(mut config: RedbConfig, clock: SharedClock) -> Result<Started> {
        // The process may change its working directory later.
        config.path = std::path::absolute(&config.path).unwrap_or(config.path);
        let again = RedbConfig { create: false, ..config.clone() };
        let opened = open::open_file(&config)?;
        let started = Self::start_own(config, clock, opened, move || open::open_file(&again))?;
        watcher::start(&started.handle.state)?;
        Ok(started)
    }

    pub(crate) fn open_storage<B: StorageBackend>(
        config: RedbConfig,
        clock: SharedClock,
        storage: impl Fn() -> io::Result<B> + Send + 'static,
    ) -> Result<Started> {
        let again = config.clone();
        let opened = open::open_storage(&config, Ownership::Own, &storage)?;
        Self::start_own(config, clock, opened, move || {
            open::open_storage(&again, Ownership::OwnReopened, &storage)
        })
    }

    pub(crate) fn share_database(
        config: RedbConfig,
        clock: SharedClock,
        database: Arc<Database>,
    ) -> Result<Started> {
        Self::share_with_origin(config, clock, database, Origin::Shared)
    }

    pub(crate) fn share_supplied(
        config: RedbConfig,
        clock: SharedClock,
        supplier: DatabaseSupplier,
    ) -> Result<Started> {
        let database = supplier()?;
        Self::share_with_origin(config, clock, database, Origin::Supplied(supplier))
    }

    fn share_with_origin(
        config: RedbConfig,
        clock: SharedClock,
        database: Arc<Database>,
        origin: Origin,
    ) -> Result<Started> {
        let mut time = StoreClock::start(Arc::clone(&clock));
        let adopted = guarded(|| {
            let txn = WriteTurn::default().begin(&database, config.call_timeout)?;
            setup::adopt(txn, Ownership::Shared, |mark| {
                time = mark.resume(clock, &config)?;
                Ok(HighWaterMark::new(time.mark(time.now()), mark.sequence))
            })
        });
        let mark = adopted.map_err(|failure| failure.into_error(Operation::Open))?;
        let state = Self::new_state(config, time, database, None, false);
        Self::start(Arc::clone(&state), origin, WriteTransactions::of_shared_database(state, mark))
    }

    fn start_own(
        config: RedbConfig,
        clock: SharedClock,
        opened: Opened,
        reopen: impl Fn() -> Result<Opened> + Send + 'static,
    ) -> Result<Started> {
        let Opened { database, mark, storage, identity } = opened;
        let time = mark.resume(clock, &config)?;
        // Only a file with a known name is counted.
        let known =
            if identity.is_some() { known_usage::known(&database, mark) } else { KnownUsage::default() };
        let state = Self::new_state(config, time, Arc::new(database), identity, true);
        let quota = state.disk_space.as_ref().map(|disk_space| {
            ScopeQuota::new(state.config.max_share_per_scope, Arc::clone(disk_space), known)
        });
        let transactions =
            WriteTransactions::of_own_database(Arc::clone(&state), mark, storage.clone(), quota);
        let own = OwnDatabase { storage, reopen: Box::new(reopen) };
        Self::start(state, Origin::Own(own), transactions)
    }

    fn new_state(
        config: RedbConfig,
        time: StoreClock,
        database: Arc<Database>,
        identity: Option<FileIdentity>,
        is_own: bool,
    ) -> Arc<StoreState> {
        // Without a name of the file, the room left for it is unknown.
        let disk_space = identity.is_some().then(|| Arc::new(DiskSpace::new(config.path.clone())));
        Arc::new(StoreState {
            slot: Slot::new(database, is_own),
            time,
            waiters: Waiters::new(),
            read_latency: ReadLatency::default(),
            identity,
            disk_space,
            config,
        })
    }

    fn start(state: Arc<StoreState>, origin: Origin, transactions: WriteTransactions) -> Result<Started> {
        let (queue, received) = priority::queue(state.config.queue);
        let closed = Writer::spawn(received, origin, transactions)?;
        let (stop, stopped) = std_mpsc::channel();
        Ok(Started { handle: Arc::new(Self { state, queue, closed, _stop: stop }), stopped })
    }
}
