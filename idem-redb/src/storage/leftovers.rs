//! Files that were being made when their process was killed.
//!
//! A store's file is made under another name, with a lock on it. A file of such a name that nobody has locked is made
//! by nobody any more.

use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;

use tempfile::NamedTempFile;

const PREFIX: &str = ".idem-";
const SUFFIX: &str = ".new";
/// The most entries of a folder that are looked at: an opening must not take long for the sake of a full folder.
const MOST: usize = 10_000;

/// A new file in `folder`, locked. Removed when it is dropped, unless it is given its name. `None` when somebody has
/// taken it for a leftover already.
pub(crate) fn new_file(folder: &Path) -> io::Result<Option<NamedTempFile>> {
    let fresh = tempfile::Builder::new().prefix(PREFIX).suffix(SUFFIX).tempfile_in(folder)?;
    Ok(lock(fresh.as_file()).then_some(fresh))
}

/// Says that somebody is making `file`. False when somebody who looks for leftovers was quicker. Where files have no
/// locks nobody looks.
pub(crate) fn lock(file: &File) -> bool {
    !cfg!(unix) || !matches!(file.try_lock(), Err(TryLockError::WouldBlock))
}

/// Removes what is left in `folder` of files that nobody makes any more. What cannot be removed does no harm.
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
