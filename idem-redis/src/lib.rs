//! A store of idempotency keys in Redis (7.0 or later) or Valkey, for many processes: one server, a replicated pair,
//! a master that sentinels name, or a cluster.
//!
//! It fails closed instead of forgetting: a write is answered once the replicas of its master hold it ([`Acks`]), and
//! when they do not in time the answer is [`Timeout`](idem_core::ErrorKind::Timeout), never a promise.
//!
//! ```no_run
//! # async fn example() -> idem_core::Result<()> {
//! use idem_core::Registry;
//! use idem_redis::{RedisConfig, RedisStore};
//!
//! let store = RedisStore::open(RedisConfig::cluster(["10.0.0.1:7000".parse()?])).await?;
//! let chosen_by_configuration =
//!     Registry::new().with(idem_redis::DRIVER).open("redis-cluster://10.0.0.1:7000?acks=all").await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What is kept
//! One Redis key for each record, named by [`RedisStore::redis_key`]. Redis itself forgets it: a locked one when its
//! lease and its retention are over, a completed one after its retention. Times are those of the server's clock. Beside
//! them one key for each master, `<prefix>marker:<number>`, by which one that lost its data is told from a new one.
//!
//! # Servers
//! Asked on every new connection and every [`check_interval`](RedisConfig::check_interval): the version, whether it
//! evicts, whether it is master, of which cluster, how many replicas it has, what it keeps when it is started again, and
//! whether it has what it was given. One that would forget keys, or has, is refused. A failover, slots that move, and
//! scripts that are flushed are followed without the caller's doing, within
//! [`call_timeout`](RedisConfig::call_timeout); no call takes longer than that.
//!
//! # What may be lost
//! With fewer acknowledgements than replicas, what the replica that takes over does not have. `docs/guarantees.md`
//! has the whole list, with the tests, and `docs/redis.md` how to set up the servers.

mod config;
mod connection;
mod driver;
mod protocol;
mod retry;
mod settled;
mod store;
#[cfg(test)]
mod tests;
mod topology;

pub use config::acks::Acks;
pub use config::address::Address;
pub use config::deployment::Deployment;
pub use config::redis_config::RedisConfig;
pub use driver::DRIVER;
pub use store::redis_store::RedisStore;
