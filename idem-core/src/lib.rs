//! The contract behind idempotency keys.
//!
//! A client that lost an answer retries, and the server cannot tell the retry from a second order. An *idempotency key*
//! that the client chose makes the difference. This crate is what every idem store promises: **for one key, one
//! unexpired lease at a time, one accepted completion, and the same answer for every retry until it expires.**
//!
//! ```
//! use std::{io, time::Duration};
//! use idem_core::{Fingerprint, Key, NoResult, Policy, Result, Scope, Store, StoreExt};
//!
//! async fn pay(store: &dyn Store, client_key: &str, cents: u64) -> Result<Result<String, NoResult<io::Error>>> {
//!     let key = Key::new(&Scope::new("tenant-7")?, client_key)?; // whose key, and which
//!     let request = Fingerprint::builder("payments v1").part(cents.to_le_bytes()).finish(); // what it asks for
//!     let policy = Policy::new(Duration::from_secs(30), Duration::from_hours(24)); // lease and retention
//!     let charge = |_lease| async move { Ok(format!("receipt for {cents} cents")) }; // runs once
//!     Ok(store.execute(&key, &request, &policy, charge).await?.into_result())
//! }
//! ```
//!
//! | to | use |
//! |---|---|
//! | run the work of a key once | [`StoreExt::execute`] with a [`Policy`]; it answers an [`Execution`] |
//! | name a request | [`Key`], of a [`Scope`] and the client's text; [`Fingerprint`], of what it asks for |
//! | open a store by configuration | [`Registry`], with a URI or a [`StoreConfig`] |
//! | take single steps | [`Store`]: [`lock`](Store::lock) answers a [`LockAnswer`], a holder's call an [`Effect`] |
//! | list, count and erase records | [`scan`]: [`Store::scan`], [`StoreExt::record_stats`], [`Store::erase`] |
//! | test with a clock that the test moves | [`clock::ManualClock`] |
//! | count and trace | [`metrics`]; spans of `tracing` are always there |
//! | write a store | [`backend`] |

#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    not(feature = "config"),
    expect(rustdoc::broken_intra_doc_links, reason = "the pages name `Registry` and what it opens")
)]

pub mod backend;
mod claim;
pub mod clock;
#[cfg(feature = "config")]
#[cfg_attr(docsrs, doc(cfg(feature = "config")))]
pub mod config;
mod effect;
pub mod error;
mod execute;
mod identity;
mod lease;
pub mod metrics;
pub mod record;
pub mod scan;
mod store;
pub mod typed;

/// For its `Bytes`, the type of outcomes and checkpoints.
pub use bytes;

pub use claim::Claim;
#[cfg(feature = "config")]
#[cfg_attr(docsrs, doc(cfg(feature = "config")))]
pub use config::{Driver, Registry, StoreConfig};
pub use effect::{Effect, LostReason, Transacted};
pub use error::{Error, ErrorKind, Result};
pub use execute::{Execution, NoResult, OnError, Policy, StoreExt};
pub use identity::{Fingerprint, FingerprintBuilder, Key, Owner, Scope, Token};
pub use lease::{Lease, LockAnswer};
pub use record::{Outcome, UnavailableReason};
pub use store::{Capabilities, Expired, SettledWait, Store};
