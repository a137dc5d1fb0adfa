//! A store of idempotency keys in Redis (7.0 or later) or Valkey: one server, a replicated pair, or a cluster.

mod acks;
mod address;
mod calls;
mod check;
mod config;
mod dial;
mod discover;
mod dispatch;
mod driver;
mod fault;
mod link;
mod node;
mod records;
mod required;
mod script;
mod settled;
mod slots;
mod store;
mod time;
#[cfg(feature = "tls")]
mod tls;
mod topology;
mod waiting;
mod wire;

pub use address::Address;
pub use config::{Acks, Deployment, RedisConfig};
pub use driver::DRIVER;
pub use store::RedisStore;
