//! Threads for blocking work.

use std::panic::catch_unwind;
use std::thread;
use std::time::Duration;

use idem_core::error::Operation;
use idem_core::{Error, ErrorKind, Result};
use tokio::runtime::Handle;

/// Runs blocking work away from the caller's thread.
pub(crate) async fn run_blocking<T: Send + 'static>(
    operation: Operation,
    act: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(act).await.map_err(|source| {
        Error::new(ErrorKind::Unavailable, operation, "it was cut off, as the runtime ended")
            .with_source(source)
    })
}

/// Refuses a runtime in which the store's calls would panic.
pub(crate) fn check_runtime() -> Result<()> {
    let refused = |why: &str| {
        let message = format!("redb: {why}; build one with enable_time or enable_all");
        Error::new(ErrorKind::InvalidConfig, Operation::Open, message)
    };
    Handle::try_current().map_err(|source| refused("there is no tokio runtime").with_source(source))?;
    // tokio shows only by a panic that there are no timers.
    catch_unwind(|| drop(tokio::time::sleep(Duration::ZERO)))
        .map_err(|_| refused("the tokio runtime has no timers"))
}

pub(crate) fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<()> {
    thread::Builder::new().name(name.to_owned()).spawn(run).map(drop).map_err(|source| {
        let message = format!("the thread \"{name}\" cannot be started");
        Error::new(ErrorKind::Unavailable, Operation::Open, message).with_source(source)
    })
}
