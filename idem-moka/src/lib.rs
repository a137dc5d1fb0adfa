//! A store of idempotency keys in the memory of one process: fast, bounded, gone with the process.
//!
//! For one process whose retries reach the same process, for tests, and for work that may be run again after
//! a restart. Everything that [`Store`](idem_core::Store) promises holds here, except that nothing outlives
//! the process and no other process sees it.
//!
//! ```
//! # async fn example() -> idem_core::Result<()> {
//! use idem_core::{Registry, Store};
//! use idem_moka::{MokaConfig, MokaStore, WhenFull};
//!
//! let mut config = MokaConfig::default();
//! config.max_bytes = 256 << 20;
//! let store = MokaStore::new(config)?;
//! let chosen_by_configuration =
//!     Registry::new().with(idem_moka::DRIVER).open("moka:?max_bytes=256MiB&when_full=refuse").await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Bounds
//! | what | bound | a `lock` that needs a new record, at the bound |
//! |---|---|---|
//! | locked records: held, lapsed, or released with a checkpoint | [`max_locks`](MokaConfig::max_locks) | is refused |
//! | all records (under [`Evict`](WhenFull::Evict): completed ones) | [`max_entries`](MokaConfig::max_entries) | as [`when_full`](MokaConfig::when_full) says |
//! | bytes: every outcome and checkpoint, and [`RECORD_OVERHEAD`] for each record (under `Evict`: of completed ones) | [`max_bytes`](MokaConfig::max_bytes) | as `when_full` says |
//! | bytes of checkpoints | `max_bytes` | is refused |
//! | what one scope holds of any of these | [`max_share_per_scope`](MokaConfig::max_share_per_scope) | is refused, if it is that scope's |
//! | bytes of one outcome or checkpoint | [`max_outcome`](MokaConfig::max_outcome) | that call is [`TooLarge`](idem_core::ErrorKind::TooLarge) |
//!
//! Refused means [`ErrorKind::Full`](idem_core::ErrorKind::Full): nothing already kept was dropped, and keys
//! already known are served as usual. Expired records make room first.
//!
//! - **No bound refuses a holder.** `renew`, `checkpoint`, `complete`, `release` and the takeover of a known key
//!   always pass, whatever the store holds. So checkpoints and outcomes of keys in progress can exceed `max_bytes`, by at
//!   most `max_locks` times `max_outcome`; until the store is below `max_bytes` again, it takes no new key.
//! - **No scope fills the store for the others.** A new key is refused when its scope would hold more than
//!   `share / (1 - share)` times what is still free. With the default share of 0.9 a single scope gets nine tenths of the
//!   store; two scopes that flood it get 47 % each, and ten get 9.9 % each. Scopes that flood it one after the other each
//!   get nine tenths of what is left, so the fourth finds little; a lower share leaves more for later ones. A scope is
//!   counted while it holds something, and the [shared scope](idem_core::Scope::shared) is not counted at all.
//! - Under [`Refuse`](WhenFull::Refuse), the default, nothing completed is dropped before it expires.
//! - Under [`Evict`](WhenFull::Evict) the least recently used completed records make room, and a retry of an evicted
//!   key **runs its work again**. A locked record is never evicted. moka evicts in batches: for a moment there can be
//!   some hundred records more than the bound. The order of use covers all scopes: a scope that floods the store
//!   **evicts the outcomes of others**. Where tenants must not affect one another, use `Refuse`.
//!
//! Under `Evict`, listing completed records ([`scan`](idem_core::Store::scan)) counts as using them.
//!
//! An empty store takes some 50 KiB (under `Evict` a 64th of `max_bytes` more, at most 4 MiB). Choose `max_locks`
//! with crashed attempts in mind: each counts until its lease and its retention are over. Under `Evict` some hundred
//! removed records may stay in memory until the store is used again, since moka drops them in batches.
//!
//! Outcomes and checkpoints are shared, not copied, both when they are stored and when they are returned. `Bytes` that
//! are a slice of a larger buffer keep the whole buffer in memory, but only their own length is counted: pass a buffer of
//! their own.
//!
//! # Expiry
//! Expiry follows the store's own time ([`StoreClock`](idem_core::backend::StoreClock)), is checked at every read, and
//! needs no thread: every `lock` and `complete` also removes a few expired records.
//! [`expire`](idem_core::Store::expire) removes the rest, so that an idle store gives its memory back.

mod accounting;
mod config;
mod driver;
mod evict;
mod hash;
mod records;
mod shards;
mod store;
#[cfg(test)]
mod tests;

pub use accounting::usage::MokaStats;
pub use config::{MokaConfig, RECORD_OVERHEAD, WhenFull};
pub use driver::DRIVER;
pub use store::MokaStore;
