//! The client side of the `Idempotency-Key` header: **one key per operation, kept over all its retries.**
//!
//! A request whose answer was lost may have been executed. When it is sent again with the same key, the server does not
//! execute it twice, and repeats the first answer (the IETF draft [draft-ietf-httpapi-idempotency-key-header]; `idem-http`
//! makes such a server). This crate makes the key, sends it, and sends the request again where that can help.
//!
//! ```no_run
//! use idem_client::{ClientKey, IdempotentClient};
//!
//! # async fn pay() -> Result<(), Box<dyn std::error::Error>> {
//! // Reads answers of up to 1 MiB, and sends the request again when one breaks off.
//! let client = IdempotentClient::new(reqwest::Client::builder())?.read_body(1 << 20);
//! let request = client.inner().post("https://api.example/payments").body("12 EUR").build()?;
//! match client.execute(request).await {
//!     // The final answer, which may be an error of the application. It carries its key.
//!     Ok(answer) => println!("{}, {:?}", answer.status(), answer.extensions().get::<ClientKey>()),
//!     // The request may have been executed: keep the key, and send the same request with it later.
//!     Err(error) => eprintln!("{error}; its key: {:?}", error.key().map(|key| key.as_str())),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! With [reqwest-middleware](https://docs.rs/reqwest-middleware) (feature `middleware`, on by default), use
//! `IdempotencyMiddleware`; requests are built and sent as usual.
//!
//! # What is sent again
//! A request is sent again after a connection error, after an attempt that takes longer than 30 s, after the statuses 408,
//! 425, 429, 502, 503 and 504, after Cloudflare's 520 to 524 and 530, and after a 409 with `Retry-After`, by which the
//! server means that the first request is still running. An answer with `Idempotency-Replayed: true` (or with the header
//! that [`replayed_header`](IdempotentClient::replayed_header) names) is final, and so is every other status: 400, 413 and
//! 422 do not get better, and 500 is an answer like any other, kept and replayed.
//!
//! Each pause is random between nothing and a bound that doubles ("full jitter"). Every operation has a random generator of
//! its own. What `Retry-After` asks for, in seconds or as a date, is a lower bound: jitter comes on top, so that clients that
//! were told the same do not come back together. [`RetryPolicy`] bounds the attempts of one request, the time that all of
//! them may take, and what all requests together may add to an outage.
//!
//! # Redirects
//! A redirect to another origin, or one that would change the method, is an error that carries the key: the answer there
//! is not the answer to this request. [`redirect_policy`] says more, and [`IdempotentClient::any_redirect`] allows both.
//!
//! # Across restarts
//! A key that is lost with the process cannot be sent again. [`IdempotentClient::persist`] takes a hook that is awaited
//! before the first byte is sent: write the [`OutgoingRequest`] there, in any serde format. After a restart
//! [`IdempotentClient::resume`] sends what was read back. [`IdempotentClient::forget`] takes a hook that gets the answer and
//! removes the request that was kept. When the hook of `persist` fails, nothing is sent.
//!
//! # Limits
//! A body that is a stream cannot be sent twice: such a request is sent once, with its key, and where it would have to be
//! sent again there is an [`Error`] instead. TLS and HTTP versions are those of the `reqwest` that you depend on.
//!
//! [draft-ietf-httpapi-idempotency-key-header]: https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/

mod box_error;
mod client;
mod clock;
mod error;
#[cfg(feature = "middleware")]
mod middleware;
mod operation;
mod request;
mod response;
mod retry;
mod settings;

pub use box_error::BoxError;
pub use client::IdempotentClient;
pub use error::{Error, Failure};
#[cfg(feature = "middleware")]
pub use middleware::IdempotencyMiddleware;
pub use request::key::{ClientKey, KeyError, with_key};
pub use request::outgoing_request::OutgoingRequest;
pub use response::redirect::redirect_policy;
pub use retry::policy::RetryPolicy;
pub use settings::hooks::Answered;
