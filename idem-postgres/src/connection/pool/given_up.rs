//! Statements that were given up, which the server may go on with: it waits for a standby, or for somebody's lock.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::Pool;
use crate::connection::random_hex;
use crate::error::Failure;
use crate::sql::{Executor as _, Parameter};

/// Asks the server to stop what was begun more than `$2` microseconds ago by a text that begins with `$1`.
const CANCEL: &str = "SELECT count(pg_catalog.pg_cancel_backend(pid)) FROM pg_catalog.pg_stat_activity \
     WHERE state = 'active' AND starts_with(query, $1) AND pid <> pg_catalog.pg_backend_pid() \
     AND query_start < now() - $2 * interval '1 microsecond'";
/// How often it is looked for what was given up. It may have come to the server late.
const LOOKS: u32 = 3;

/// How the statements of one store begin, so that it finds those again that it has given up.
///
/// A statement that is older than the limit is cancelled, and no other can be hit by that. The server has begun it after the
/// store did, so the store has given it up, or is about to take its late answer: either way its connection is closed, and
/// nothing else is ever sent by it. Only a step of the server's clock makes a younger one look so old; that one is sent
/// again.
#[derive(Debug)]
pub(super) struct StatementTag {
    text: String,
    given_up: mpsc::Sender<()>,
}

/// While a statement is under way.
#[derive(Debug)]
#[must_use]
pub(super) struct Watched<'t>(Option<&'t StatementTag>);

impl StatementTag {
    /// Starts the task that cancels what was given up, which ends with this value.
    pub(super) fn start(pool: &Pool, limit: Duration) -> Result<Self, Failure> {
        let text = format!("/* idem {} */ ", random_hex()?);
        let (given_up, news) = mpsc::channel(1);
        tokio::spawn(run(pool.clone(), text.clone(), limit, news));
        Ok(Self { text, given_up })
    }

    /// What statements begin with, since the server shows the beginning of long ones only.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn watch(&self) -> Watched<'_> {
        Watched(Some(self))
    }
}

impl Watched<'_> {
    /// It was answered.
    pub(super) fn not(mut self) {
        self.0 = None;
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        if let Some(tag) = self.0 {
            // One that is there already tells the same.
            let _ = tag.given_up.try_send(());
        }
    }
}

async fn run(pool: Pool, tag: String, limit: Duration, mut news: mpsc::Receiver<()>) {
    while news.recv().await.is_some() {
        for _ in 0..LOOKS {
            sleep(limit).await;
            match timeout(limit, cancel(&pool, &tag, limit)).await {
                Ok(Ok(cancelled)) => tracing::debug!(cancelled, "statements were given up"),
                Ok(Err(failure)) => {
                    tracing::debug!(failure = failure.message, "what was given up cannot be cancelled");
                }
                Err(_) => tracing::debug!("what was given up cannot be cancelled in time"),
            }
        }
    }
}

async fn cancel(pool: &Pool, tag: &str, limit: Duration) -> Result<i64, Failure> {
    let mut lent = pool.borrow(limit).await?;
    let age = i64::try_from(limit.as_micros()).unwrap_or(i64::MAX);
    let row = lent.row(CANCEL, &[Parameter::Text(tag), Parameter::Number(age)]).await?;
    lent.give_back();
    row.get(0)
}
