//! Opening a store by configuration.

use std::sync::Arc;

use idem_core::config::{Opening, Options};
use idem_core::{Driver, Store};

use crate::config::options::read;
use crate::store::redis_store::RedisStore;

/// Opens a [`RedisStore`] by a URI or a table with `store = "redis-cluster"`, for
/// [`Registry::with`](idem_core::Registry::with). The options are the fields of [`RedisConfig`](crate::RedisConfig).
///
/// | URI | what |
/// |---|---|
/// | `redis://user:password@host:6379/0` | one server |
/// | `redis-cluster://h1:7000,h2:7001?acks=1` | a cluster |
/// | `redis-sentinel://h1:26379,h2:26379?service=mymaster` | a master that sentinels name |
/// | `redis+unix:/run/redis.sock` | a Unix socket |
/// | `rediss://`, `rediss-cluster://`, `rediss-sentinel://` | the same over TLS |
///
/// In a URI, user and password are percent-encoded. In a table, `servers` is a string or a list, and `username`,
/// `password` and `database` are options beside it.
pub const DRIVER: Driver = Driver {
    schemes: &[
        "redis",
        "rediss",
        "redis-cluster",
        "rediss-cluster",
        "redis-sentinel",
        "rediss-sentinel",
        "redis+unix",
    ],
    target: Some("servers"),
    open,
};

fn open(options: Options) -> Opening {
    Box::pin(async move { Ok(Arc::new(RedisStore::open(read(options)?).await?) as Arc<dyn Store>) })
}
