//! Releasing keys.

use std::collections::HashMap;

use idem_core::{Effect, Key, Lease, Result};

use super::{Batch, Holders, StorageKey, effects};
use crate::connection::Connection;
use crate::error::Failure;

/// A key to be released.
#[derive(Debug)]
pub(crate) struct Release(pub(crate) Lease);

impl Batch for Release {
    type Answer = Effect;

    fn key(&self) -> &Key {
        self.0.key()
    }

    fn statement(schema: &str) -> String {
        format!("SELECT * FROM {schema}.release($1, $2, $3, $4)")
    }

    async fn send(
        connection: &Connection,
        statement: &str,
        calls: &[&Self],
    ) -> Result<HashMap<StorageKey, Result<Effect>>, Failure> {
        let holders = Holders::of(calls.iter().map(|call| &call.0));
        effects(&connection.rows(statement, &holders.parameters()).await?)
    }
}
