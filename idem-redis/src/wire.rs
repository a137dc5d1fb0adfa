//! Handing commands to the client library.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use fred::clients::{Client, Pipeline};
use fred::error::{Error, ErrorKind};
use fred::interfaces::ClientLike;
use fred::types::{ClusterHash, CustomCommand, Value};

/// One command, or several that no other comes between.
pub(crate) struct Batch(Pipeline<Client>);

impl Batch {
    pub(crate) fn new(client: &Client) -> Self {
        Self(client.pipeline())
    }

    /// Adds a command; nothing is sent yet.
    ///
    /// Not async: the library's future of a command has 27 kB, of which queueing needs hardly any. Here they lie on
    /// the stack for a moment, instead of being allocated for as long as the answer takes.
    pub(crate) fn add(&self, name: &'static str, arguments: Vec<Value>) -> Result<(), Error> {
        let command = CustomCommand::new_static(name, ClusterHash::FirstKey, false);
        let queued = pin!(self.0.custom_raw(command, arguments));
        match queued.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(queued) => queued.map(drop),
            Poll::Pending => Err(Error::new(ErrorKind::Backpressure, "the command was not queued at once")),
        }
    }

    /// Sends all, and waits for the answer to the last.
    pub(crate) async fn answer(self) -> Result<Value, Error> {
        self.0.last().await
    }
}
