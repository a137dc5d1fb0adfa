//! What all clones of a store share, and what several calls need.

use std::sync::Arc;
use std::time::Duration;

use idem_core::error::Operation;
use idem_core::{Error, ErrorKind, Key};

use bytes::Bytes;

use crate::config::redis_config::RedisConfig;
use crate::protocol::records;
use crate::retry::CallContext;
use crate::settled::subscriptions::Subscriptions;
use crate::topology::node::server_time::ServerTime;
use crate::topology::servers::Topology;

pub(super) struct Inner {
    pub(super) config: RedisConfig,
    pub(super) topology: Arc<Topology>,
    pub(super) time: Arc<ServerTime>,
    pub(super) subscriptions: Subscriptions,
}

impl Inner {
    /// The Redis key of `key`'s record.
    pub(super) fn redis_key(&self, key: &Key) -> String {
        records::redis_key(&self.config.prefix, key)
    }

    /// How long the token of a removed record is kept: longer than the stores' estimates of the server's time can differ.
    pub(super) fn remembered(&self) -> Duration {
        const MIN: Duration = Duration::from_secs(10);
        MIN.max(self.config.response_timeout)
    }

    pub(super) fn call_context(&self, redis_key: &[u8]) -> CallContext<'_> {
        CallContext::new(&self.topology, &self.time, redis_key, self.config.call_timeout)
    }

    /// The error for a record that a script could not read.
    pub(super) async fn damaged(
        &self,
        context: &CallContext<'_>,
        key: &Key,
        redis_key: &Bytes,
        operation: Operation,
    ) -> Error {
        match context.read(key, redis_key).await {
            Err(error) => error.during(operation),
            // The record has changed since, or is damaged in a part that only the script reads.
            Ok(_) => Error::new(ErrorKind::Corrupt, operation, "the record cannot be read"),
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.topology.close();
    }
}
