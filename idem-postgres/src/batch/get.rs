//! Reading records.

use std::collections::HashMap;

use idem_core::record::Record;
use idem_core::{Key, Result};

use super::row::record;
use super::{Answers, BatchedCall, key_of};
use crate::connection::Connection;
use crate::error::Failure;
use crate::sql::Parameter;

/// A key whose record is wanted.
#[derive(Debug)]
pub(crate) struct Get(pub(crate) Key);

impl BatchedCall for Get {
    type Answer = Option<Record>;

    const SHARED: bool = true;
    const ANSWERS_OUTCOMES: bool = true;
    const WRITES: bool = false;

    fn key(&self) -> &Key {
        &self.0
    }

    /// The same record: it was read after both were called. Each reader of a damaged one has its own error.
    fn follow(&self, _first: &Self, answer: &Result<Option<Record>>) -> Option<Result<Option<Record>>> {
        answer.as_ref().ok().map(|record| Ok(record.clone()))
    }

    fn statement(schema: &str) -> String {
        format!("SELECT * FROM {schema}.get($1)")
    }

    async fn send(
        connection: &Connection,
        statement: &str,
        calls: &[&Self],
    ) -> Result<Answers<Self>, Failure> {
        let keys = calls.iter().map(|call| &call.0.storage_key()[..]).collect();
        let rows = connection.rows(statement, &[Parameter::ManyBytes(keys)]).await?;
        let mut records: HashMap<_, _> = calls.iter().map(|call| (*call.0.storage_key(), Ok(None))).collect();
        for row in &rows {
            let key = key_of(row)?;
            records.insert(key, record(&Key::from_storage_key(key), row)?.map(Some));
        }
        Ok(records)
    }
}
