//! Effects on other systems, which can be neither undone nor committed together with a key. Here they are lines of a
//! file.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use crate::Result;

#[derive(Clone)]
pub(crate) struct Effects(Arc<Mutex<File>>);

impl Effects {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self(Arc::new(Mutex::new(file))))
    }

    /// Appends `line`, which is on disk when this returns.
    pub(crate) async fn happen(&self, line: String) -> Result<()> {
        let effects = self.clone();
        tokio::task::spawn_blocking(move || {
            let mut file = effects.0.lock().unwrap_or_else(PoisonError::into_inner);
            file.write_all(format!("{line}\n").as_bytes())?;
            file.sync_data()?;
            Ok(())
        })
        .await?
    }
}
