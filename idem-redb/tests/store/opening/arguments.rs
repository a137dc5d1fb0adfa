//! What a store is opened with: every kind of path, and no option that would be ignored.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use idem_core::{ErrorKind, Registry, Result};
use idem_redb::{RedbConfig, RedbStore};

use crate::support::call::{assert_replays, complete_keys, new_database};
use crate::support::disk::Disk;

/// An option, and how it is set.
type Setting = (&'static str, fn(&mut RedbConfig));

#[tokio::test]
async fn a_file_is_opened_by_whatever_is_a_path() {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("payments.idem");
    let text: String = path.to_str().unwrap().to_owned();
    close(RedbStore::open(&path).await).await;
    close(RedbStore::open(path.clone()).await).await;
    close(RedbStore::open(path.as_path()).await).await;
    close(RedbStore::open(&text).await).await;
    close(RedbStore::open(text.clone()).await).await;
    close(RedbStore::open(&*text).await).await;
    close(RedbStore::open(OsString::from(&path)).await).await;
    close(RedbStore::open(RedbConfig::new(&text)).await).await;
    close(RedbStore::builder(&text).open().await).await;
    assert_eq!(RedbConfig::from(&text), RedbConfig::new(Path::new(&text)));
}

/// `redb:/path` and `redb:///path` name the same file.
#[tokio::test]
async fn a_uri_names_the_same_file_with_and_without_leading_slashes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("payments.idem");
    let store = RedbStore::open(&path).await.unwrap();
    complete_keys(&store, 3).await;
    store.close().await.unwrap();
    let registry = Registry::new().with(idem_redb::DRIVER);
    for uri in [format!("redb:{}", path.display()), format!("redb://{}", path.display())] {
        let store = registry.open(uri).await.unwrap();
        assert_replays(&*store, 3).await;
        let redb = idem_redb::RedbStoreExt::as_redb(&*store).unwrap();
        redb.close().await.unwrap();
    }
}

#[tokio::test]
async fn options_without_meaning_on_a_shared_database_are_refused_by_name() {
    let set: [Setting; 6] = [
        ("path", |config| config.path = "payments.idem".into()),
        ("create", |config| config.create = false),
        ("check_integrity", |config| config.check_integrity = true),
        ("accept_repairs", |config| config.accept_repairs = true),
        ("cache_bytes", |config| config.cache_bytes = 1 << 20),
        ("max_share_per_scope", |config| config.max_share_per_scope = 0.5),
    ];
    for (name, set) in set {
        let mut config = RedbConfig::new("");
        set(&mut config);
        let shared = RedbStore::builder(config.clone()).with_database(new_database()).await;
        assert_refused(shared, name);
        let from = || Ok::<_, std::io::Error>(new_database());
        assert_refused(RedbStore::builder(config).with_database_from(from).await, name);
    }
    close(RedbStore::builder("").with_database(new_database()).await).await;
}

#[tokio::test]
async fn options_without_meaning_on_the_callers_own_storage_are_refused_by_name() {
    let set: [Setting; 3] = [
        ("path", |config| config.path = "payments.idem".into()),
        ("create", |config| config.create = false),
        ("max_share_per_scope", |config| config.max_share_per_scope = 1.0),
    ];
    for (name, set) in set {
        let mut config = RedbConfig::new("");
        set(&mut config);
        assert_refused(RedbStore::builder(config).open_backend(Disk::new().opener()).await, name);
    }
    // The store opens that storage itself, so all other options apply.
    let mut config = RedbConfig::new("");
    config.cache_bytes = 1 << 20;
    config.check_integrity = true;
    close(RedbStore::builder(config).open_backend(Disk::new().opener()).await).await;
}

#[tokio::test]
async fn a_share_is_above_zero_and_at_most_one() {
    let folder = tempfile::tempdir().unwrap();
    for share in [0.0, -0.5, 1.000_1, f64::NAN, f64::INFINITY] {
        let mut config = RedbConfig::new(folder.path().join("refused.idem"));
        config.max_share_per_scope = share;
        assert_refused(RedbStore::open(config).await, "max_share_per_scope");
    }
    for share in [f64::MIN_POSITIVE, 0.5, 1.0] {
        let mut config = RedbConfig::new(folder.path().join("taken.idem"));
        config.max_share_per_scope = share;
        close(RedbStore::open(config).await).await;
    }
    let registry = Registry::new().with(idem_redb::DRIVER);
    let uri = format!("redb:{}?max_share_per_scope=0.75", folder.path().join("uri.idem").display());
    registry.open(uri).await.unwrap();
}

#[test]
fn a_runtime_without_timers_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("payments.idem");
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_refused(runtime.block_on(RedbStore::open(&path)), "enable_time");
    assert!(!path.exists());
}

#[tokio::test]
async fn a_range_is_reported_in_the_units_of_the_option() {
    let mut config = RedbConfig::new("payments.idem");
    config.cache_bytes = 1 << 10;
    assert_refused(RedbStore::open(config).await, "cache_bytes is 1KiB, it must be 1MiB to 1TiB");
    let mut config = RedbConfig::new("payments.idem");
    config.max_clock_jump = Duration::ZERO;
    assert_refused(RedbStore::open(config).await, "max_clock_jump is 0s, it must be 1s to 1000years");
}

async fn close(opened: Result<RedbStore>) {
    opened.unwrap().close().await.unwrap();
}

fn assert_refused(opened: Result<RedbStore>, name: &str) {
    let error = opened.expect_err(name);
    assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{error}");
    assert!(error.to_string().contains(name), "{name}: {error}");
}
