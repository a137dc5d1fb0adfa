//! Runs the kit on idem-redis, on each kind of server: on one server, and on a cluster whose replicas must hold every
//! write.
//!
//! All tests of a run share their servers; each case has a prefix of its own.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use idem_conformance::{Harness, LARGEST_OUTCOME, Time, Unsupported, conformance};
use idem_core::{Key, Owner, Store};
use idem_redis::{Acks, Address, RedisConfig, RedisStore};
use idem_servers::redis::{Node, ServerKind, shared_cluster_of, shared_lone_of, slot};

conformance!(redis_7_lone, || RedisHarness::lone(ServerKind::Redis7), lacks: [StrictSequence, ManualClock, Sweep]);
conformance!(redis_7_cluster, || RedisHarness::cluster(ServerKind::Redis7), lacks: [StrictSequence, ManualClock, Sweep]);
conformance!(redis_8_lone, || RedisHarness::lone(ServerKind::Redis8), lacks: [StrictSequence, ManualClock, Sweep]);
conformance!(redis_8_cluster, || RedisHarness::cluster(ServerKind::Redis8), lacks: [StrictSequence, ManualClock, Sweep]);
conformance!(valkey_9_lone, || RedisHarness::lone(ServerKind::Valkey9), lacks: [StrictSequence, ManualClock, Sweep]);
conformance!(valkey_9_cluster, || RedisHarness::cluster(ServerKind::Valkey9), lacks: [StrictSequence, ManualClock, Sweep]);

struct RedisHarness {
    kind: ServerKind,
    config: RedisConfig,
    store: RedisStore,
}

impl RedisHarness {
    async fn lone(kind: ServerKind) -> Self {
        let server = shared_lone_of(kind).await;
        Self::open(kind, RedisConfig::standalone(address(&server))).await
    }

    async fn cluster(kind: ServerKind) -> Self {
        let cluster = shared_cluster_of(kind).await;
        let mut config = RedisConfig::cluster(cluster.nodes().iter().map(address));
        config.acks = Some(Acks::Count(1));
        Self::open(kind, config).await
    }

    async fn open(kind: ServerKind, mut config: RedisConfig) -> Self {
        static CASES: AtomicU64 = AtomicU64::new(0);
        let (case, run) = (CASES.fetch_add(1, Ordering::Relaxed), Owner::random().unwrap());
        let run = run.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
        config.prefix = format!("case-{run}-{case}:");
        config.max_outcome = LARGEST_OUTCOME as u64;
        let store = RedisStore::open(config.clone()).await.unwrap();
        Self { kind, config, store }
    }

    /// The server that has `name`.
    async fn node_of(&self, name: &str) -> Node {
        match self.config.deployment {
            idem_redis::Deployment::Cluster => {
                shared_cluster_of(self.kind).await.master_of(slot(name.as_bytes())).await
            }
            _ => shared_lone_of(self.kind).await,
        }
    }
}

fn address(server: &Node) -> Address {
    server.addr().to_string().parse().unwrap()
}

#[async_trait]
impl Harness for RedisHarness {
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
        self.store = RedisStore::open(self.config.clone()).await.unwrap();
        Ok(())
    }

    async fn another(&mut self) -> Result<Arc<dyn Store>, Unsupported> {
        Ok(Arc::new(RedisStore::open(self.config.clone()).await.unwrap()))
    }

    /// Flips a bit of the record's fingerprint.
    async fn corrupt(&mut self, key: &Key) -> Result<(), Unsupported> {
        let name = self.store.redis_key(key);
        let fingerprint = *self.store.get(key).await.unwrap().unwrap().fingerprint.as_bytes();
        let flipped = [fingerprint[0] ^ 1];
        let server = self.node_of(&name).await;
        server.run(&[b"SETRANGE".as_slice(), name.as_bytes(), b"54", &flipped]).await;
        Ok(())
    }
}
