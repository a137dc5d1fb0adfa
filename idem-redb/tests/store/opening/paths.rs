//! Paths and files on which no store can be opened: each is refused with its own error, and left as it was.

use std::fs;
use std::path::{Path, PathBuf};

use idem_core::{Error, ErrorKind};
use idem_redb::{RedbConfig, RedbStore};
use redb::{Database, TableDefinition};
use tempfile::TempDir;

use crate::support::call::{acquire, assert_replays, complete_keys, key};
use crate::support::process::child;
use crate::support::rng::Rng;

#[tokio::test]
async fn a_directory_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(refusal(folder.path()).await.kind(), ErrorKind::InvalidConfig);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_path_below_a_file_is_refused() {
    let (_folder, path) = file(b"a file, not a folder");
    assert_eq!(refusal(&path.join("payments.idem")).await.kind(), ErrorKind::InvalidConfig);
    assert_eq!(fs::read(&path).unwrap(), b"a file, not a folder");
}

#[tokio::test]
async fn a_folder_in_which_no_file_can_be_created_is_refused() {
    // Not even root can create files there.
    assert_eq!(refusal(Path::new("/proc/payments.idem")).await.kind(), ErrorKind::InvalidConfig);
}

#[tokio::test]
async fn a_missing_folder_is_refused_and_not_created() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    let error = refusal(&missing.join("payments.idem")).await;
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    let wanted = format!("there is no folder {}", missing.display());
    assert!(error.message().ends_with(&wanted), "{error}");
    assert!(!missing.exists());
}

#[tokio::test]
async fn an_empty_path_is_refused() {
    assert_eq!(refusal(Path::new("")).await.kind(), ErrorKind::InvalidConfig);
}

/// Otherwise it would create a file with the URI as its name.
#[tokio::test]
async fn a_uri_is_no_path() {
    for uri in ["redb:./payments.idem", "redb:/payments.idem"] {
        let error = refusal(Path::new(uri)).await;
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
        assert!(error.message().contains("Registry"), "{error}");
    }
}

#[tokio::test]
async fn a_missing_file_is_refused_without_create() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("payments.idem");
    let mut config = RedbConfig::new(&path);
    config.create = false;
    let error = RedbStore::open(config).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_text_file_is_refused() {
    for text in ["x", "12345678", "123456789", &"Dear diary, ".repeat(1_000)] {
        assert_left_alone(text.as_bytes(), &[ErrorKind::Incompatible]).await;
    }
}

/// The file may be a store that was truncated, so it is not taken for a new one.
#[tokio::test]
async fn an_empty_file_is_refused() {
    assert_left_alone(b"", &[ErrorKind::Corrupt]).await;
}

#[tokio::test]
async fn a_file_of_zeros_is_refused() {
    for len in [1, 512, 4_096, 2 << 20] {
        assert_left_alone(&vec![0; len], &[ErrorKind::Corrupt, ErrorKind::Incompatible]).await;
    }
}

#[tokio::test]
async fn a_file_cut_short_is_refused() {
    let whole = store_file().await;
    let mut rng = Rng::new(1);
    let some = (0..30).map(|_| rng.below(whole.len()));
    for len in [1, 8, 9, 63, 64, 319, 320, 4_095, 4_096, 8_192, whole.len() - 4_096, whole.len() - 1]
        .into_iter()
        .chain(some)
    {
        // Without its first nine bytes nothing tells what the file was.
        let kind = if len < 9 { ErrorKind::Incompatible } else { ErrorKind::Corrupt };
        assert_left_alone(&whole[..len], &[kind]).await;
    }
}

#[tokio::test]
async fn another_redb_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.redb");
    let database = Database::create(&path).unwrap();
    let txn = database.begin_write().unwrap();
    txn.open_table(TableDefinition::<&str, u64>::new("theirs")).unwrap().insert("a", 1).unwrap();
    txn.commit().unwrap();
    database.close().unwrap();
    assert_left_alone(&fs::read(&path).unwrap(), &[ErrorKind::Incompatible]).await;
}

/// The tables have the store's names and other types.
#[tokio::test]
async fn a_database_with_tables_of_the_same_names_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.redb");
    let database = Database::create(&path).unwrap();
    let txn = database.begin_write().unwrap();
    txn.open_table(TableDefinition::<u8, &str>::new("idem/meta")).unwrap().insert(1, "x").unwrap();
    txn.commit().unwrap();
    database.close().unwrap();
    assert_left_alone(&fs::read(&path).unwrap(), &[ErrorKind::Incompatible]).await;
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_refused() {
    let bytes = with_version(Some(3)).await;
    assert_left_alone(&bytes, &[ErrorKind::Incompatible]).await;
}

#[tokio::test]
async fn a_file_without_its_version_is_refused() {
    let bytes = with_version(None).await;
    assert_left_alone(&bytes, &[ErrorKind::Corrupt]).await;
}

#[tokio::test]
async fn a_file_is_opened_by_one_store_at_a_time_in_one_process() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("payments.idem");
    let store = RedbStore::open(&*path).await.unwrap();
    complete_keys(&store, 3).await;
    let error = refusal(&path).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert_replays(&store, 3).await;
    store.close().await.unwrap();
    assert_replays(&RedbStore::open(&*path).await.unwrap(), 3).await;
}

/// A drop does not wait until the file is closed, so the next opening does.
#[tokio::test]
async fn a_store_can_be_opened_right_after_the_previous_one_was_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("payments.idem");
    for round in 0..10 {
        let store = RedbStore::open(&*path).await.unwrap();
        acquire(&store, &key(round)).await;
        drop(store);
    }
}

#[tokio::test]
async fn a_file_is_opened_by_one_process_at_a_time() {
    if let Some(path) = child::role() {
        let told = refusal(Path::new(&path)).await;
        assert_eq!(told.kind(), ErrorKind::Unavailable, "{told}");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("payments.idem");
    let store = RedbStore::open(&*path).await.unwrap();
    complete_keys(&store, 3).await;
    let test = "opening::paths::a_file_is_opened_by_one_process_at_a_time";
    let other = child::command(test, path.to_str().unwrap()).output().unwrap();
    assert!(other.status.success(), "{}", String::from_utf8_lossy(&other.stdout));
    assert_replays(&store, 3).await;
    store.close().await.unwrap();
}

async fn refusal(path: &Path) -> Error {
    RedbStore::open(path).await.unwrap_err()
}

/// A file with these bytes is refused with one of `kinds`, checked or not, and has the same bytes afterwards.
async fn assert_left_alone(bytes: &[u8], kinds: &[ErrorKind]) {
    for check_integrity in [false, true] {
        let (folder, path) = file(bytes);
        let mut config = RedbConfig::new(&path);
        config.check_integrity = check_integrity;
        let error = RedbStore::open(config).await.expect_err("it was opened");
        assert!(kinds.contains(&error.kind()), "{} bytes, checked {check_integrity}: {error}", bytes.len());
        assert!(
            fs::read(&path).unwrap() == bytes,
            "{} bytes, checked {check_integrity}: changed",
            bytes.len()
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "something was left beside it");
    }
}

fn file(bytes: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("payments.idem");
    fs::write(&path, bytes).unwrap();
    (folder, path)
}

async fn store_file() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("payments.idem");
    let store = RedbStore::open(&*path).await.unwrap();
    complete_keys(&store, 50).await;
    store.close().await.unwrap();
    fs::read(path).unwrap()
}

/// A sound file of a store, with `version` as the version of its tables.
async fn with_version(version: Option<u64>) -> Vec<u8> {
    let (_folder, path) = file(&store_file().await);
    let database = Database::open(&path).unwrap();
    let txn = database.begin_write().unwrap();
    {
        let mut meta = txn.open_table(TableDefinition::<&str, u64>::new("idem/meta")).unwrap();
        match version {
            Some(version) => meta.insert("schema version", version).unwrap(),
            None => meta.remove("schema version").unwrap(),
        };
    }
    txn.commit().unwrap();
    database.close().unwrap();
    fs::read(path).unwrap()
}
