//! The client as a middleware for reqwest-middleware.

use async_trait::async_trait;
use http::Extensions;
use reqwest::{Request, Response};
use reqwest_middleware::{ClientWithMiddleware, Middleware, Next};

use crate::error::{Error, Failure};
use crate::operation::{SendError, Transport, run, send_error};
use crate::request::outgoing_request::OutgoingRequest;
use crate::request::resumed::Resumed;
use crate::response::redirect::{RedirectRule, with_rule};
use crate::settings::options::{Options, settings};

/// Middleware for [reqwest-middleware](https://docs.rs/reqwest-middleware): each operation gets a key, kept over all
/// its attempts. Middleware inside this one sees every attempt; middleware outside sees one operation. This middleware
/// replaces a retry middleware: outside of this one, that would cause a new key for each of its retries.
///
/// It promises what [`IdempotentClient`](crate::IdempotentClient) promises, except for redirects: the client that it is
/// added to is built already. Build that client with [`redirect_policy`](crate::redirect_policy).
///
/// When the middleware gives up, [`Error::of`](crate::Error::of) finds the error with the key.
///
/// ```no_run
/// use idem_client::{Error, IdempotencyMiddleware, redirect_policy};
/// use reqwest_middleware::ClientBuilder;
///
/// # async fn pay() -> reqwest::Result<()> {
/// let client = reqwest::Client::builder().redirect(redirect_policy()).build()?;
/// let client = ClientBuilder::new(client).with(IdempotencyMiddleware::new()).build();
/// match client.post("https://api.example/payments").body("12 EUR").send().await {
///     Ok(answer) => println!("{}", answer.status()),
///     Err(error) => println!("{error}; key {:?}", Error::of(&error).and_then(Error::key)),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct IdempotencyMiddleware {
    options: Options,
}

impl IdempotencyMiddleware {
    /// A middleware with default settings.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    settings!();

    /// As [`IdempotentClient::resume`](crate::IdempotentClient::resume), by a client that has this middleware. A client
    /// without it sends the request once, with its key.
    ///
    /// ```no_run
    /// use idem_client::{IdempotencyMiddleware, OutgoingRequest};
    ///
    /// # async fn after_a_restart(
    /// #     client: reqwest_middleware::ClientWithMiddleware,
    /// #     outgoing: OutgoingRequest,
    /// # ) -> reqwest_middleware::Result<()> {
    /// let answer = IdempotencyMiddleware::resume(&client, &outgoing).await?;
    /// println!("{}: {}", outgoing.key().as_str(), answer.status());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of the client, among which [`Error::of`](crate::Error::of) finds [`Failure::NotResumed`].
    ///
    /// # Cancel safety
    /// After a dropped future the request is still kept: resume it once more.
    pub async fn resume(
        client: &ClientWithMiddleware,
        outgoing: &OutgoingRequest,
    ) -> reqwest_middleware::Result<Response> {
        let (request, resumed) = outgoing.request().map_err(|source| {
            let error = Error::new(Some(outgoing.key().clone()), 0, Failure::NotResumed(source));
            reqwest_middleware::Error::middleware(error)
        })?;
        let mut extensions = Extensions::new();
        extensions.insert(resumed);
        client.execute_with_extensions(request, &mut extensions).await
    }
}

#[async_trait]
impl Middleware for IdempotencyMiddleware {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        // Another middleware outside of this one may first send a request of its own, with the same extensions.
        let resumed = extensions.get::<Resumed>().filter(|resumed| resumed.is_of(&request)).cloned();
        if resumed.is_none() && !self.options.takes_key(&request) {
            return with_rule(RedirectRule::Any, next.run(request, extensions)).await;
        }
        run(&self.options, request, resumed, MiddlewareTransport { next, extensions })
            .await
            .map_err(reqwest_middleware::Error::middleware)
    }
}

/// The middleware and client inside this one, called anew for every attempt.
struct MiddlewareTransport<'a> {
    next: Next<'a>,
    extensions: &'a mut Extensions,
}

impl Transport for MiddlewareTransport<'_> {
    async fn send(&mut self, request: Request) -> Result<Response, SendError> {
        self.next.clone().run(request, self.extensions).await.map_err(|error| match error {
            reqwest_middleware::Error::Reqwest(error) => send_error(error),
            // Another middleware refused the request.
            error @ reqwest_middleware::Error::Middleware(_) => {
                SendError::Final(Failure::NotAnswered(error.into()))
            }
        })
    }
}
