//! Statements by connections of the pool: each has one for as long as it takes.

use std::sync::Arc;

use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use super::Source;
use super::lent::Lent;
use crate::durability::Settings;
use crate::error::{Failure, Recovery};
use crate::sql::{Executor as _, Parameter, Row};

/// Borrows one connection at a time.
#[derive(Debug)]
pub(crate) struct Link {
    source: Arc<Source>,
    turn: Arc<Semaphore>,
}

/// A borrowed connection, which is given back when it is dropped, unless a statement has failed on it or is under way.
#[derive(Debug)]
pub(crate) struct Connection {
    source: Arc<Source>,
    /// None while a statement is under way, and after a failure.
    lent: Mutex<Option<Lent>>,
    _turn: OwnedSemaphorePermit,
}

impl Link {
    pub(crate) fn new(source: Arc<Source>) -> Self {
        Self { source, turn: Arc::new(Semaphore::new(1)) }
    }

    pub(crate) async fn connection(&self) -> Result<Connection, Failure> {
        // Each has its turn for a borrowing and a statement, which both are limited.
        let turn = Arc::clone(&self.turn).acquire_owned().await;
        let turn = turn.map_err(|_| Failure::reconnect("the store is closed"))?;
        let mut lent = self.source.borrow().await?;
        lent.tag(self.source.tag.text());
        Ok(Connection { source: Arc::clone(&self.source), lent: Mutex::new(Some(lent)), _turn: turn })
    }
}

impl Connection {
    /// Sends one statement.
    pub(crate) async fn rows(&self, text: &str, parameters: &[Parameter<'_>]) -> Result<Vec<Row>, Failure> {
        let Source { limit, tag, .. } = &*self.source;
        // Dropped with this future, it is closed.
        let Some(mut lent) = self.lent.lock().await.take() else {
            return Err(Failure::reconnect("an earlier statement has failed on the connection"));
        };
        let given_up = tag.watch();
        let begun = Instant::now();
        let Ok(answer) = timeout(*limit, lent.rows(text, parameters)).await else {
            return Err(Failure::unanswered(*limit));
        };
        let answer = answer.map_err(|refusal| {
            let is_outdated = refusal.is_outdated();
            let failure = Failure::from(refusal);
            // Nothing was done, and by another connection it is.
            if is_outdated { Failure::reconnect(failure.message) } else { failure }
        });
        // So late that it may have been cancelled as one that was given up, see `StatementTag`.
        if begun.elapsed() >= *limit {
            return Err(Failure::unanswered(*limit));
        }
        if !matches!(answer, Err(Failure { recovery: Recovery::Reconnect, .. })) {
            given_up.not();
            *self.lent.lock().await = Some(lent);
        }
        answer
    }

    pub(crate) async fn settings(&self) -> Result<Settings, Failure> {
        Settings::read(&self.rows(Settings::QUERY, &[]).await?)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(lent) = self.lent.get_mut().take() {
            lent.give_back();
        }
    }
}
