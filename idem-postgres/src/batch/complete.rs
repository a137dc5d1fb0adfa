//! Completing keys.

use std::time::Duration;

use idem_core::{Effect, Key, Lease, Outcome, Result};

use super::row::outcome_body;
use super::{Answers, BatchedCall, effect_of, effects, micros, stored_sequence};
use crate::connection::Connection;
use crate::error::Failure;
use crate::sql::Parameter;

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

impl BatchedCall for Complete {
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

    fn statement_of_one(schema: &str) -> Option<String> {
        Some(format!("SELECT {schema}.complete_one($1, $2, $3, $4, $5, $6) AS answer"))
    }

    async fn send(
        connection: &Connection,
        statement: &str,
        calls: &[&Self],
    ) -> Result<Answers<Self>, Failure> {
        let holders = super::Holders::of(calls.iter().map(|call| &call.lease));
        let [keys, fingerprints, sequences, owners] = holders.parameters();
        let parameters = [
            keys,
            fingerprints,
            sequences,
            owners,
            Parameter::Numbers(calls.iter().map(|call| micros(call.retention)).collect()),
            Parameter::ManyBytes(calls.iter().map(|call| &call.body[..]).collect()),
        ];
        effects(&connection.rows(statement, &parameters).await?)
    }

    async fn send_one(
        connection: &Connection,
        statement: &str,
        call: &Self,
    ) -> Result<Answers<Self>, Failure> {
        let token = call.lease.token();
        let parameters = [
            Parameter::Bytes(call.lease.key().storage_key()),
            Parameter::Bytes(call.lease.fingerprint().as_bytes()),
            Parameter::Number(stored_sequence(token.sequence)),
            Parameter::Bytes(token.owner.as_bytes()),
            Parameter::Number(micros(call.retention)),
            Parameter::Bytes(&call.body),
        ];
        let rows = connection.rows(statement, &parameters).await?;
        let row = rows.first().ok_or_else(|| Failure::incompatible("the server gives no answer"))?;
        let is_decided = row.get::<Option<i16>>("answer")?.is_some();
        let answer = is_decided.then(|| effect_of(row)).transpose()?;
        Ok(answer.map(|answer| (*call.key().storage_key(), answer)).into_iter().collect())
    }
}
