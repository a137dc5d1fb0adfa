//! Opening a store.

use std::io;
use std::sync::Arc;

use idem_core::clock::{SharedClock, SystemClock};
use idem_core::error::Operation;
use idem_core::{Error, ErrorKind, Result};
use redb::{Database, StorageBackend};

use crate::config::RedbConfig;
use crate::handle::calls::Handle;
use crate::handle::start::Started;
use crate::store::RedbStore;
use crate::sweep::sweeper;
use crate::thread::{check_runtime, run_blocking};

impl RedbStore {
    /// Opens the file that `config` names. A path alone means the defaults of [`RedbConfig`].
    ///
    /// A file is made under another name (`.idem-*.new`) and then given its own; what a killed process left of that is
    /// removed by the next opening in the folder. While the store is open it checks whether the name still leads to its
    /// file: before each commit, and every 250 ms. Once it does not, because the file was removed, moved or replaced,
    /// every call ends in [`Closed`](idem_core::ErrorKind::Closed), and the store has to be opened again. (Both on Unix
    /// only, where file numbers and locks allow it.)
    ///
    /// # Errors
    /// - [`InvalidConfig`](idem_core::ErrorKind::InvalidConfig): a setting is out of range, the path cannot be used or
    ///   is a `redb:` URI, or the tokio runtime has no timers (`enable_time`; tokio reports that by a panic, which is
    ///   caught).
    /// - [`Corrupt`](idem_core::ErrorKind::Corrupt): the file is damaged, or empty. No record in it is changed.
    /// - [`Incompatible`](idem_core::ErrorKind::Incompatible): the file is no idem store, or newer than this code.
    /// - [`Unavailable`](idem_core::ErrorKind::Unavailable): another store still has the file open after 1.4 s (one
    ///   that was dropped may need a moment to close it), or the disk failed.
    ///
    /// # Cancel safety
    /// A store that was being opened is closed again in the background.
    pub async fn open(config: impl Into<RedbConfig>) -> Result<Self> {
        Self::builder(config).open().await
    }

    /// Shares the application's own database, with the defaults of [`RedbConfig`]. So
    /// [`complete_with`](RedbStore::complete_with) can write tables that the application also uses elsewhere.
    ///
    /// The tables' names begin with `idem/`. The store neither checks, compacts nor reopens the database: after an I/O
    /// error, a full disk included, the store is `Unavailable` until [`replace_database`](RedbStore::replace_database).
    /// To let it recover by itself, open it by [`RedbBuilder::with_database_from`].
    ///
    /// # What undoes its protections
    /// - `panic = "abort"`: a damaged page fails an assertion of redb, and a closure of
    ///   [`complete_with`](RedbStore::complete_with) may panic. Both are caught, and end in an error or in the caller's
    ///   panic; under `panic = "abort"` they end the process. What was committed is kept.
    /// - A savepoint that the application restores (`restore_savepoint`) takes back everything since, the store's
    ///   tables included: completed keys run again, and their tokens may repeat. Restore none on a database that
    ///   holds a store, or close the store and delete its tables in the same transaction, knowing that all keys are
    ///   forgotten.
    ///
    /// The file of such a database is not watched: when it is removed or replaced while it is open, the store
    /// continues, and its records are lost with the file.
    ///
    /// One store per database at a time, and [`close`](RedbStore::close) it before another is made: two stores have
    /// separate clocks and sequences, and together do not keep the contract.
    ///
    /// # Errors
    /// [`Incompatible`](idem_core::ErrorKind::Incompatible) when the database holds a newer store.
    pub async fn with_database(database: Arc<Database>) -> Result<Self> {
        Self::builder("").with_database(database).await
    }

    /// A builder, for what a configuration cannot say.
    pub fn builder(config: impl Into<RedbConfig>) -> RedbBuilder {
        RedbBuilder { config: config.into(), clock: SystemClock::shared() }
    }
}

/// Opens a [`RedbStore`] with what a configuration cannot say: a clock, a storage, a shared database.
#[must_use = "a builder does nothing until one of its opening methods is awaited"]
#[derive(Debug)]
pub struct RedbBuilder {
    pub(crate) config: RedbConfig,
    pub(crate) clock: SharedClock,
}

impl RedbBuilder {
    /// Takes the time from `clock`.
    pub fn clock(self, clock: SharedClock) -> Self {
        Self { clock, ..self }
    }

    /// Opens the configured file. See [`RedbStore::open`].
    pub async fn open(self) -> Result<RedbStore> {
        if self.config.path.as_os_str().is_empty() {
            let message = "redb: the path is missing (\"redb:./payments.idem\")";
            return Err(Error::new(ErrorKind::InvalidConfig, Operation::Configure, message));
        }
        self.start(Handle::open_file).await
    }

    /// Opens a database on the caller's own storage; `storage` is asked again whenever the store has to reopen it. The
    /// options `path`, `create` and `max_share_per_scope` are refused, since they have no meaning for such a storage.
    pub async fn open_backend<B, F>(self, storage: F) -> Result<RedbStore>
    where
        B: StorageBackend,
        F: Fn() -> io::Result<B> + Send + Sync + 'static,
    {
        self.config.check_for_storage()?;
        self.start(move |config, clock| Handle::open_storage(config, clock, storage)).await
    }

    /// Shares the application's own database. See [`RedbStore::with_database`].
    ///
    /// # Errors
    /// Those of that function, and [`InvalidConfig`](ErrorKind::InvalidConfig) for an option that has no meaning for a
    /// shared database: `path`, `create`, `check_integrity`, `accept_repairs`, `cache_bytes`, `max_share_per_scope`.
    pub async fn with_database(self, database: Arc<Database>) -> Result<RedbStore> {
        self.config.check_for_database()?;
        self.start(move |config, clock| Handle::share_database(config, clock, database)).await
    }

    /// Shares the application's own database, which `open` opens: now, and again whenever redb refuses all work until
    /// the database is reopened, after an I/O error or on a disk that was full. So the store recovers by itself, as a
    /// store with a file of its own does.
    ///
    /// The store drops the old database before that. A file can be open only once, so the application must not keep the
    /// database either: it asks for the current one by [`RedbStore::database`], and drops it after use. While `open`
    /// fails it is tried again with pauses of 5 ms to 1 s, one attempt at a time. Meanwhile calls that write are
    /// `Unavailable`, and replays wait for half a second before they are, too.
    ///
    /// `open` runs on a thread that may block. It must return the same database again: one without the store's tables
    /// is `Corrupt`, never a new store.
    ///
    /// # Errors
    /// The error of the first `open`, as the source of [`Unavailable`](ErrorKind::Unavailable), and those of
    /// [`RedbStore::with_database`].
    ///
    /// # Cancel safety
    /// A store that was being opened is closed again in the background.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use idem_redb::RedbStore;
    /// use idem_redb::redb::{Database, ReadableDatabase};
    ///
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// let path = folder.path().join("application.redb");
    /// let open = move || Database::create(&path).map(Arc::new);
    /// let store = RedbStore::builder("").with_database_from(open).await?;
    /// let tables = store.database().await?.begin_read()?.list_tables()?.count();
    /// assert!(tables > 0);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn with_database_from<E, F>(self, open: F) -> Result<RedbStore>
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
        F: Fn() -> std::result::Result<Arc<Database>, E> + Send + 'static,
    {
        self.config.check_for_database()?;
        let supplier = move || {
            open().map_err(|source| {
                let message = "the application's database cannot be opened";
                Error::new(ErrorKind::Unavailable, Operation::Open, message).with_source(source)
            })
        };
        self.start(move |config, clock| Handle::share_supplied(config, clock, Box::new(supplier))).await
    }

    /// Opens on a blocking thread, since opening reads and syncs.
    async fn start<F>(self, start: F) -> Result<RedbStore>
    where
        F: FnOnce(RedbConfig, SharedClock) -> Result<Started> + Send + 'static,
    {
        self.config.check()?;
        check_runtime()?;
        let start = move || {
            let Started { handle, stopped } = start(self.config, self.clock)?;
            if handle.state.config.sweep {
                sweeper::spawn(&handle, stopped)?;
            }
            Ok(RedbStore(handle))
        };
        run_blocking(Operation::Open, start).await?
    }
}
