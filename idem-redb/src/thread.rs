//! Threads of the store's own, for what blocks.

use std::thread;

use idem_core::{Error, ErrorKind, Operation, Result};

/// Does what may block, away from the caller's thread.
pub(crate) async fn elsewhere<T: Send + 'static>(
    operation: Operation,
    act: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(act).await.map_err(|source| {
        Error::new(ErrorKind::Unavailable, operation, "it was cut off, as the runtime ended")
            .with_source(source)
    })
}

pub(crate) fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<()> {
    thread::Builder::new().name(name.to_owned()).spawn(run).map(drop).map_err(|source| {
        let message = format!("the thread \"{name}\" cannot be started");
        Error::new(ErrorKind::Unavailable, Operation::Open, message).with_source(source)
    })
}
