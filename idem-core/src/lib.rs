//! The contract behind idempotency keys.
//!
//! A client that lost an answer retries; the server cannot tell the retry from a second order. An
//! *idempotency key* chosen by the client tells it. This crate is what every idem store promises:
//! **for one key, one unexpired lease at a time, one accepted completion, and the same answer for every
//! retry until it expires.**
//!
//! - [`Store`] is the contract, [`StoreExt::execute`] the comfort over it.
//! - [`Registry`] opens a store by a URI or a table of a configuration file.
//! - [`metrics`] names what is counted with the feature `metrics`; spans of `tracing` are always there.
//! - [`mod@decide`] is the one pure transition that every backend makes atomic; [`codec`] the bytes in a store;
//!   [`backend`] what else an author of a store needs.

pub mod backend;
mod capabilities;
mod clock;
pub mod codec;
pub mod decide;
mod digest;
mod error;
mod execute;
mod fingerprint;
mod forward;
mod key;
mod lease;
pub mod limits;
mod lock;
pub mod metrics;
mod observed;
mod random;
mod record;
mod registry;
pub mod setting;
mod store;
mod store_clock;
mod token;
mod transacted;
mod typed;
mod wait;

/// What a store's methods are written with.
pub use async_trait::async_trait;
/// What outcomes and checkpoints are made of.
pub use bytes;

pub use capabilities::Capabilities;
pub use clock::{Clock, ManualClock, SharedClock, SystemClock, Timestamp};
pub use decide::decide;
pub use error::{Error, ErrorKind, Operation, Result};
pub use execute::{Execution, NoResult, OnError, Policy, SettledWait, StoreExt};
pub use fingerprint::{Fingerprint, FingerprintBuilder};
pub use key::{Key, Scope};
pub use lease::{Grant, Lease, Sent};
pub use lock::{Claim, Completion, Fenced, LockOutcome, LostReason};
pub use observed::Observed;
pub use record::{Checkpoint, Completed, Locked, Outcome, Reason, Record, State};
pub use registry::{Driver, Opening, Options, Registry, StoreConfig};
pub use store::{Expired, Store};
pub use store_clock::{ClockMark, StoreClock};
pub use token::{Owner, Token};
pub use transacted::Transacted;
pub use typed::{decode_value, encode_value};
pub use wait::Waiters;
