//! Opening the database in a file, or on the caller's own storage.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use idem_core::error::Operation;
use idem_core::{Error, ErrorKind, Result};
use redb::backends::FileBackend;
use redb::{Builder, Database, DatabaseError, ReadableDatabase, StorageBackend, TableError};

use crate::config::RedbConfig;
use crate::error::Failure;
use crate::storage::create::{self, end_of_links, failed, folder, sync_folder, unusable};
use crate::storage::guard;
use crate::storage::identity::FileIdentity;
use crate::storage::leftovers;
use crate::storage::records::high_water_mark::HighWaterMark;
use crate::storage::records::schema;
use crate::storage::revocable::RevocableStorage;
use crate::storage::setup::{self, Ownership, Prepared, prepare};
use crate::storage::transaction::begin;

/// The pauses before a file that is open elsewhere is tried again, in milliseconds.
const RETRY_PAUSES: [u64; 6] = [1, 10, 30, 100, 300, 1_000];

/// A database ready for use, and its high-water mark.
pub(crate) struct Opened {
    pub(crate) database: Database,
    pub(crate) mark: HighWaterMark,
    pub(crate) storage: RevocableStorage,
    /// Present for a file that was opened by its name.
    pub(crate) identity: Option<FileIdentity>,
}

/// Opens the file that `config` names. Creates it when it is missing and may be created.
pub(crate) fn open_file(config: &RedbConfig) -> Result<Opened> {
    let path = &config.path;
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => return Err(unusable(path, "is a directory")),
        // A store's file is complete before it gets its name, so an empty file has lost its contents.
        Ok(found) if found.is_file() && found.len() == 0 => {
            let message =
                format!("{} is empty: cut off, or not made by idem; remove it to start anew", path.display());
            return Err(Error::new(ErrorKind::Corrupt, Operation::Open, message));
        }
        // The process that created it may have been killed before the name was durable.
        Ok(_) if config.create => {
            sync_folder(path).map_err(|error| failed(path, "cannot be opened", error))?;
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound && config.create => {
            create::create_file(path, |file| create_store(config, file))?;
        }
        Err(error) => return Err(failed(path, "cannot be opened", error)),
    }
    if config.create {
        leftovers::remove(folder(&end_of_links(path)?));
    }
    // A dropped store may still be closing the file, and a process that removes leftovers may have locked a new one.
    let mut pauses = RETRY_PAUSES.iter();
    loop {
        match open_existing(config) {
            Err(error)
                if is_open_elsewhere(&error)
                    && let Some(pause) = pauses.next() =>
            {
                std::thread::sleep(Duration::from_millis(*pause));
            }
            opened => return opened,
        }
    }
}

/// Never creates tables: a file exists by now, and what it lacks, it has lost.
fn open_existing(config: &RedbConfig) -> Result<Opened> {
    let path = &config.path;
    let identity = Mutex::new(None);
    let open = || {
        let file = fs::OpenOptions::new().read(true).write(true).open(path)?;
        *identity.lock().unwrap_or_else(PoisonError::into_inner) = FileIdentity::of(path, &file)?;
        FileBackend::new(file).map_err(io::Error::other)
    };
    let opened = guarded(|| check_before_opening(path))
        .and_then(|()| open_storage(config, Ownership::OwnReopened, &open));
    let opened = opened.map_err(|error| match refusal(&error) {
        Some(why) => unusable(path, &format!("cannot be opened: {why}")).with_source(error),
        None => error,
    })?;
    Ok(Opened { identity: identity.into_inner().unwrap_or_else(PoisonError::into_inner), ..opened })
}

/// Refuses a foreign file before it is opened for writing, since that alone changes it.
fn check_before_opening(path: &Path) -> Result<(), Failure> {
    let database = match Builder::new().set_cache_size(0).open_read_only(path) {
        Ok(database) => database,
        // It was not closed cleanly: only opening it for writing can show what it is.
        Err(DatabaseError::RepairAborted) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let txn = database.begin_read()?;
    match txn.open_table(schema::META) {
        Ok(meta) => setup::check(meta.get(schema::VERSION_KEY)?.map(|version| version.value())),
        Err(TableError::TableDoesNotExist(_))
            if txn.list_tables()?.any(|table| setup::is_of_idem(&table)) =>
        {
            Err(setup::lost())
        }
        Err(TableError::TableDoesNotExist(_)) => Err(setup::foreign()),
        Err(error) => Err(error.into()),
    }
}

/// Opens a database on the caller's own storage.
pub(crate) fn open_storage<B: StorageBackend>(
    config: &RedbConfig,
    ownership: Ownership,
    storage: &(impl Fn() -> io::Result<B> + ?Sized),
) -> Result<Opened> {
    guarded(|| {
        let storage =
            RevocableStorage::new(storage().map_err(|error| Failure::Redb(redb::Error::Io(error)))?);
        // On opening, redb verifies and repairs without telling which of the two it did. So this is only for a
        // configuration that accepts repairs.
        let mut database = builder(config, config.check_integrity && config.accept_repairs)
            .create_with_backend(storage.clone())?;
        // Where repairs are accepted, the opening has verified and repaired already.
        if config.check_integrity && !config.accept_repairs && !database.check_integrity()? {
            return Err(Failure::Redb(redb::Error::Corrupted("the check had to repair it".to_owned())));
        }
        let quick_repair = config.quick_repair.applies(storage.length(), None);
        let Prepared { mark, .. } = prepare(begin(&database, quick_repair)?, ownership)?;
        Ok(Opened { database, mark, storage, identity: None })
    })
}

/// Reopens a database of the store's own on the storage that it used until it met an error. Skips the checks of an
/// opening, and writes no more than that the file is in use, since the disk may be full.
pub(crate) fn open_in_place(config: &RedbConfig, storage: RevocableStorage) -> Result<Opened> {
    guarded(|| {
        let database = builder(config, false).create_with_backend(storage.clone())?;
        let quick_repair = config.quick_repair.applies(storage.length(), None);
        let Prepared { mark, .. } = prepare(begin(&database, quick_repair)?, Ownership::OwnReopened)?;
        Ok(Opened { database, mark, storage, identity: None })
    })
}

/// Creates an empty store in an empty file.
fn create_store(config: &RedbConfig, file: fs::File) -> Result<()> {
    guarded(|| {
        let database = builder(config, false).create_with_backend(FileBackend::new(file)?)?;
        prepare(begin(&database, true)?, Ownership::Own)?;
        Ok(database.close()?)
    })
}

fn guarded<T>(open: impl FnOnce() -> Result<T, Failure>) -> Result<T> {
    guard::guarded(open).map_err(|failure| failure.into_error(Operation::Open))
}

fn builder(config: &RedbConfig, check_integrity: bool) -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(usize::try_from(config.cache_bytes).unwrap_or(usize::MAX));
    builder.set_check_integrity_on_open(check_integrity);
    builder
}

fn is_open_elsewhere(error: &Error) -> bool {
    matches!(of_redb(error), Some(redb::Error::DatabaseAlreadyOpen))
}

fn of_redb(error: &Error) -> Option<&redb::Error> {
    std::error::Error::source(error)?.downcast_ref()
}

/// The error by which the system refused the path itself. A retry would change nothing.
fn refusal(error: &Error) -> Option<&io::Error> {
    match of_redb(error) {
        Some(redb::Error::Io(why))
            if matches!(
                why.kind(),
                io::ErrorKind::PermissionDenied
                    | io::ErrorKind::ReadOnlyFilesystem
                    | io::ErrorKind::NotADirectory
            ) =>
        {
            Some(why)
        }
        _ => None,
    }
}
