//! A store of idempotency keys in Redis (7.0 or later) or Valkey, for many processes: one server, a replicated pair,
//! a master that sentinels name, or a cluster.
//!
//! The store fails closed instead of forgetting: a write is answered once the replicas of its master hold it ([`Acks`]).
//! When they do not hold it in time, the answer is [`Timeout`](idem_core::ErrorKind::Timeout), never a promise.
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
//! One Redis key for each record, named by [`RedisStore::redis_key`]. Redis itself expires it: a locked record when its
//! lease and its retention are over, a completed one after its retention. Times are those of the server's clock. Beside
//! the records there is one key for each master, `<prefix>marker:<number>`, which tells a master that lost its data from
//! a new one.
//!
//! # Servers
//! Each server is checked on every new connection and every [`check_interval`](RedisConfig::check_interval): its version,
//! whether it evicts keys, whether it is a master, which cluster it belongs to, how many replicas it has, what it keeps
//! across a restart, and whether it still has its data. A server that would forget keys, or has forgotten some, is
//! refused. The store follows a failover, slots that move and scripts that are flushed by itself, within
//! [`call_timeout`](RedisConfig::call_timeout); no call takes longer than that.
//!
//! # What may be lost
//! With fewer acknowledgements than replicas, whatever the promoted replica does not have. `docs/guarantees.md` has the
//! whole list, with the tests; `docs/redis.md` says how to set up the servers.

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
