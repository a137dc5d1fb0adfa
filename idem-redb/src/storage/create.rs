//! Creating a store's file, and resolving the path to it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use idem_core::error::Operation;
use idem_core::{Error, ErrorKind, Result};

use crate::storage::leftovers;

/// Creates the file at `path` with the contents that `fill` writes. Where `path` is a link to a missing file, that file
/// is created.
pub(crate) fn create_file(path: &Path, fill: impl Fn(File) -> Result<()>) -> Result<()> {
    let end = end_of_links(path)?;
    let mut tries = 0;
    while !try_once(&end, &fill, tries == MOST_TRIES)? {
        tries += 1;
    }
    Ok(())
}

/// How often the creation is retried when another process takes the new file for a leftover.
const MOST_TRIES: usize = 5;

/// Creates the file under a temporary name and renames it, so that a file that has its name is complete, whatever
/// happens. False when another process took it for a leftover meanwhile, and this is not the last try.
fn try_once(path: &Path, fill: &impl Fn(File) -> Result<()>, is_last: bool) -> Result<bool> {
    let cannot = |error: io::Error| failed(path, "cannot be made", error);
    let no_file = |error: io::Error| {
        // Its message names the temporary file, which is not the path that the caller gave.
        let why = match error.kind() {
            io::ErrorKind::NotFound if !folder(path).exists() => {
                format!("there is no folder {}", folder(path).display())
            }
            kind => kind.to_string(),
        };
        unusable(path, &format!("cannot be made: {why}")).with_source(error)
    };
    let Some(fresh) = leftovers::new_file(folder(path)).map_err(no_file)? else {
        return if is_last { Err(unusable(path, "cannot be made: others remove it")) } else { Ok(false) };
    };
    // On a second handle of the file; the lock on the first says that it is being created.
    fill(fresh.as_file().try_clone().map_err(cannot)?)?;
    // Closing the database released the lock.
    let _taken = leftovers::lock(fresh.as_file());
    match fresh.persist_noclobber(path) {
        Ok(_) => sync_folder(path).map(|()| true).map_err(cannot),
        // Another process was first; its file serves as well.
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(true),
        Err(error) if error.error.kind() == io::ErrorKind::NotFound && !is_last => Ok(false),
        Err(error) => Err(cannot(error.error)),
    }
}

/// Where `path` leads in the end, also when it is a link to a missing file.
pub(crate) fn end_of_links(path: &Path) -> Result<PathBuf> {
    const MOST: usize = 40;
    let mut end = path.to_owned();
    for _ in 0..MOST {
        match fs::read_link(&end) {
            // A relative target starts in the folder of the link.
            Ok(target) => end = folder(&end).join(target),
            // Not a link.
            Err(_) => return Ok(end),
        }
    }
    Err(unusable(path, "cannot be opened: it leads through too many links"))
}

pub(crate) fn folder(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes the file's name durable, where the system can.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    if !cfg!(unix) {
        return Ok(());
    }
    match File::open(folder(path)).and_then(|folder| folder.sync_all()) {
        // Some file systems cannot sync a folder, and some folders may be used but not read.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported | io::ErrorKind::PermissionDenied
            ) =>
        {
            Ok(())
        }
        synced => synced,
    }
}

pub(crate) fn failed(path: &Path, what: &str, error: io::Error) -> Error {
    unusable(path, &format!("{what}: {error}")).with_source(error)
}

pub(crate) fn unusable(path: &Path, why: &str) -> Error {
    Error::new(ErrorKind::InvalidConfig, Operation::Open, format!("{} {why}", path.display()))
}
