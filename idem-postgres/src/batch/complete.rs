//! Completing keys.

use std::collections::HashMap;
use std::time::Duration;

use idem_core::{Effect, Key, Lease, Outcome, Result};
use tokio_postgres::types::Type;

use super::row::outcome_body;
use super::{Batch, StorageKey, effects, micros};
use crate::connection::Connection;
use crate::error::Failure;

/// A key to be completed.
#[derive(Debug)]
pub(crate) struct Complete {
    lease: Lease,
    retention: Duration,
    body: Vec<u8>,
}

impl Complete {
    pub(crate) fn new(lease: &Lease, outcome: Outcome, retention: Duration) -> Result<Self> {
        let body = outcome_body(lease.key(), *lease.fingerprint(), outcome)?;
        Ok(Self { lease: lease.clone(), retention, body })
    }
}

impl Batch for Complete {
    type Answer = Effect;

    fn key(&self) -> &Key {
        self.lease.key()
    }

    fn size(&self) -> usize {
        self.body.len()
    }

    fn statement(schema: &str) -> String {
        format!("SELECT * FROM {schema}.complete($1, $2, $3, $4, $5, $6)")
    }

    async fn send(
        connection: &Connection,
        statement: &str,
        calls: &[&Self],
    ) -> Result<HashMap<StorageKey, Result<Effect>>, Failure> {
        let holders = super::Holders::of(calls.iter().map(|call| &call.lease));
        let retentions: Vec<i64> = calls.iter().map(|call| micros(call.retention)).collect();
        let bodies: Vec<&[u8]> = calls.iter().map(|call| &call.body[..]).collect();
        let [keys, fingerprints, sequences, owners] = holders.parameters();
        let parameters = [
            keys,
            fingerprints,
            sequences,
            owners,
            (&retentions, Type::INT8_ARRAY),
            (&bodies, Type::BYTEA_ARRAY),
        ];
        effects(&connection.rows(statement, &parameters).await?)
    }
}
