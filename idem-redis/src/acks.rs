//! Waiting for replicas: one `WAIT` answers for every write before it on its connection, so calls share it.

use std::sync::Arc;
use std::time::Duration;

use fred::types::Value;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

use crate::connection::Connection;
use crate::fault::{Cause, Fault};
use crate::wire::Command;

/// Calls that may wait for replicas at one time on one connection.
const MOST_WAITING: usize = 16_384;

/// Those who wait for the replicas of one connection.
pub(crate) struct Acknowledgements {
    waiting: mpsc::Sender<Waiting>,
    /// Ends with this: the answer to its `WAIT` may never come.
    task: AbortHandle,
}

struct Waiting {
    replicas: u8,
    /// How many replicas hold it.
    acknowledged: oneshot::Sender<Result<i64, Fault>>,
}

impl Acknowledgements {
    /// For `connection`, until it is dropped.
    pub(crate) fn start(connection: Arc<Connection>, timeout: Duration) -> Self {
        let (waiting, queue) = mpsc::channel(MOST_WAITING);
        let task = tokio::spawn(serve(connection, timeout, queue)).abort_handle();
        Self { waiting, task }
    }

    /// Waits until `replicas` hold all that was answered on the connection before.
    pub(crate) async fn wait(&self, replicas: u8) -> Result<(), Fault> {
        let given_up =
            || Fault::Unknown(Cause::new("the connection was given up before its replicas answered"));
        let (acknowledged, answer) = oneshot::channel();
        self.waiting.send(Waiting { replicas, acknowledged }).await.map_err(|_| given_up())?;
        let held = answer.await.map_err(|_| given_up())??;
        if held >= i64::from(replicas) {
            return Ok(());
        }
        // Not sent again by ourselves: the caller's own resending finds the truth.
        Err(Fault::refused(
            idem_core::ErrorKind::Timeout,
            format!("{held} of {replicas} replicas hold the write in time"),
        ))
    }
}

impl Drop for Acknowledgements {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(connection: Arc<Connection>, timeout: Duration, mut queue: mpsc::Receiver<Waiting>) {
    let mut batch = Vec::new();
    while queue.recv_many(&mut batch, MOST_WAITING).await > 0 {
        let replicas = batch.iter().map(|waiting| waiting.replicas).max().unwrap_or(0);
        let held = wait(&connection, timeout, replicas).await;
        for waiting in batch.drain(..) {
            // A caller that has gone does not mind.
            let _ = waiting.acknowledged.send(held.clone());
        }
    }
}

async fn wait(connection: &Connection, timeout: Duration, replicas: u8) -> Result<i64, Fault> {
    let timeout = i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX).max(1);
    let arguments = vec![Value::Integer(i64::from(replicas)), Value::Integer(timeout)];
    match connection.carry(Command::Plain("WAIT", arguments), false, None).await.map_err(Fault::of_wait)? {
        Value::Integer(replicas) => Ok(replicas),
        _ => Err(Fault::Unknown(Cause::new(Arc::from("WAIT was not answered by a number")))),
    }
}
