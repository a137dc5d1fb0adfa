//! Statements that the server has prepared, so that it parses and plans each of them once.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Statement};

use crate::sql::{Parameter, Refusal, Row};

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
    ) -> Result<Vec<Row>, Refusal> {
        let cell = self.cell(text);
        let prepare = || async {
            let types: Vec<Type> = parameters.iter().map(|parameter| parameter.typed().1).collect();
            let prepared = client.prepare_typed(text, &types).await;
            detours.fetch_add(1, Ordering::AcqRel);
            prepared
        };
        let statement = cell.get_or_try_init(prepare).await?;
        let values: Vec<_> = parameters.iter().map(|parameter| parameter.typed().0).collect();
        let rows = client.query(statement, &values).await?;
        Ok(rows.into_iter().map(Row::from).collect())
    }

    fn cell(&self, text: &str) -> Arc<OnceCell<Statement>> {
        let mut cells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cell) = cells.get(text) {
            return Arc::clone(cell);
        }
        Arc::clone(cells.entry(text.to_owned()).or_default())
    }
}
