//! The client side of the `Idempotency-Key` header: **one key per operation, kept over all its retries.**
//!
//! A request whose answer was lost may have been executed. Sent again with the same key, the server executes it
//! once and gives the first answer again (the IETF draft [draft-ietf-httpapi-idempotency-key-header]; `idem-http` is
//! such a server). This crate makes the key, sends it, and sends the request again where that can help.
//!
//! ```no_run
//! use idem_client::Idempotent;
//!
//! # async fn pay() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Idempotent::new(reqwest::Client::new());
//! let request = client.inner().post("https://api.example/payments").body("12 EUR").build()?;
//! match client.execute(request).await {
//!     // Any answer that is final, errors of the application among them.
//!     Ok(answer) => println!("{}", answer.status()),
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
//! Connection errors and timeouts; 429, 502, 503 and 504; and 409 when it says `Retry-After`, by which the server
//! means that the first request is still running. Never an answer that says `Idempotency-Replayed: true`, never any
//! other status: 400, 413 and 422 do not get better, and 500 is an answer like any other, kept and replayed. Pauses
//! grow exponentially, with jitter, and are no shorter than `Retry-After` asks; [`RetryPolicy`] bounds their number
//! and the time that all of it may take.
//!
//! # Across restarts
//! A key that is lost with the process cannot be sent again. [`Idempotent::persist`] takes a hook that is waited for
//! before the first byte is sent: keep key and request there, and after a restart send the request with
//! [`with_key`]. When the hook fails, nothing is sent.
//!
//! # Limits
//! A body that is a stream cannot be sent twice: such a request is sent once, with its key, and what would have been
//! sent again is an [`Error`]. TLS and HTTP versions are those of the `reqwest` that you depend on.
//!
//! [draft-ietf-httpapi-idempotency-key-header]: https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/

mod answer;
mod error;
mod idempotent;
mod key;
#[cfg(feature = "middleware")]
mod middleware;
mod operation;
mod options;
mod persist;
mod policy;

pub use error::{Error, Failure};
pub use idempotent::Idempotent;
pub use key::{ClientKey, InvalidKey, with_key};
#[cfg(feature = "middleware")]
pub use middleware::IdempotencyMiddleware;
pub use persist::Sending;
pub use policy::RetryPolicy;

/// An error of any kind.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
