//! A store chosen by configuration alone: the same program on every backend, by URI or by table.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use idem_core::{
    ErrorKind, Execution, Fingerprint, Key, Policy, Registry, Scope, Store, StoreConfig, StoreExt,
};
use idem_moka::MokaStore;
use idem_redb::RedbStoreExt as _;
use serde::Deserialize;
use tempfile::TempDir;

#[tokio::test]
async fn one_program_runs_on_every_backend_by_uri() {
    let folder = tempfile::tempdir().unwrap();
    let redb = format!("redb:{}?sweep=false&cache_bytes=8MiB&call_timeout=5s", file(&folder).display());
    for uri in [&*redb, "moka:", "moka:?max_bytes=8MiB&max_entries=1000&when_full=evict", "MOKA:"] {
        assert_works(&open(uri).await).await;
    }
}

#[tokio::test]
async fn one_program_runs_on_every_backend_by_toml_table() {
    let folder = tempfile::tempdir().unwrap();
    let redb = format!("store = \"redb\"\npath = {:?}\nsweep_interval = \"1m 30s\"", file(&folder));
    let moka = "store = \"moka\"\nmax_bytes = \"8MiB\"\nmax_entries = 1000\nwhen_full = \"refuse\"";
    for table in [&*redb, moka] {
        let application: Application = toml::from_str(&format!("[idempotency]\n{table}")).unwrap();
        assert_works(&open(application.idempotency).await).await;
    }
}

#[tokio::test]
async fn one_program_runs_on_every_backend_by_json() {
    let folder = tempfile::tempdir().unwrap();
    let redb = serde_json::json!({ "store": "redb", "path": file(&folder), "check_integrity": true });
    let moka = serde_json::json!({ "store": "moka", "max_bytes": 8_388_608, "max_outcome": "64KiB" });
    for table in [redb, moka] {
        let json = serde_json::json!({ "idempotency": table }).to_string();
        let application: Application = serde_json::from_str(&json).unwrap();
        assert_works(&open(application.idempotency).await).await;
    }
}

#[tokio::test]
async fn uri_may_be_written_instead_of_a_table() {
    let application: Application = toml::from_str("idempotency = \"moka:?max_entries=10\"").unwrap();
    assert_works(&open(application.idempotency).await).await;
    let application: Application = serde_json::from_str(r#"{ "idempotency": "moka:" }"#).unwrap();
    assert_works(&open(application.idempotency).await).await;
}

#[tokio::test]
async fn any_opened_store_can_be_closed() {
    let folder = tempfile::tempdir().unwrap();
    let redb = format!("redb:{}", file(&folder).display());
    for (uri, refuses_calls) in [(&*redb, true), ("moka:", false)] {
        let store = open(uri).await;
        store.close().await.unwrap();
        store.close().await.unwrap();
        let key = Key::new(&Scope::shared(), "order-1").unwrap();
        let closed = store.get(&key).await.is_err_and(|error| error.kind() == ErrorKind::Closed);
        assert_eq!(closed, refuses_calls, "{uri}");
    }
    // The file of the closed store can be opened again.
    assert_works(&open(&redb).await).await;
}

#[tokio::test]
async fn scheme_decides_the_backend() {
    let folder = tempfile::tempdir().unwrap();
    let redb = open(&*format!("redb:{}", file(&folder).display())).await;
    assert!(redb.as_redb().is_some() && redb.capabilities().durable);
    let moka = open("moka:").await;
    assert!(moka.as_any().is::<MokaStore>() && moka.as_redb().is_none());
}

#[tokio::test]
async fn options_reach_the_store() {
    let folder = tempfile::tempdir().unwrap();
    for uri in [&*format!("redb:{}?max_outcome=1KiB", file(&folder).display()), "moka:?max_outcome=1KiB"] {
        let store = open(uri).await;
        let answer = execute(&store, "x".repeat(1_025)).await;
        assert!(matches!(answer, Execution::Executed(_)), "{uri}: {answer:?}");
        let again = execute(&store, String::new()).await;
        assert!(matches!(again, Execution::Unavailable(_)), "{uri}: {again:?}");
    }
}

#[tokio::test]
async fn redb_opened_twice_by_configuration_replays() {
    let folder = tempfile::tempdir().unwrap();
    let uri = format!("redb:{}", file(&folder).display());
    let store = open(&uri).await;
    assert!(matches!(execute(&store, "first".to_owned()).await, Execution::Executed(_)));
    store.as_redb().unwrap().close().await.unwrap();
    drop(store);
    let again = execute(&open(&uri).await, "second".to_owned()).await;
    assert!(matches!(&again, Execution::Replayed(value) if value == "first"), "{again:?}");
}

#[tokio::test]
async fn path_in_a_uri_may_be_percent_encoded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("50% of it?.idem");
    let uri = format!("redb:{}/50%25%20of%20it%3F.idem", folder.path().display());
    assert_works(&open(&uri).await).await;
    assert!(path.is_file());
}

#[tokio::test]
async fn driver_that_was_not_added_is_unknown() {
    let message = refused(&Registry::new().with(idem_moka::DRIVER), "redb:./never.idem").await;
    assert!(message.contains("redb") && message.contains("moka"), "{message}");
    assert!(!Path::new("./never.idem").exists());
}

#[tokio::test]
async fn unknown_scheme_names_those_that_are_known() {
    for uri in ["rebd:./never.idem", "file:./never.idem", "redis://localhost"] {
        let message = refused(&registry(), uri).await;
        assert!(message.contains("redb, moka"), "{uri}: {message}");
    }
}

#[tokio::test]
async fn unknown_option_names_those_that_are_known() {
    for (uri, unknown, known) in [
        ("redb:./never.idem?check_integrty=true", "check_integrty", "check_integrity"),
        ("redb:./never.idem?lease=30s", "lease", "call_timeout"),
        ("moka:?max_byte=64MiB", "max_byte", "max_bytes"),
        ("moka:?path=./never.idem", "path", "max_entries"),
    ] {
        let message = refused(&registry(), uri).await;
        assert!(message.contains(unknown) && message.contains(known), "{uri}: {message}");
    }
    let table: StoreConfig = toml::from_str("store = \"moka\"\nmaxbytes = 3").unwrap();
    let message = refused(&registry(), table).await;
    assert!(message.contains("maxbytes") && message.contains("max_bytes"), "{message}");
}

#[tokio::test]
async fn bad_value_is_named() {
    for (uri, named) in [
        ("moka:?max_bytes=64Mib!", "64Mib!"),
        ("moka:?max_bytes=lots", "lots"),
        ("moka:?max_bytes=-1", "-1"),
        ("moka:?max_bytes=0", "max_bytes"),
        ("moka:?max_entries=many", "max_entries"),
        ("moka:?max_entries=0", "max_entries"),
        ("moka:?when_full=panic", "panic"),
        ("redb:./never.idem?cache_bytes=8 bananas", "8 bananas"),
        ("redb:./never.idem?cache_bytes=1", "cache_bytes"),
        ("redb:./never.idem?call_timeout=30", "30"),
        ("redb:./never.idem?call_timeout=soon", "soon"),
        ("redb:./never.idem?call_timeout=0s", "call_timeout"),
        ("redb:./never.idem?queue=0", "queue"),
        ("redb:./never.idem?queue=many", "queue"),
        ("redb:./never.idem?call_timeout=soon", "call_timeout"),
        ("redb:./never.idem?cache_bytes=8 bananas", "cache_bytes"),
        ("redb:./never.idem?sweep=perhaps", "sweep"),
        ("redb:./never.idem?when_queue_full=panic", "panic"),
        ("redb:./never.idem?path=./other.idem", "path"),
    ] {
        let message = refused(&registry(), uri).await;
        assert!(message.contains(named), "{uri}: {message}");
    }
    assert!(!Path::new("./never.idem").exists(), "nothing was opened");
}

#[tokio::test]
async fn bad_value_in_a_table_is_named() {
    for (table, named) in [
        ("store = \"moka\"\nmax_bytes = \"lots\"", "lots"),
        ("store = \"moka\"\nmax_bytes = -1", "max_bytes"),
        ("store = \"moka\"\nmax_entries = \"many\"", "many"),
        ("store = \"redb\"\npath = \"./never.idem\"\ncall_timeout = 30", "30"),
        ("store = \"redb\"\npath = \"./never.idem\"\nsweep = \"perhaps\"", "perhaps"),
        ("store = \"redb\"", "path"),
        ("store = 7", "store"),
        ("max_bytes = 7", "store"),
    ] {
        let table: StoreConfig = toml::from_str(table).unwrap();
        let shown = format!("{table:?}");
        let message = refused(&registry(), table).await;
        assert!(message.contains(named), "{shown}: {message}");
    }
}

#[tokio::test]
async fn uri_without_its_parts_is_refused() {
    for uri in ["", "redb", "./payments.idem", "redb:", "moka:./payments.idem", "moka://localhost"] {
        refused(&registry(), uri).await;
    }
}

#[derive(Deserialize)]
struct Application {
    idempotency: StoreConfig,
}

fn registry() -> Registry {
    Registry::new().with(idem_redb::DRIVER).with(idem_moka::DRIVER)
}

async fn open(config: impl Into<StoreConfig>) -> Arc<dyn Store> {
    registry().open(config).await.unwrap()
}

fn file(folder: &TempDir) -> std::path::PathBuf {
    folder.path().join("payments.idem")
}

/// The message with which `config` is refused.
async fn refused(registry: &Registry, config: impl Into<StoreConfig>) -> String {
    let error = registry.open(config).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{error}");
    error.to_string()
}

/// A program that does not know which store it uses.
async fn assert_works(store: &Arc<dyn Store>) {
    assert!(matches!(execute(store, "first".to_owned()).await, Execution::Executed(_)));
    let again = execute(store, "second".to_owned()).await;
    assert!(matches!(&again, Execution::Replayed(value) if value == "first"), "{again:?}");
}

async fn execute(store: &Arc<dyn Store>, result: String) -> Execution<String, std::io::Error> {
    let key = Key::new(&Scope::new("tenant-7").unwrap(), "order-1").unwrap();
    let fingerprint = Fingerprint::builder("orders v1").part("3 apples").finish();
    let policy = Policy::new(Duration::from_secs(30), Duration::from_hours(1));
    store.execute(&key, &fingerprint, &policy, |_| async { Ok(result) }).await.unwrap()
}
