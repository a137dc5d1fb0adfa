//! How a pooler is set, and where it stands.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use idem_core::{Effect, Store as _};
use idem_postgres::{Address, PostgresStore};
use idem_servers::postgres::{Pooler, Server};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::Pooled;
use crate::support::{LEASE, RETENTION, claim, config_of, connect, key, lock, open, value};

const PREPARED: &str = "SELECT count(*) FROM pg_prepared_statements";

#[tokio::test]
async fn a_pooler_in_session_mode_works_too() {
    let pooled = Pooled::with(&["pool_mode = session", "default_pool_size = 20"]).await;
    let store = open(&pooled.config).await;
    all_calls(&store, "order").await;
}

#[tokio::test]
async fn a_pooler_that_drops_start_up_options_silently_is_recognized() {
    let lines = ["pool_mode = transaction", "default_pool_size = 1", "ignore_startup_parameters = options"];
    let pooled = Pooled::with(&lines).await;
    let store = open(&pooled.config).await;
    all_calls(&store, "order").await;
    // Its one session.
    assert_eq!(pooled.pooler.sql(PREPARED).await, "0");
}

/// It begins its sessions anew for each client, in a way that costs the server much.
#[tokio::test]
async fn a_pooler_that_resets_its_sessions_after_each_transaction_works_too() {
    let lines = ["pool_mode = transaction", "default_pool_size = 2", "server_reset_query_always = 1"];
    let pooled = Pooled::with(&lines).await;
    let store = open(&pooled.config).await;
    all_calls(&store, "order").await;
}

#[tokio::test]
async fn many_that_open_an_empty_database_behind_a_pooler_at_once_all_succeed() {
    let pooled = Pooled::start().await;
    let mut opening = JoinSet::new();
    for _ in 0..8 {
        opening.spawn(PostgresStore::open(pooled.config.clone()));
    }
    for opened in opening.join_all().await {
        opened.unwrap();
    }
}

/// What stands behind an address changes while the store runs.
#[tokio::test]
async fn a_pooler_that_is_put_before_the_server_is_recognized_when_connections_are_lost() {
    let server = Server::lone().await;
    let lines = ["pool_mode = transaction", "default_pool_size = 1"];
    let pooler = Pooler::start(server.node(), &lines).await;
    let switch = Switch::to(server.addr()).await;
    let mut config = config_of(server.node());
    config.servers = vec![switch.address.clone()];
    let store = open(&config).await;
    all_calls(&store, "before").await;
    switch.turn_to(pooler.addr());
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'idem'";
    assert!(connect(&config_of(server.node())).await.query_one(end, &[]).await.unwrap().get::<_, i64>(0) > 1);
    all_calls(&store, "after").await;
    // Those for locks, for holders and for notifications, each of which asks with start-up options first.
    while switch.connections.load(Ordering::Relaxed) < 6 {
        sleep(Duration::from_millis(20)).await;
    }
    all_calls(&store, "later").await;
    assert_eq!(pooler.sql(PREPARED).await, "0");
    assert_eq!(pooler.sql("SELECT count(*) FROM pg_listening_channels()").await, "0");
}

/// The first of several servers that takes writes is found also where each is behind a pooler.
#[tokio::test]
async fn a_server_that_takes_no_writes_is_passed_over_behind_a_pooler() {
    let reading = Server::options().config("default_transaction_read_only = on").start().await;
    let reader = Pooler::start(reading.node(), &["pool_mode = transaction"]).await;
    let pooled = Pooled::start().await;
    let mut config = pooled.config.clone();
    config.servers.insert(0, reader.addr().to_string().parse().unwrap());
    all_calls(&open(&config).await, "order").await;
}

async fn all_calls(store: &PostgresStore, name: &str) {
    let key = key(name);
    let lease = lock(store, &key, &claim()).await;
    assert_eq!(store.renew(&lease, LEASE).await.unwrap(), Effect::Applied);
    let waiting = tokio::spawn({
        let store = store.clone();
        async move { store.settled(&key, Duration::from_mins(1)).await }
    });
    assert_eq!(store.complete(&lease, value("done"), RETENTION).await.unwrap(), Effect::Applied);
    assert!(waiting.await.unwrap().unwrap());
    assert!(store.get(&key).await.unwrap().is_some());
    assert!(store.remove(&key, true).await.unwrap());
    let lease = lock(store, &key, &claim()).await;
    assert_eq!(store.release(&lease).await.unwrap(), Effect::Applied);
    store.expire(10).await.unwrap();
}

/// Passes connections on to whatever stands behind it at that moment.
struct Switch {
    address: Address,
    behind: Arc<Mutex<SocketAddr>>,
    /// Since it was turned.
    connections: Arc<AtomicUsize>,
}

impl Switch {
    async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string().parse().unwrap();
        let (behind, connections) = (Arc::new(Mutex::new(server)), Arc::new(AtomicUsize::new(0)));
        let switch = Self { address, behind: Arc::clone(&behind), connections: Arc::clone(&connections) };
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let to = *behind.lock().unwrap();
                connections.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(async move {
                    let mut upstream = TcpStream::connect(to).await?;
                    copy_bidirectional(&mut client, &mut upstream).await
                });
            }
        });
        switch
    }

    fn turn_to(&self, server: SocketAddr) {
        *self.behind.lock().unwrap() = server;
        self.connections.store(0, Ordering::Relaxed);
    }
}
