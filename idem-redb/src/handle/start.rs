//! Starting a store: its database, its writer, and what looks after its file.

use super::calls::Inner;
use crate::config::RedbConfig;
use crate::database::origin::{Origin, Own, Supply};
use crate::database::read_latency::ReadPace;
use crate::database::slot::Slot;
use crate::database::state::Shared;
use crate::database::watcher;
use crate::quota::disk_space::Room;
use crate::quota::known_usage;
use crate::quota::scope_quota::Share;
use crate::storage::guard::guarded;
use crate::storage::identity::FileIdentity;
use crate::storage::open::{self, Opened};
use crate::storage::records::high_water_mark::Mark;
use crate::storage::setup::{self, Ownership};
use crate::storage::tables::recount::Known;
use crate::writer::commit::transactions::Writes;
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
/// A store that has been started, and what tells its sweeper that it is gone.
pub(crate) struct Started {
    pub(crate) inner: Arc<Inner>,
    pub(crate) stopped: std_mpsc::Receiver<()>,
}

impl Inner {
    pub(crate) fn open_file(mut config: RedbConfig, clock: SharedClock) -> Result<Started> {
        // A process may go to another folder later.
        config.path = std::path::absolute(&config.path).unwrap_or(config.path);
        let again = RedbConfig { create: false, ..config.clone() };
        let opened = open::open_file(&config)?;
        let started = Self::own(config, clock, opened, move || open::open_file(&again))?;
        watcher::start(&started.inner.shared)?;
        Ok(started)
    }

    pub(crate) fn open_storage<B: StorageBackend>(
        config: RedbConfig,
        clock: SharedClock,
        storage: impl Fn() -> io::Result<B> + Send + 'static,
    ) -> Result<Started> {
        let again = config.clone();
        let opened = open::open_storage(&config, Ownership::Own, &storage)?;
        Self::own(config, clock, opened, move || open::open_storage(&again, Ownership::Again, &storage))
    }

    pub(crate) fn share(config: RedbConfig, clock: SharedClock, database: Arc<Database>) -> Result<Started> {
        Self::share_as(config, clock, database, Origin::Lent)
    }

    pub(crate) fn share_from(config: RedbConfig, clock: SharedClock, supply: Supply) -> Result<Started> {
        let database = supply()?;
        Self::share_as(config, clock, database, Origin::Supplied(supply))
    }

    fn share_as(
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
                Ok(Mark::new(time.mark(time.now()), mark.sequence))
            })
        });
        let mark = adopted.map_err(|failure| failure.into_error(Operation::Open))?;
        let shared = Self::shared(config, time, database, None, false);
        Self::start(Arc::clone(&shared), origin, Writes::beside_others(shared, mark))
    }

    fn own(
        config: RedbConfig,
        clock: SharedClock,
        opened: Opened,
        reopen: impl Fn() -> Result<Opened> + Send + 'static,
    ) -> Result<Started> {
        let Opened { database, mark, storage, identity } = opened;
        let time = mark.resume(clock, &config)?;
        // Where nobody counts, nothing is asked.
        let known = if identity.is_some() { known_usage::known(&database, mark) } else { Known::default() };
        let shared = Self::shared(config, time, Arc::new(database), identity, true);
        let share = shared
            .room
            .as_ref()
            .map(|room| Share::new(shared.config.max_share_per_scope, Arc::clone(room), known));
        let writes = Writes::own(Arc::clone(&shared), mark, storage.clone(), share);
        let own = Own { storage, reopen: Box::new(reopen) };
        Self::start(shared, Origin::Own(own), writes)
    }

    fn shared(
        config: RedbConfig,
        time: StoreClock,
        database: Arc<Database>,
        identity: Option<FileIdentity>,
        is_own: bool,
    ) -> Arc<Shared> {
        // Where a file has no name that the store knows, nobody knows how much room it has.
        let room = identity.is_some().then(|| Arc::new(Room::new(config.path.clone())));
        Arc::new(Shared {
            slot: Slot::new(database, is_own),
            time,
            waiters: Waiters::new(),
            pace: ReadPace::default(),
            identity,
            room,
            config,
        })
    }

    fn start(shared: Arc<Shared>, origin: Origin, writes: Writes) -> Result<Started> {
        let (queue, received) = priority::queue(shared.config.queue);
        let closed = Writer::spawn(received, origin, writes)?;
        let (stop, stopped) = std_mpsc::channel();
        Ok(Started { inner: Arc::new(Self { shared, queue, closed, _stop: stop }), stopped })
    }
}
