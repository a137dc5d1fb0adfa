//! The client as a wrapper around reqwest's.

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
///     // Keeps the request where a restart finds it.
///     .persist(|request: OutgoingRequest| async move { keep(request).await })
///     // Records the answer, and removes the request that was kept.
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
    /// A client with these settings, except for its redirects, which follow
    /// [`redirect_policy`](crate::redirect_policy).
    ///
    /// # Errors
    /// Those of [`ClientBuilder::build`].
    pub fn new(client: ClientBuilder) -> reqwest::Result<Self> {
        Ok(Self::with_client(client.redirect(redirect_policy()).build()?))
    }

    /// Wraps a client that is built already.
    ///
    /// The client keeps the redirect policy that it was built with: build it with
    /// [`redirect_policy`](crate::redirect_policy). Otherwise a POST that was redirected as a GET looks as if it had been
    /// answered, and a redirect to another origin becomes an error only after the key was sent there.
    #[must_use]
    pub fn with_client(client: Client) -> Self {
        Self { client, options: Options::default() }
    }

    settings!();

    /// The wrapped client, to build requests with.
    #[must_use]
    pub fn inner(&self) -> &Client {
        &self.client
    }

    /// Sends `request` until its answer is final, with a new key, or the one that it [carries](crate::with_key). The
    /// answer has the key as an extension, a [`ClientKey`](crate::ClientKey).
    ///
    /// Unless [`read_body`](Self::read_body) is set, the application reads the body of the answer, and sends the request
    /// again with the key when the body breaks off. The time limit of an attempt does not bound that reading.
    ///
    /// # Errors
    /// [`Error`], which carries the key, when the retry policy is exhausted or no retry can help.
    ///
    /// # Cancel safety
    /// After a dropped future the request may or may not have been executed. To find out, send it again with its key, which
    /// must have been [persisted](IdempotentClient::persist) or be the application's own.
    pub async fn execute(&self, request: Request) -> Result<Response, Error> {
        if self.options.takes_key(&request) {
            return run(&self.options, request, None, &self.client).await;
        }
        let answer = with_rule(RedirectRule::Any, self.client.execute(request)).await;
        answer.map_err(|source| Error::new(None, 1, Failure::NotAnswered(source.without_url().into())))
    }

    /// Sends a request again that was [kept](Self::persist) before this process started: with the same key, headers
    /// and bytes, until its answer is final. The request is not kept a second time; the hook
    /// [`forget`](Self::forget) is called as usual.
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
    /// After a dropped future the request is still kept: resume it once more.
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
