//! Whether a file that is open still has its name.
//!
//! A file that was removed or replaced still works for the process that has it open, but no other process finds it:
//! that one would create a new file under the name, and run the same keys again.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::Away;

/// The name that a file was opened by, and which file it was.
#[derive(Debug)]
pub(crate) struct FileIdentity {
    path: PathBuf,
    file: (u64, u64),
}

impl FileIdentity {
    /// `None` where the system does not provide the identity of files.
    pub(crate) fn of(path: &Path, file: &File) -> io::Result<Option<Self>> {
        Ok(number(&file.metadata()?).map(|file| Self { path: path.to_owned(), file }))
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.file == other.file
    }

    /// Whether the name still leads to the file. True when that is unknown: a transient error proves nothing.
    pub(crate) fn is_named(&self) -> bool {
        match std::fs::metadata(&self.path) {
            Ok(found) => number(&found).is_none_or(|found| found == self.file),
            Err(error) => !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory),
        }
    }

    /// The reason that callers are given once it does not.
    pub(crate) fn lost(&self) -> Away {
        Away::permanent(format!(
            "the file {} was removed or replaced while the store had it open, so nothing more is read from it or \
             written to it; put the right file in its place, and open the store again",
            self.path.display()
        ))
    }
}

#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "elsewhere there is none")]
fn number(found: &std::fs::Metadata) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    Some((found.dev(), found.ino()))
}

#[cfg(not(unix))]
fn number(_: &std::fs::Metadata) -> Option<(u64, u64)> {
    None
}
