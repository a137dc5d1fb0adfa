//! Opening: a file, a storage of the caller's, or a database of the application's.

use std::fs;
use std::io;
use std::path::Path;

use idem_core::{Error, ErrorKind, Operation, Result};
use redb::{
    Builder, Database, DatabaseError, ReadableDatabase, StorageBackend, TableError, WriteTransaction,
};

use crate::config::RedbConfig;
use crate::error::Failure;
use crate::mark::Mark;
use crate::schema::{self, SCHEMA_VERSION};
use crate::slot;
use crate::tables::{self, Tables};

/// A database ready for use, and how far its time and sequences had come.
pub(crate) struct Opened {
    pub(crate) database: Database,
    pub(crate) mark: Mark,
}

/// Opens the file that `config` names, making it when it is missing and may be made.
pub(crate) fn open_file(config: &RedbConfig) -> Result<Opened> {
    let path = &config.path;
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => return Err(unusable(path, "is a directory")),
        // A store's file is complete before it gets its name, so an empty one has lost what it held.
        Ok(found) if found.is_file() && found.len() == 0 => {
            let message =
                format!("{} is empty: cut off, or not made by idem; remove it to start anew", path.display());
            return Err(Error::new(ErrorKind::Corrupt, Operation::Open, message));
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound && config.create => create_file(config)?,
        Err(error) => return Err(unusable(path, "cannot be opened").with_source(error)),
    }
    let opened = guarded(|| look(path))
        .and_then(|()| verified(config, Ownership::Own, || Ok(builder(config).open(path)?)));
    opened.map_err(|error| {
        if is_refusal(&error) { unusable(path, "cannot be opened").with_source(error) } else { error }
    })
}

/// Refuses what is not ours before it is opened for writing, which changes even a file that nothing is written to.
fn look(path: &Path) -> Result<(), Failure> {
    let database = match Builder::new().set_cache_size(0).open_read_only(path) {
        Ok(database) => database,
        // It was not closed in peace: only an opening for writing can tell.
        Err(DatabaseError::RepairAborted) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let txn = database.begin_read()?;
    match txn.open_table(schema::META) {
        Ok(meta) => check(meta.get(schema::VERSION_KEY)?.map(|version| version.value())),
        Err(TableError::TableDoesNotExist(_)) if txn.list_tables()?.next().is_none() => Ok(()),
        Err(TableError::TableDoesNotExist(_)) => Err(foreign()),
        Err(error) => Err(error.into()),
    }
}

/// Opens a database on the caller's own storage.
pub(crate) fn open_storage<B: StorageBackend>(
    config: &RedbConfig,
    ownership: Ownership,
    storage: &(impl Fn() -> io::Result<B> + ?Sized),
) -> Result<Opened> {
    verified(config, ownership, || {
        let storage = storage().map_err(|error| Failure::Redb(redb::Error::Io(error)))?;
        Ok(builder(config).create_with_backend(storage)?)
    })
}

/// Makes the tables in an application's own database, or checks that they are ours.
pub(crate) fn adopt(database: &Database, config: &RedbConfig) -> Result<Mark> {
    guarded(|| prepare(database, config, Ownership::Shared))
}

/// Makes the file under another name first: a file that has its name is complete, whatever happens.
fn create_file(config: &RedbConfig) -> Result<()> {
    let path = &config.path;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let failed = |error: io::Error| unusable(path, "cannot be made").with_source(error);
    let fresh =
        tempfile::Builder::new().prefix(".idem-").suffix(".new").tempfile_in(parent).map_err(failed)?;
    guarded(|| {
        let database = builder(config).create(fresh.path())?;
        prepare(&database, config, Ownership::Own)?;
        Ok(database.close()?)
    })?;
    match fresh.persist_noclobber(path) {
        Ok(_) => sync_folder(parent).map_err(failed),
        // Another process was first: its file is as good.
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(failed(error.error)),
    }
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { fs::File::open(folder)?.sync_all() } else { Ok(()) }
}

/// Opens and, where the configuration asks for it, verifies every page.
fn verified(
    config: &RedbConfig,
    ownership: Ownership,
    open: impl FnOnce() -> Result<Database, Failure>,
) -> Result<Opened> {
    guarded(|| {
        let mut database = open()?;
        // Where repairs are accepted, the opening has verified and repaired already.
        if config.check_integrity && !config.accept_repairs && !database.check_integrity()? {
            return Err(Failure::Redb(redb::Error::Corrupted("the check had to repair it".to_owned())));
        }
        let mark = prepare(&database, config, ownership)?;
        Ok(Opened { database, mark })
    })
}

fn guarded<T>(open: impl FnOnce() -> Result<T, Failure>) -> Result<T> {
    slot::guarded(open).map_err(|failure| failure.into_error(Operation::Open))
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ownership {
    /// Ours alone; made when there is nothing.
    Own,
    /// Ours, and opened before: what it held must be there, so nothing is made anew.
    Again,
    /// The application's, with tables of its own.
    Shared,
}

/// Makes the tables where there are none, checks the version where there are.
fn prepare(database: &Database, config: &RedbConfig, ownership: Ownership) -> Result<Mark, Failure> {
    let txn = begin(database, config)?;
    if is_ours(&txn)? {
        let mark = check_version(&txn)?;
        txn.abort()?;
        return Ok(mark);
    }
    if ownership == Ownership::Again {
        let message = "the storage has lost the store that it held before";
        return Err(Failure::Record(Error::new(ErrorKind::Corrupt, Operation::Open, message)));
    }
    if ownership == Ownership::Own && txn.list_tables()?.next().is_some() {
        return Err(foreign());
    }
    tables::create(&txn)?;
    txn.commit()?;
    Ok(Mark::default())
}

fn is_ours(txn: &WriteTransaction) -> Result<bool, Failure> {
    use redb::TableHandle;
    Ok(txn.list_tables()?.any(|table| table.name() == schema::META.name()))
}

fn check_version(txn: &WriteTransaction) -> Result<Mark, Failure> {
    check(tables::version(txn)?)?;
    Tables::open(txn)?.mark()
}

fn check(version: Option<u64>) -> Result<(), Failure> {
    match version {
        Some(SCHEMA_VERSION) => Ok(()),
        Some(version) => {
            let message = format!("the store has schema version {version}, this code reads {SCHEMA_VERSION}");
            Err(Failure::Record(Error::new(ErrorKind::Incompatible, Operation::Open, message)))
        }
        None => {
            let message = "the store does not say its schema version";
            Err(Failure::Record(Error::new(ErrorKind::Corrupt, Operation::Open, message)))
        }
    }
}

fn foreign() -> Failure {
    let message = "the file is a redb database, but no idem store; share it with `with_database`";
    Failure::Record(Error::new(ErrorKind::Incompatible, Operation::Open, message))
}

/// A durable write transaction, as the configuration asks for it.
pub(crate) fn begin(database: &Database, config: &RedbConfig) -> Result<WriteTransaction, Failure> {
    let mut txn = database.begin_write()?;
    txn.set_quick_repair(config.quick_repair);
    Ok(txn)
}

fn builder(config: &RedbConfig) -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(usize::try_from(config.cache_bytes).unwrap_or(usize::MAX));
    // redb verifies and repairs on opening, and does not say which of the two it did: only for those who accept
    // repairs.
    builder.set_check_integrity_on_open(config.check_integrity && config.accept_repairs);
    builder
}

/// The system refused the path itself, so trying again changes nothing.
fn is_refusal(error: &Error) -> bool {
    use std::error::Error as _;
    let source = error.source().and_then(|source| source.downcast_ref::<redb::Error>());
    matches!(source, Some(redb::Error::Io(io)) if matches!(
        io.kind(),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::NotADirectory
    ))
}

fn unusable(path: &Path, why: &str) -> Error {
    Error::new(ErrorKind::InvalidConfig, Operation::Open, format!("{} {why}", path.display()))
}
