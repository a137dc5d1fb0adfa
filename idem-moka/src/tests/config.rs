//! Configurations that are accepted and refused; each error names its option.

use std::sync::Arc;

use idem_core::{ErrorKind, Registry, Store, StoreConfig};

use crate::{DRIVER, MokaConfig, MokaStore, WhenFull};

async fn open(config: impl Into<StoreConfig>) -> idem_core::Result<Arc<dyn Store>> {
    Registry::new().with(DRIVER).open(config).await
}

#[tokio::test]
async fn a_uri_opens_a_store_with_its_options() {
    let store =
        open("moka:?max_bytes=2MiB&max_entries=7&max_locks=3&max_outcome=64KiB&when_full=evict&max_share_per_scope=0.5").await;
    let shown = format!("{:?}", store.unwrap());
    let expected = MokaConfig {
        max_bytes: 2 << 20,
        max_entries: 7,
        max_locks: 3,
        max_outcome: 64 << 10,
        when_full: WhenFull::Evict,
        max_share_per_scope: 0.5,
    };
    assert!(shown.contains(&format!("{expected:?}")), "{shown}");
}

#[tokio::test]
async fn without_options_every_way_to_open_a_store_uses_the_defaults() {
    let default = format!("{:?}", MokaConfig::default());
    let by_table: StoreConfig = toml::from_str("store = \"moka\"").unwrap();
    for store in [open("moka:").await.unwrap(), open("moka:?").await.unwrap(), open(by_table).await.unwrap()]
    {
        assert!(format!("{store:?}").contains(&default), "{store:?}");
    }
}

#[tokio::test]
async fn a_table_opens_a_store_with_sizes_as_text_or_number() {
    let table = "store = \"moka\"\nmax_bytes = \"2MiB\"\nmax_outcome = 4096\nwhen_full = \"refuse\"";
    let shown = format!("{:?}", open(toml::from_str::<StoreConfig>(table).unwrap()).await.unwrap());
    assert!(shown.contains("max_bytes: 2097152") && shown.contains("max_outcome: 4096"), "{shown}");
}

#[tokio::test]
async fn a_wrong_option_is_named() {
    for (uri, named) in [
        ("moka:?max_byte=64MiB", "max_byte"),
        ("moka:?max_bytes=64XB", "max_bytes"),
        ("moka:?max_bytes=", "max_bytes"),
        ("moka:?max_bytes=-1", "max_bytes"),
        ("moka:?max_bytes=1MiB&max_bytes=2MiB", "max_bytes"),
        ("moka:?max_entries=many", "max_entries"),
        ("moka:?max_entries=1.5", "max_entries"),
        ("moka:?max_locks=1e3", "max_locks"),
        ("moka:?max_outcome=big", "max_outcome"),
        ("moka:?when_full=explode", "when_full"),
        ("moka:?max_share_per_scope=most", "max_share_per_scope"),
        ("moka:?max_share_per_scope=0", "max_share_per_scope = 0"),
        ("moka:?max_share_per_scope=-0.1", "max_share_per_scope = -0.1"),
        ("moka:?max_share_per_scope=1.1", "max_share_per_scope = 1.1"),
        ("moka:?max_share_per_scope=NaN", "max_share_per_scope = NaN"),
        ("moka:?max_share_per_scope=1", ""),
        ("moka:?max_bytes=0", "max_bytes = 0"),
        ("moka:?max_entries=0", "max_entries = 0"),
        ("moka:?max_locks=0", "max_locks = 0"),
        ("moka:?max_outcome=0", "max_outcome = 0"),
        ("moka:?max_bytes=17TiB", "max_bytes"),
        ("moka:?max_entries=5000000000", "max_entries"),
        ("moka:?max_locks=1000000000", "max_locks"),
        ("moka:?max_bytes=2GiB&max_outcome=1GB", ""),
        ("moka:?max_bytes=3GiB&max_outcome=2GiB", "max_outcome"),
        ("moka:?max_bytes=1MiB", "max_outcome"),
        ("moka:?max_bytes=1TiB&max_entries=100&when_full=evict", "max_entries"),
        ("moka:./somewhere", "takes options only"),
    ] {
        let opened = open(uri).await;
        if named.is_empty() {
            assert!(opened.is_ok(), "{uri}");
            continue;
        }
        let error = opened.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{uri}");
        assert!(error.to_string().contains(named), "{uri}: {error}");
    }
}

#[test]
fn a_config_made_in_code_is_checked_too() {
    let error = MokaStore::new(MokaConfig { max_locks: 0, ..MokaConfig::default() }).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    assert_eq!(
        error.to_string(),
        "configure: invalid configuration: moka: max_locks = 0 is outside 1 to 67108864"
    );
}

#[test]
fn capabilities_are_those_of_a_bounded_store_in_memory() {
    let capabilities = MokaStore::new(MokaConfig::default()).unwrap().capabilities();
    assert!(capabilities.bounded && capabilities.strict_sequence && capabilities.notifies);
    assert!(!capabilities.durable && !capabilities.shared);
}

#[test]
fn every_clone_is_the_same_store_and_is_reached_through_any() {
    let store = MokaStore::new(MokaConfig::default()).unwrap();
    let shared: Arc<dyn Store> = Arc::new(store.clone());
    assert!(shared.as_any().downcast_ref::<MokaStore>().is_some());
}
