//! The plain wrapper.

use reqwest::{Client, Request, Response};

use crate::error::{Error, Failure};
use crate::operation::{NotSent, Transport, not_sent, run};
use crate::options::{Options, settings};

/// A [`reqwest::Client`] whose requests may be sent again: each operation gets a key, kept over all its sendings.
///
/// ```no_run
/// use idem_client::{Failure, Idempotent, Sending};
///
/// # async fn keep(_: Sending) -> std::io::Result<()> { Ok(()) }
/// # async fn pay() -> Result<(), Box<dyn std::error::Error>> {
/// let client = Idempotent::new(reqwest::Client::new()).persist(|sending: Sending| async move {
///     // Where a restart finds it.
///     keep(sending).await
/// });
/// let request = client.inner().post("https://api.example/payments").body("12 EUR").build()?;
/// match client.execute(request).await {
///     Ok(answer) => println!("{}", answer.status()),
///     Err(error) => match error.failure() {
///         Failure::NotPersisted(_) => println!("not sent"),
///         _ => println!("may have been executed"),
///     },
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Idempotent {
    client: Client,
    options: Options,
}

impl Idempotent {
    /// Sends by `client`. Give it a timeout: reqwest has none by default, and an answer that never comes is not
    /// asked for again.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client, options: Options::default() }
    }

    settings!();

    /// The client itself, to build requests by.
    #[must_use]
    pub fn inner(&self) -> &Client {
        &self.client
    }

    /// Sends `request` until its answer is final, with a new key, or the one that it [carries](crate::with_key).
    ///
    /// # Errors
    /// [`Error`], which carries the key, when the policy is used up, or the error will not pass.
    ///
    /// # Cancel safety
    /// A dropped future leaves open whether the request was executed. To find out, its key must have been
    /// [persisted](Idempotent::persist) or the application's own.
    pub async fn execute(&self, request: Request) -> Result<Response, Error> {
        if self.options.takes_key(&request) {
            return run(&self.options, request, &self.client).await;
        }
        let answer = self.client.execute(request).await;
        answer.map_err(|source| Error::new(None, 1, Failure::NotAnswered(source.into())))
    }
}

impl Transport for &Client {
    async fn send(&mut self, request: Request) -> Result<Response, NotSent> {
        self.execute(request).await.map_err(not_sent)
    }
}
