//! The client side of the `Idempotency-Key` header: **one key per operation, kept over all its retries.**
//!
//! A request whose answer was lost may have been executed. Sent again with the same key, the server executes it
//! once and gives the first answer again (the IETF draft [draft-ietf-httpapi-idempotency-key-header]; `idem-http` is
//! such a server). This crate makes the key, sends it, and sends the request again where that can help.
//!
//! ```no_run
//! use idem_client::{ClientKey, IdempotentClient};
//!
//! # async fn pay() -> Result<(), Box<dyn std::error::Error>> {
//! // An answer that breaks off within its body is asked for again, up to 1 MiB.
//! let client = IdempotentClient::new(reqwest::Client::builder())?.read_body(1 << 20);
//! let request = client.inner().post("https://api.example/payments").body("12 EUR").build()?;
//! match client.execute(request).await {
//!     // Any answer that is final, errors of the application among them. It carries its key.
//!     Ok(answer) => println!("{}, {:?}", answer.status(), answer.extensions().get::<ClientKey>()),
//!     // Nobody knows whether it was executed: keep the key, and send the same request with it later.
//!     Err(error) => eprintln!("{error}; its key: {:?}", error.key().map(|key| key.as_str())),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! With [reqwest-middleware](https://docs.rs/reqwest-middleware) (feature `middleware`, on by default) it is
//! `IdempotencyMiddleware`, and a request needs nothing else.
//!
//! # What is sent again
//! Connection errors, and attempts that take longer than 30 s; 408, 425, 429, 502, 503 and 504; and 409 when it says
//! `Retry-After`, by which the server means that the first request is still running. Never an answer that says
//! `Idempotency-Replayed: true` (or what [`replayed_header`](IdempotentClient::replayed_header) names), never any other
//! status: 400, 413 and 422 do not get better, and 500 is an answer like any other, kept and replayed.
//!
//! Each pause is drawn by chance from between nothing and a bound that doubles ("full jitter"), from a generator that
//! every operation has to itself. What `Retry-After` asks for, in seconds or as a date, is a lower bound: chance comes
//! on top, so that those who were told the same do not come back together. [`RetryPolicy`] bounds the attempts of one
//! request, the time that all of it may take, and what all requests together may add to an outage.
//!
//! # Redirects
//! A redirect to another origin, or one after which the method would be another, is an error that carries the key:
//! the answer there is not the answer to this request. [`redirect_policy`] says more, and
//! [`IdempotentClient::any_redirect`] allows both.
//!
//! # Across restarts
//! A key that is lost with the process cannot be sent again. [`IdempotentClient::persist`] takes a hook that is waited for
//! before the first byte is sent: write the [`OutgoingRequest`] there, in any format of serde's. After a restart
//! [`IdempotentClient::resume`] sends what was read back. [`IdempotentClient::forget`] takes the hook that removes it, with the
//! answer. When the first hook fails, nothing is sent.
//!
//! # Limits
//! A body that is a stream cannot be sent twice: such a request is sent once, with its key, and what would have been
//! sent again is an [`Error`]. TLS and HTTP versions are those of the `reqwest` that you depend on.
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
