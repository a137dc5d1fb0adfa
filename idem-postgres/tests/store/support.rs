//! What the tests share.

use std::path::Path;
use std::time::Duration;

use idem_core::{Claim, Effect, Fingerprint, Key, Lease, LockAnswer, Outcome, Owner, Result, Scope, Store};
use idem_postgres::{PostgresConfig, PostgresStore};
use idem_servers::postgres::{Node, Server, shared_lone};
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

/// The block of SQL in docs/postgres.md that begins so.
pub(crate) fn sql_of_the_page(begin: &str) -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/postgres.md");
    let page = std::fs::read_to_string(page).unwrap();
    let mut blocks = page.split("```sql\n").skip(1).filter_map(|rest| Some(rest.split_once("```")?.0));
    blocks.find(|block| block.starts_with(begin)).unwrap().to_owned()
}

/// Gives a role the rights that docs/postgres.md says it needs.
pub(crate) fn grants(schema: &str, role: &str) -> String {
    sql_of_the_page("GRANT ").replace("idem", schema).replace("TO app;", &format!("TO {role};"))
}

/// Completes, while each commit that waits for a standby is cancelled by way of `admin`.
pub(crate) async fn complete_and_cancel(
    store: &PostgresStore,
    lease: &Lease,
    admin: &Client,
) -> Result<Effect> {
    let (store, lease) = (store.clone(), lease.clone());
    while_cancelled(async move { store.complete(&lease, value("done"), RETENTION).await }, admin).await
}

/// Makes a call, while each commit that waits for a standby is cancelled by way of `admin`.
pub(crate) async fn while_cancelled<T: Send + 'static>(
    call: impl Future<Output = T> + Send + 'static,
    admin: &Client,
) -> T {
    let calling = tokio::spawn(call);
    let cancel = "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    let mut cancelled = 0;
    while !calling.is_finished() {
        cancelled += admin.query_one(cancel, &[]).await.unwrap().get::<_, i64>(0);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(cancelled > 0);
    calling.await.unwrap()
}

/// Ends the connections of all stores on a server of the test's own.
pub(crate) async fn end_sessions(server: &Server) {
    server
        .sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'idem'")
        .await;
}

/// Lets commits wait for a standby of this name, or for none when it is empty, and returns once they do. On a server of
/// the test's own.
pub(crate) async fn wait_for_standby(config: &PostgresConfig, name: &str) {
    const PROBE: &str = "SELECT pg_logical_emit_message(true, 'probe', '')";
    const WAITING: &str = "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity
        WHERE wait_event = 'SyncRep' AND query LIKE '%''probe''%'";
    let (admin, probe) = (connect(config).await, connect(config).await);
    let set =
        format!("SET synchronous_commit = local; ALTER SYSTEM SET synchronous_standby_names = '{name}'");
    for statement in set.split("; ").chain(["SELECT pg_reload_conf()"]) {
        admin.batch_execute(statement).await.unwrap();
    }
    let in_effect = async {
        loop {
            let committing = probe.batch_execute(PROBE);
            tokio::pin!(committing);
            let mut waited = false;
            loop {
                tokio::select! {
                    _ = &mut committing => break,
                    () = tokio::time::sleep(Duration::from_millis(20)) => {
                        waited |= admin.query_one(WAITING, &[]).await.unwrap().get::<_, i64>(0) > 0;
                    }
                }
            }
            if waited != name.is_empty() {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_mins(1), in_effect).await.unwrap();
}
