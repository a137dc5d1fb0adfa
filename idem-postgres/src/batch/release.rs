//! Releasing keys.

use idem_core::{Effect, Key, Lease, LostReason, Result};

use super::{Answers, BatchedCall, Holders, effects};
use crate::connection::Connection;
use crate::error::Failure;

/// A key to be released.
#[derive(Debug)]
pub(crate) struct Release(pub(crate) Lease);

impl BatchedCall for Release {
    type Answer = Effect;

    fn key(&self) -> &Key {
        self.0.key()
    }

    fn after_unknown(&self, answer: Effect) -> Effect {
        match answer {
            // By that sending.
            Effect::Lost(LostReason::Gone | LostReason::Released) => Effect::Applied,
            // Within the lease another owner can have taken over only after that release.
            Effect::Lost(LostReason::Superseded) if !self.0.remaining().is_zero() => Effect::Applied,
            answer => answer,
        }
    }

    fn statement(schema: &str) -> String {
        format!("SELECT * FROM {schema}.release($1, $2, $3, $4)")
    }

    async fn send(
        connection: &Connection,
        statement: &str,
        calls: &[&Self],
    ) -> Result<Answers<Self>, Failure> {
        let holders = Holders::of(calls.iter().map(|call| &call.0));
        effects(&connection.rows(statement, &holders.parameters()).await?)
    }
}
