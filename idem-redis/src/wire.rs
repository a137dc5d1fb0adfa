//! Handing commands to the client library.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use fred::clients::{Client, Pipeline};
use fred::error::{Error, ErrorKind};
use fred::interfaces::{ClientLike, KeysInterface};
use fred::types::{ClusterHash, CustomCommand, Expiration, SetOptions, Value};

use crate::script::Script;

/// A command.
#[derive(Clone)]
pub(crate) enum Command {
    /// By its name and arguments. The library gives every one of these a system call of its own.
    Plain(&'static str, Vec<Value>),
    /// `SET key record NX GET PX life`, in the library's own words: many of these share a system call.
    SetIfAbsent { key: Value, record: Value, life: i64 },
}

impl Command {
    /// Runs `script`: by its digest, or, for a server that does not know it, by its `whole` text.
    pub(crate) fn script(script: &Script, whole: bool, keys: Vec<Value>, arguments: Vec<Value>) -> Self {
        let (name, text) = if whole { ("EVAL", &script.source) } else { ("EVALSHA", &script.digest) };
        let mut all = Vec::with_capacity(2 + keys.len() + arguments.len());
        // As many as there are calls at one time.
        let count = i64::try_from(keys.len()).unwrap_or(i64::MAX);
        all.extend([Value::String(text.clone()), Value::Integer(count)]);
        all.extend(keys);
        all.extend(arguments);
        Self::Plain(name, all)
    }
}

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
    pub(crate) fn add(&self, command: Command) -> Result<(), Error> {
        match command {
            Command::Plain(name, arguments) => {
                let command = CustomCommand::new_static(name, ClusterHash::FirstKey, false);
                at_once(self.0.custom_raw(command, arguments)).map(drop)
            }
            Command::SetIfAbsent { key, record, life } => {
                let key = fred::types::Key::try_from(key)?;
                let (life, options) = (Some(Expiration::PX(life)), Some(SetOptions::NX));
                at_once(self.0.set::<Value, _, _>(key, record, life, options, true)).map(drop)
            }
        }
    }

    /// Sends all, and waits for the answer to the last.
    pub(crate) async fn answer(self) -> Result<Value, Error> {
        self.0.last().await
    }
}

/// What queueing comes to, for which nothing has to be waited.
fn at_once<T>(queued: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    match pin!(queued).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(queued) => queued,
        Poll::Pending => Err(Error::new(ErrorKind::Backpressure, "the command was not queued at once")),
    }
}
