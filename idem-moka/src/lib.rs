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
//! let store = MokaStore::new(MokaConfig { max_bytes: 256 << 20, ..MokaConfig::default() })?;
//! let chosen_by_configuration =
//!     Registry::new().with(idem_moka::DRIVER).open("moka:?max_bytes=256MiB&when_full=refuse").await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What bounds it
//! | what | bound | at the bound |
//! |---|---|---|
//! | locked records: held, lapsed, or released with a checkpoint | [`max_locks`](MokaConfig::max_locks) | a `lock` that needs a new record is refused |
//! | all records (under [`Evict`](WhenFull::Evict): completed ones) | [`max_entries`](MokaConfig::max_entries) | as [`when_full`](MokaConfig::when_full) says |
//! | bytes: every outcome and checkpoint, and [`RECORD_OVERHEAD`] for each record (under `Evict`: of completed ones) | [`max_bytes`](MokaConfig::max_bytes) | as `when_full` says |
//! | bytes of checkpoints | `max_bytes` | the `checkpoint` is refused, the lease and the checkpoint before it stay |
//!
//! Refused means [`ErrorKind::Full`](idem_core::ErrorKind::Full): nothing already kept was dropped, and keys
//! already known are served as ever (replays, resent calls, take-overs). Expired records make room first.
//!
//! - Under [`Refuse`](WhenFull::Refuse), the default, nothing completed is dropped before it expires. The
//!   completion of a lock once granted is always kept, so `max_bytes` can be exceeded by at most the locked
//!   records times [`max_outcome`](MokaConfig::max_outcome); until it is below again, no new key is taken.
//! - Under [`Evict`](WhenFull::Evict) the least recently used completed records make room, and a retry of one
//!   of those **runs its work again**. A locked record is never evicted. moka evicts in batches: for a moment
//!   there can be some hundred records more than the bound.
//!
//! An empty store takes a 64th of `max_bytes`, at most 4 MiB. Choose `max_locks` with crashed attempts in mind:
//! each counts until its lease and its retention are over. moka lets go of removed records in batches, so some
//! hundred of them may stay in memory until the store is used again.
//!
//! Outcomes and checkpoints are shared, not copied, when they come in and when they go out. Bytes that are a
//! slice of a larger buffer keep that whole buffer in memory and are counted by their own length only: hand
//! over a buffer of their own.
//!
//! # Expiry
//! Follows the store's own time ([`StoreClock`](idem_core::StoreClock)), is checked at every read, and needs no
//! thread: every `lock` and `complete` also removes a few expired records.
//! [`expire`](idem_core::Store::expire) removes the rest when a quiet store shall give memory back.

mod completed;
mod config;
mod driver;
mod expiry;
mod hash;
mod locked;
mod records;
mod shard;
mod store;
mod sweep;
#[cfg(test)]
mod tests;
mod usage;

pub use config::{MokaConfig, WhenFull};
pub use driver::DRIVER;
pub use store::MokaStore;
pub use usage::{MokaStats, RECORD_OVERHEAD};
