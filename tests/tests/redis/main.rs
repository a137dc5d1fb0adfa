//! idem-redis through the kit: on one server, and on a cluster whose replicas must hold every write.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use idem_conformance::redis::{Node, Server};
use idem_conformance::{Harness, LARGEST_OUTCOME, Time, Unsupported, conformance};
use idem_core::{Key, Store};
use idem_redis::{RedisConfig, RedisStore};

conformance!(lone, LoneHarness::new, lacks: [StrictSequence, ManualClock, Sweep]);

struct LoneHarness {
    server: Server,
    store: RedisStore,
}

impl LoneHarness {
    async fn new() -> Self {
        let server = Server::lone().await;
        let store = RedisStore::open(config(&server)).await.unwrap();
        Self { server, store }
    }
}

fn config(server: &Node) -> RedisConfig {
    let mut config = RedisConfig::lone(server.addr().to_string().parse().unwrap());
    config.max_outcome = LARGEST_OUTCOME as u64;
    config
}

#[async_trait]
impl Harness for LoneHarness {
    fn store(&self) -> Arc<dyn Store> {
        Arc::new(self.store.clone())
    }

    fn time(&self) -> Time {
        Time::Real { tick: Duration::from_millis(50) }
    }

    fn expires_by_itself(&self) -> bool {
        true
    }

    async fn reopen(&mut self) -> Result<(), Unsupported> {
        self.store = RedisStore::open(config(&self.server)).await.unwrap();
        Ok(())
    }

    async fn another(&mut self) -> Result<Arc<dyn Store>, Unsupported> {
        Ok(Arc::new(RedisStore::open(config(&self.server)).await.unwrap()))
    }

    /// Flips a bit of the record's fingerprint.
    async fn corrupt(&mut self, key: &Key) -> Result<(), Unsupported> {
        let name = self.store.redis_key(key);
        let fingerprint = *self.store.get(key).await.unwrap().unwrap().fingerprint.as_bytes();
        let flipped = [fingerprint[0] ^ 1];
        self.server.command(&[b"SETRANGE".as_slice(), name.as_bytes(), b"54", &flipped]).await.unwrap();
        Ok(())
    }
}
