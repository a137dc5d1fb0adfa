//! A wall clock of the server's own, which can be set (`libfaketime`). Its monotonic clock is left alone, as by a real step.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// Dropping it removes the file that the server reads: drop the server first.
#[derive(Debug)]
pub(crate) struct WallClock {
    folder: TempDir,
    ahead: i64,
}

impl WallClock {
    pub(crate) fn new() -> Self {
        let clock = Self { folder: tempfile::tempdir().unwrap(), ahead: 0 };
        clock.write();
        clock
    }

    /// The command prefix that runs a server with this clock.
    ///
    /// # Panics
    /// When the library is missing.
    pub(crate) fn prefix(&self) -> Vec<OsString> {
        let mut preload = OsString::from("LD_PRELOAD=");
        preload.push(library());
        let mut file = OsString::from("FAKETIME_TIMESTAMP_FILE=");
        file.push(self.file());
        // Older versions of the library know the option without its prefix.
        let options = ["FAKETIME_NO_CACHE=1", "FAKETIME_DONT_FAKE_MONOTONIC=1", "DONT_FAKE_MONOTONIC=1"];
        ["env".into(), preload, file].into_iter().chain(options.map(OsString::from)).collect()
    }

    /// Sets it forward, or back, by seconds.
    pub(crate) fn step(&mut self, seconds: i64) {
        self.ahead += seconds;
        self.write();
    }

    /// The server reads the file whenever it reads the time, so it must be whole at any moment.
    fn write(&self) {
        let new = self.folder.path().join("new");
        std::fs::write(&new, format!("{:+}\n", self.ahead)).unwrap();
        std::fs::rename(new, self.file()).unwrap();
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("ahead")
    }
}

fn library() -> PathBuf {
    const UNDER: &str = "faketime/libfaketime.so.1";
    let folders = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"];
    let mut found = folders.iter().map(|folder| Path::new(folder).join(UNDER));
    found.find(|library| library.is_file()).unwrap_or_else(|| {
        panic!("{UNDER} is missing, which this round preloads: scripts/install-postgres installs it")
    })
}
