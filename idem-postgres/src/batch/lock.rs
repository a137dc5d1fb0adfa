//! Locking keys.

use std::collections::HashMap;
use std::time::Duration;

use idem_core::backend::{Grant, LeaseControl as _, Sent};
use idem_core::clock::Timestamp;
use idem_core::record::Replay;
use idem_core::{Claim, Fingerprint, Key, Lease, LockAnswer, Result};
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::row::{Cells, Columns, locked_body};
use super::{Batch, StorageKey, damaged, key_of, micros, rows};
use crate::error::Failure;

/// A key to be locked.
#[derive(Debug)]
pub(crate) struct Lock {
    pub(crate) key: Key,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) claim: Claim,
    pub(crate) body: Vec<u8>,
}

/// The answer.
#[derive(Debug)]
pub(crate) enum Locked {
    Acquired(Grant),
    InProgress(Duration),
    Completed(Replay),
    FingerprintMismatch,
}

impl Locked {
    /// The answer for the caller who sent this claim.
    pub(crate) fn answer(
        self,
        key: &Key,
        fingerprint: &Fingerprint,
        claim: &Claim,
        sent: &Sent,
    ) -> LockAnswer {
        match self {
            Self::Acquired(grant) => {
                LockAnswer::Acquired(Lease::granted(*key, *fingerprint, claim, grant, sent))
            }
            Self::InProgress(remaining) => LockAnswer::InProgress { remaining },
            Self::Completed(replay) => LockAnswer::Completed(replay),
            Self::FingerprintMismatch => LockAnswer::FingerprintMismatch,
        }
    }
}

impl Lock {
    pub(crate) fn new(key: Key, fingerprint: Fingerprint, claim: Claim) -> Result<Self> {
        Ok(Self { key, fingerprint, claim, body: locked_body(&key, fingerprint)? })
    }
}

impl Batch for Lock {
    type Answer = Locked;

    fn key(&self) -> &Key {
        &self.key
    }

    fn statement(schema: &str) -> String {
        format!("SELECT * FROM {schema}.lock($1, $2, $3, $4, $5, $6)")
    }

    async fn send(
        client: &Client,
        statement: &str,
        calls: &[&Self],
    ) -> Result<HashMap<StorageKey, Result<Locked>>, Failure> {
        let keys: Vec<&[u8]> = calls.iter().map(|call| &call.key.storage_key()[..]).collect();
        let fingerprints: Vec<&[u8]> = calls.iter().map(|call| &call.fingerprint.as_bytes()[..]).collect();
        let owners: Vec<&[u8]> = calls.iter().map(|call| &call.claim.owner.as_bytes()[..]).collect();
        let leases: Vec<i64> = calls.iter().map(|call| micros(call.claim.lease)).collect();
        let retentions: Vec<i64> = calls.iter().map(|call| micros(call.claim.retention)).collect();
        let bodies: Vec<&[u8]> = calls.iter().map(|call| &call.body[..]).collect();
        let rows = rows(
            client,
            statement,
            &[
                (&keys, Type::BYTEA_ARRAY),
                (&fingerprints, Type::BYTEA_ARRAY),
                (&owners, Type::BYTEA_ARRAY),
                (&leases, Type::INT8_ARRAY),
                (&retentions, Type::INT8_ARRAY),
                (&bodies, Type::BYTEA_ARRAY),
            ],
        )
        .await?;
        rows.iter()
            .map(|row| {
                let key = key_of(row)?;
                Ok((key, answer(&Key::from_storage_key(key), row)?))
            })
            .collect()
    }
}

pub(crate) fn answer(key: &Key, row: &impl Cells) -> Result<Result<Locked>, Failure> {
    let answer = row.answer()?;
    let columns = Columns::of(row);
    let remaining = Duration::from_micros(columns.number("remaining")?);
    if answer == 2 {
        return Ok(Ok(Locked::InProgress(remaining)));
    }
    // Whatever is answered from a record is answered only once its checksum was compared.
    let completed = row.number("completed_at")?.is_some();
    let (token, content) = match (columns.token()?, columns.content(key, completed)?) {
        (Ok(token), Ok(content)) => (token, content),
        (Err(error), _) | (_, Err(error)) => return Ok(Err(error)),
    };
    let time = |name| columns.number(name).map(Timestamp::from_micros);
    Ok(match (answer, content.outcome) {
        (1, None) => {
            let attempt = u32::try_from(columns.number("attempt")?).unwrap_or(u32::MAX);
            Ok(Locked::Acquired(Grant {
                token,
                attempt,
                checkpoint: content.checkpoint,
                valid_for: remaining,
            }))
        }
        (3, Some(outcome)) => Ok(Locked::Completed(Replay {
            outcome,
            completed_at: time("completed_at")?,
            expires_at: time("expires_at")?,
            token,
        })),
        (4, _) => Ok(Locked::FingerprintMismatch),
        (1 | 3, _) => Err(damaged("the record's state does not go with its body")),
        (other, _) => return Err(Failure::odd(format!("the server gives the answer {other}"))),
    })
}
