//! What the tests share.

use std::time::Duration;

use idem_core::{Claim, Fingerprint, Key, Lease, LockAnswer, Outcome, Owner, Result, Scope, Store};
use idem_postgres::{PostgresConfig, PostgresStore};
use idem_servers::postgres::{Node, shared_lone};
use tokio::task::JoinHandle;
use tokio_postgres::{Client, NoTls};

pub(crate) const LEASE: Duration = Duration::from_secs(30);
pub(crate) const RETENTION: Duration = Duration::from_hours(1);

/// For a server, with a schema that no other test uses.
pub(crate) fn config_of(server: Node) -> PostgresConfig {
    let mut config = PostgresConfig::new([server.addr().to_string().parse().unwrap()], "postgres");
    config.schema = format!("test_{:032x}", u128::from_be_bytes(*Owner::random().unwrap().as_bytes()));
    config
}

/// On the server that all tests share.
pub(crate) async fn config() -> PostgresConfig {
    config_of(shared_lone().await)
}

pub(crate) async fn open(config: &PostgresConfig) -> PostgresStore {
    PostgresStore::open(config.clone()).await.unwrap()
}

/// A connection of the application's own.
pub(crate) async fn connect(config: &PostgresConfig) -> Client {
    let server = &config.servers[0];
    let database = config.database.as_ref().unwrap_or(&config.user);
    let uri = format!("host={} port={} user={} dbname={database}", server.host, server.port, config.user);
    let (client, connection) = tokio_postgres::connect(&uri, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

pub(crate) fn key(name: impl AsRef<[u8]>) -> Key {
    Key::new(&Scope::shared(), name).unwrap()
}

pub(crate) fn fingerprint() -> Fingerprint {
    Fingerprint::builder("test v1").finish()
}

pub(crate) fn claim() -> Claim {
    Claim { owner: Owner::random().unwrap(), lease: LEASE, retention: RETENTION }
}

pub(crate) async fn lock(store: &PostgresStore, key: &Key, claim: &Claim) -> Lease {
    match store.lock(key, &fingerprint(), claim).await.unwrap() {
        LockAnswer::Acquired(lease) => lease,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn value(text: &'static str) -> Outcome {
    Outcome::Value(text.into())
}

/// Begins these calls on a key in their order.
pub(crate) fn locks(
    store: &PostgresStore,
    key: Key,
    calls: impl IntoIterator<Item = (Fingerprint, Claim)>,
) -> Vec<JoinHandle<Result<LockAnswer>>> {
    let lock = |(fingerprint, claim)| {
        let store = store.clone();
        tokio::spawn(async move { store.lock(&key, &fingerprint, &claim).await })
    };
    calls.into_iter().map(lock).collect()
}

/// What these tasks give, in their order.
pub(crate) async fn answers<T>(tasks: impl IntoIterator<Item = JoinHandle<T>>) -> Vec<T> {
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    answers
}
