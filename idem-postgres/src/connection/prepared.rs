//! Statements that the server has prepared, so that it parses and plans each of them once.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error, Row, Statement};

/// A parameter, and the type that it has on the server.
pub(crate) type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// The statements of one connection, by their texts. There are no more than the code has.
#[derive(Debug, Default)]
pub(super) struct Prepared(Mutex<HashMap<String, Arc<OnceCell<Statement>>>>);

impl Prepared {
    /// Sends a statement, which the first time is prepared. Those who send it meanwhile wait for that, and it is counted in
    /// `detours` before any of them goes on.
    pub(super) async fn rows(
        &self,
        client: &Client,
        text: &str,
        parameters: &[Parameter<'_>],
        detours: &AtomicU64,
    ) -> Result<Vec<Row>, Error> {
        let cell = self.cell(text);
        let prepare = || async {
            let types: Vec<Type> = parameters.iter().map(|(_, kind)| kind.clone()).collect();
            let prepared = client.prepare_typed(text, &types).await;
            detours.fetch_add(1, Ordering::AcqRel);
            prepared
        };
        let statement = cell.get_or_try_init(prepare).await?;
        let values: Vec<_> = parameters.iter().map(|(value, _)| *value).collect();
        client.query(statement, &values).await
    }

    fn cell(&self, text: &str) -> Arc<OnceCell<Statement>> {
        let mut cells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cell) = cells.get(text) {
            return Arc::clone(cell);
        }
        Arc::clone(cells.entry(text.to_owned()).or_default())
    }
}

/// Whether a statement was not carried out because what was prepared is not there any more, is somebody else's, or has
/// other columns since a function was replaced.
pub(super) fn is_outdated(error: &Error) -> bool {
    let Some(refusal) = error.as_db_error() else { return false };
    match *refusal.code() {
        SqlState::INVALID_SQL_STATEMENT_NAME | SqlState::DUPLICATE_PSTATEMENT => true,
        // Unlike messages the name of the function that it comes from is never translated.
        SqlState::FEATURE_NOT_SUPPORTED => refusal.routine() == Some("RevalidateCachedQuery"),
        _ => false,
    }
}
