//! The same as a middleware.

use async_trait::async_trait;
use http::Extensions;
use reqwest::{Request, Response};
use reqwest_middleware::{Middleware, Next};

use crate::operation::{NotSent, Transport, not_sent, run};
use crate::options::{Options, settings};

/// Middleware of [reqwest-middleware](https://docs.rs/reqwest-middleware): each operation gets a key, kept over all
/// its sendings. What stands inside it sees every sending, what stands outside the operation. It replaces a retry
/// middleware; one that stands outside of it would make a new key for each of its retries.
///
/// Where it gives up, [`Error::of`](crate::Error::of) finds the error with the key.
///
/// ```no_run
/// use idem_client::{Error, IdempotencyMiddleware};
/// use reqwest_middleware::ClientBuilder;
///
/// # async fn pay() {
/// let client = ClientBuilder::new(reqwest::Client::new()).with(IdempotencyMiddleware::new()).build();
/// match client.post("https://api.example/payments").body("12 EUR").send().await {
///     Ok(answer) => println!("{}", answer.status()),
///     Err(error) => println!("{error}; key {:?}", Error::of(&error).and_then(Error::key)),
/// }
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct IdempotencyMiddleware {
    options: Options,
}

impl IdempotencyMiddleware {
    /// With the settings at their defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    settings!();
}

#[async_trait]
impl Middleware for IdempotencyMiddleware {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        if !self.options.takes_key(&request) {
            return next.run(request, extensions).await;
        }
        run(&self.options, request, Through { next, extensions })
            .await
            .map_err(reqwest_middleware::Error::middleware)
    }
}

/// What stands inside, anew for every sending.
struct Through<'a> {
    next: Next<'a>,
    extensions: &'a mut Extensions,
}

impl Transport for Through<'_> {
    async fn send(&mut self, request: Request) -> Result<Response, NotSent> {
        self.next.clone().run(request, self.extensions).await.map_err(|error| match error {
            reqwest_middleware::Error::Reqwest(error) => not_sent(error),
            // Another middleware refused it.
            error @ reqwest_middleware::Error::Middleware(_) => NotSent::Never(error.into()),
        })
    }
}
