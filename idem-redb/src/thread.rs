//! Threads of the store's own, for what blocks.

use std::thread;

use idem_core::{Error, ErrorKind, Operation, Result};

pub(crate) fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<()> {
    thread::Builder::new().name(name.to_owned()).spawn(run).map(drop).map_err(|source| {
        let message = format!("the thread \"{name}\" cannot be started");
        Error::new(ErrorKind::Unavailable, Operation::Open, message).with_source(source)
    })
}
