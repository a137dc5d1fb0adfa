//! How a store was closed.

use idem_core::error::Operation;
use idem_core::{Error, Result};

/// The result of closing the store.
pub(crate) struct Closed(pub(crate) Result<()>);

impl Closed {
    pub(crate) fn result(&self) -> Result<()> {
        self.0
            .as_ref()
            .copied()
            .map_err(|error| Error::new(error.kind(), Operation::Close, error.to_string()))
    }
}
