//! Files whose creation was cut off when their process was killed.
//!
//! A store's file is created under a temporary name, and locked. A file with such a name and without a lock is a
//! leftover.

use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;

use tempfile::NamedTempFile;

const PREFIX: &str = ".idem-";
const SUFFIX: &str = ".new";
/// The most entries of a folder that are examined: a folder with many files must not slow down an opening.
const MOST: usize = 10_000;

/// A new file in `folder`, locked. Removed when it is dropped, unless it is given its name. `None` when another
/// process has taken it for a leftover already.
pub(crate) fn new_file(folder: &Path) -> io::Result<Option<NamedTempFile>> {
    let fresh = tempfile::Builder::new().prefix(PREFIX).suffix(SUFFIX).tempfile_in(folder)?;
    Ok(lock(fresh.as_file()).then_some(fresh))
}

/// Locks `file` while it is being created. False when a process that removes leftovers was faster. Where files have no
/// locks, no process removes leftovers.
pub(crate) fn lock(file: &File) -> bool {
    !cfg!(unix) || !matches!(file.try_lock(), Err(TryLockError::WouldBlock))
}

/// Removes the leftovers in `folder`. What cannot be removed does no harm.
///
/// On Unix only: elsewhere a lock would keep its own process from writing.
pub(crate) fn remove(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    if !cfg!(unix) {
        return;
    }
    for entry in entries.take(MOST).flatten() {
        if is_leftover(&entry.file_name())
            && entry.file_type().is_ok_and(|kind| kind.is_file())
            && let Ok(file) = File::open(entry.path())
            && file.try_lock().is_ok()
        {
            let _removed = fs::remove_file(entry.path());
        }
    }
}

fn is_leftover(name: &OsStr) -> bool {
    let inner = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX));
    inner.is_some_and(|inner| inner.len() == 6 && inner.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}
