//! Noting that somebody waits.

use idem_core::{Key, Result};

use super::{Answers, BatchedCall};
use crate::connection::Connection;
use crate::error::Failure;
use crate::sql::Parameter;

/// A key whose end of the lease is to be notified.
#[derive(Debug)]
pub(crate) struct Wait(pub(crate) Key);

impl BatchedCall for Wait {
    type Answer = ();

    const SHARED: bool = true;
    /// Whoever waits looks again, so nothing is lost with this note.
    const WRITES: bool = false;

    fn key(&self) -> &Key {
        &self.0
    }

    fn follow(&self, _first: &Self, answer: &Result<()>) -> Option<Result<()>> {
        answer.as_ref().ok().map(|()| Ok(()))
    }

    fn statement(schema: &str) -> String {
        format!("SELECT {schema}.note_waiters($1)")
    }

    async fn send(
        connection: &Connection,
        statement: &str,
        calls: &[&Self],
    ) -> Result<Answers<Self>, Failure> {
        let keys = calls.iter().map(|call| &call.0.storage_key()[..]).collect();
        connection.rows(statement, &[Parameter::ManyBytes(keys)]).await?;
        Ok(calls.iter().map(|call| (*call.0.storage_key(), Ok(()))).collect())
    }
}
