//! Renewing leases, and saving checkpoints.

use std::time::Duration;

use idem_core::record::Checkpoint;
use idem_core::{Effect, Key, Lease, Result};

use super::row::{checkpoint_body, stored_step};
use super::{Answers, BatchedCall, Holders, effect_of, key_of, micros};
use crate::connection::Connection;
use crate::error::Failure;
use crate::sql::Parameter;

/// A lease to be renewed, perhaps with a checkpoint.
#[derive(Debug)]
pub(crate) struct Renew {
    lease: Lease,
    duration: Duration,
    /// Step and body.
    checkpoint: Option<(i64, Vec<u8>)>,
}

/// The answer, and whether the record was changed.
#[derive(Debug)]
pub(crate) struct Renewed {
    pub(crate) effect: Effect,
    pub(crate) changed: bool,
}

impl Renew {
    pub(crate) fn new(lease: &Lease, duration: Duration) -> Self {
        Self { lease: lease.clone(), duration, checkpoint: None }
    }

    pub(crate) fn checkpoint(lease: &Lease, checkpoint: Checkpoint, duration: Duration) -> Result<Self> {
        let step = stored_step(checkpoint.step);
        let body = checkpoint_body(lease.key(), *lease.fingerprint(), checkpoint)?;
        Ok(Self { lease: lease.clone(), duration, checkpoint: Some((step, body)) })
    }
}

impl BatchedCall for Renew {
    type Answer = Renewed;

    fn key(&self) -> &Key {
        self.lease.key()
    }

    fn size(&self) -> usize {
        self.checkpoint.as_ref().map_or(0, |(_, body)| body.len())
    }

    fn statement(schema: &str) -> String {
        format!("SELECT * FROM {schema}.renew($1, $2, $3, $4, $5, $6, $7)")
    }

    async fn send(
        connection: &Connection,
        statement: &str,
        calls: &[&Self],
    ) -> Result<Answers<Self>, Failure> {
        let holders = Holders::of(calls.iter().map(|call| &call.lease));
        let checkpoints = || calls.iter().map(|call| call.checkpoint.as_ref());
        let steps = checkpoints().map(|checkpoint| checkpoint.map(|(step, _)| *step)).collect();
        let bodies = checkpoints().map(|checkpoint| checkpoint.map(|(_, body)| &body[..])).collect();
        let [keys, fingerprints, sequences, owners] = holders.parameters();
        let parameters = [
            keys,
            fingerprints,
            sequences,
            owners,
            Parameter::Numbers(calls.iter().map(|call| micros(call.duration)).collect()),
            Parameter::SomeNumbers(steps),
            Parameter::SomeBytes(bodies),
        ];
        let rows = connection.rows(statement, &parameters).await?;
        rows.iter()
            .map(|row| {
                let changed = row.get("changed")?;
                Ok((key_of(row)?, effect_of(row)?.map(|effect| Renewed { effect, changed })))
            })
            .collect()
    }
}
