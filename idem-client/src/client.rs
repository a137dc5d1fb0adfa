//! The client as a wrapper of reqwest's.

use reqwest::{Client, ClientBuilder, Request, Response};

use crate::error::{Error, Failure};
use crate::operation::{SendError, Transport, run, send_error};
use crate::request::outgoing_request::OutgoingRequest;
use crate::response::redirect::{RedirectRule, redirect_policy, with_rule};
use crate::settings::options::{Options, settings};

/// A [`reqwest::Client`] whose requests may be sent again: each operation gets a key, kept over all its attempts.
///
/// ```no_run
/// use idem_client::{Answered, Failure, IdempotentClient, OutgoingRequest};
///
/// # async fn keep(_: OutgoingRequest) -> std::io::Result<()> { Ok(()) }
/// # async fn book(_: Answered) -> std::io::Result<()> { Ok(()) }
/// # async fn pay() -> Result<(), Box<dyn std::error::Error>> {
/// let client = IdempotentClient::new(reqwest::Client::builder())?
///     // Where a restart finds it.
///     .persist(|request: OutgoingRequest| async move { keep(request).await })
///     // What was answered is written down, and the request removed from there.
///     .forget(|answered: Answered| async move { book(answered).await });
/// let request = client.inner().post("https://api.example/payments").body("12 EUR").build()?;
/// match client.execute(request).await {
///     Ok(answer) => println!("{}", answer.status()),
///     Err(error) => match error.failure() {
///         Failure::NotPersisted(_) | Failure::KeyRefused(_) => println!("not sent"),
///         _ => println!("may have been executed"),
///     },
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct IdempotentClient {
    client: Client,
    options: Options,
}

impl IdempotentClient {
    /// Sends by a client of these settings, but for its redirects, which are those of
    /// [`redirect_policy`](crate::redirect_policy).
    ///
    /// # Errors
    /// Those of [`ClientBuilder::build`].
    pub fn new(client: ClientBuilder) -> reqwest::Result<Self> {
        Ok(Self::with_client(client.redirect(redirect_policy()).build()?))
    }

    /// Sends by a client that is built already.
    ///
    /// Its redirects are those that it was built with: build it with [`redirect_policy`](crate::redirect_policy).
    /// Otherwise a POST that was redirected as a GET looks like one that was answered; and of a redirect to another
    /// origin the error comes when the key was sent there.
    #[must_use]
    pub fn with_client(client: Client) -> Self {
        Self { client, options: Options::default() }
    }

    settings!();

    /// The client itself, to build requests by.
    #[must_use]
    pub fn inner(&self) -> &Client {
        &self.client
    }

    /// Sends `request` until its answer is final, with a new key, or the one that it [carries](crate::with_key). The
    /// answer has the key as an extension, a [`ClientKey`](crate::ClientKey).
    ///
    /// Its body is the application's to read, and to ask for again with the key when it breaks off, unless
    /// [`read_body`](Self::read_body) is set. The time for one attempt does not bound that reading.
    ///
    /// # Errors
    /// [`Error`], which carries the key, when the policy is used up, or the error will not pass.
    ///
    /// # Cancel safety
    /// A dropped future leaves open whether the request was executed. To find out, its key must have been
    /// [persisted](IdempotentClient::persist) or the application's own.
    pub async fn execute(&self, request: Request) -> Result<Response, Error> {
        if self.options.takes_key(&request) {
            return run(&self.options, request, None, &self.client).await;
        }
        let answer = with_rule(RedirectRule::Any, self.client.execute(request)).await;
        answer.map_err(|source| Error::new(None, 1, Failure::NotAnswered(source.without_url().into())))
    }

    /// Sends a request again that was [kept](Self::persist) before this process started: with the same key, headers
    /// and bytes, until its answer is final. It is not kept a second time; the hook that
    /// [forgets](Self::forget) is called as ever.
    ///
    /// ```no_run
    /// use idem_client::{IdempotentClient, OutgoingRequest};
    /// use reqwest::header::{AUTHORIZATION, HeaderValue};
    ///
    /// # async fn after_a_restart(client: IdempotentClient, lines: Vec<String>) -> Result<(), Box<dyn std::error::Error>> {
    /// for line in lines {
    ///     let mut request: OutgoingRequest = serde_json::from_str(&line)?;
    ///     // Secrets were not kept.
    ///     request.headers_mut().insert(AUTHORIZATION, HeaderValue::from_static("Bearer today"));
    ///     let answer = client.resume(&request).await?;
    ///     println!("{}: {}", request.key().as_str(), answer.status());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`execute`](Self::execute), and [`Failure::NotResumed`].
    ///
    /// # Cancel safety
    /// A dropped future leaves it kept: resume it once more.
    pub async fn resume(&self, outgoing: &OutgoingRequest) -> Result<Response, Error> {
        match outgoing.request() {
            Ok((request, resumed)) => run(&self.options, request, Some(resumed), &self.client).await,
            Err(source) => Err(Error::new(Some(outgoing.key().clone()), 0, Failure::NotResumed(source))),
        }
    }
}

impl Transport for &Client {
    async fn send(&mut self, request: Request) -> Result<Response, SendError> {
        self.execute(request).await.map_err(send_error)
    }
}
