//! The Idempotency-Key header for any tower stack.

mod attempt;
#[cfg(feature = "axum")]
mod axum;
mod body;
mod builder;
#[cfg(feature = "canonical-json")]
mod canonical;
mod capture;
mod codec;
mod conclude;
mod fingerprint;
mod future;
mod handle;
mod headers;
mod intake;
mod key;
mod layer;
pub mod metrics;
mod options;
mod panic;
pub mod problem;
mod response;
mod run;
mod running;
mod scope;
mod service;
mod stage;
mod verdict;

pub use attempt::Attempt;
#[cfg(feature = "axum")]
pub use axum::AttemptMissing;
pub use body::RequestBody;
pub use builder::Builder;
pub use fingerprint::Recipe;
pub use future::ResponseFuture;
pub use headers::KeptHeaders;
pub use key::{IdempotencyKey, KeySyntax};
pub use layer::IdempotencyLayer;
pub use options::{KeyRule, WhenHandlerFails, WhenInFlight, WhenNotRecorded, WhenStoreFails};
pub use response::ResponseBody;
pub use running::Running;
pub use scope::ScopeError;
pub use service::Idempotency;
pub use verdict::{Answer, InDoubt, NOT_EXECUTED, NotExecuted, Verdict};
