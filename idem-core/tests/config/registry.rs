//! Which driver opens a configuration, by URI and by table alike.

use idem_core::{Driver, ErrorKind, Registry, StoreConfig};
use serde::Deserialize;

use crate::support::{FILE, FileConfig, MEMORY, MemoryConfig, file, opened, table};

#[derive(Deserialize)]
struct Application {
    store: StoreConfig,
}

#[tokio::test]
async fn table_is_the_same_as_the_uri() {
    let by_table = table("store = 'file'\npath = 'a'\ncheck = true\ncache = '1KiB'\npause = '2s'");
    let by_uri = "file:a?check=true&cache=1KiB&pause=2s";
    assert_eq!(file(by_table).await, file(by_uri).await);
}

#[tokio::test]
async fn table_may_hold_numbers_where_a_uri_holds_text() {
    assert_eq!(file(table("store = 'file'\npath = 'a'\ncache = 1024")).await.cache, 1024);
    assert_eq!(file("file:a?cache=1024").await.cache, 1024);
}

#[tokio::test]
async fn scheme_of_a_table_is_read_in_any_case() {
    for name in ["FILE", "File", "file"] {
        let config = table(&format!("store = '{name}'\npath = 'a'"));
        let (scheme, _): (_, FileConfig) = opened(config).await.unwrap();
        assert_eq!(scheme, "file");
    }
}

#[tokio::test]
async fn configuration_file_may_hold_either() {
    let uri: Application = toml::from_str("store = 'memory:?max=1KiB'").unwrap();
    let table: Application = toml::from_str("[store]\nstore = 'memory'\nmax = '1KiB'").unwrap();
    for application in [uri, table] {
        let (_, config): (_, MemoryConfig) = opened(application.store).await.unwrap();
        assert_eq!(config.max, 1024);
    }
    let json: Application = serde_json::from_str(r#"{"store": {"store": "memory", "max": 1024}}"#).unwrap();
    let (_, config): (_, MemoryConfig) = opened(json.store).await.unwrap();
    assert_eq!(config.max, 1024);
}

#[tokio::test]
async fn each_scheme_of_a_driver_opens_it() {
    for scheme in ["file", "vault"] {
        let (seen, _): (_, FileConfig) = opened(format!("{scheme}:a")).await.unwrap();
        assert_eq!(seen, scheme);
    }
}

#[tokio::test]
async fn driver_added_later_wins() {
    const OTHER: Driver = Driver { schemes: &["file"], ..MEMORY };
    let store = Registry::new().with(FILE).with(OTHER).open("file:?max=1").await;
    assert!(store.is_ok());
    let store = Registry::new().with(OTHER).with(FILE).open("file:?max=1").await;
    assert_eq!(store.unwrap_err().kind(), ErrorKind::InvalidConfig);
}

#[tokio::test]
async fn scheme_of_a_driver_may_be_written_in_any_case() {
    const LOUD: Driver = Driver { schemes: &["Memory"], ..MEMORY };
    for uri in ["memory:", "MEMORY:", "Memory:"] {
        assert!(Registry::new().with(LOUD).open(uri).await.is_ok(), "{uri}");
    }
}

#[test]
fn uri_comes_from_every_kind_of_text() {
    let owned = "file:a".to_owned();
    for config in [StoreConfig::from("file:a"), StoreConfig::from(&owned), StoreConfig::from(owned.clone())] {
        assert!(matches!(config, StoreConfig::Uri(uri) if uri == "file:a"));
    }
}

/// The calls of any backend are counted.
#[cfg(feature = "metrics")]
#[tokio::test]
async fn opened_store_is_observed_when_metrics_are_on() {
    let key = idem_core::Key::new(&idem_core::Scope::shared(), "order-1").unwrap();
    let store = Registry::new().with(MEMORY).open("memory:").await.unwrap();
    let recorder = metrics_util::debugging::DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    {
        let _guard = metrics::set_default_local_recorder(&recorder);
        assert_eq!(store.get(&key).await.unwrap_err().kind(), ErrorKind::Unavailable);
    }
    let entries = snapshotter.snapshot().into_vec();
    let names = entries.iter().map(|(composite, ..)| composite.key().name());
    let expected = [idem_core::metrics::STORE_CALLS, idem_core::metrics::STORE_ERRORS];
    assert_eq!(names.collect::<std::collections::BTreeSet<_>>(), expected.into());
}
