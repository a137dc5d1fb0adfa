//! Creating a file: through links, beside the leftovers of a killed process, and while other stores create theirs.
#![cfg(unix)]

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;

use idem_core::ErrorKind;
use idem_redb::RedbStore;
use tokio::task::JoinSet;

use crate::support::call::{assert_replays, complete_keys};

#[tokio::test]
async fn a_link_to_a_missing_file_creates_its_target() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("volume")).unwrap();
    let (link, between) = (folder.path().join("link.idem"), folder.path().join("volume/between.idem"));
    // Each target is relative to the folder of its link.
    symlink("volume/between.idem", &link).unwrap();
    symlink("target.idem", &between).unwrap();
    let store = RedbStore::open(&*link).await.unwrap();
    complete_keys(&store, 3).await;
    store.close().await.unwrap();
    let target = folder.path().join("volume/target.idem");
    assert!(target.symlink_metadata().unwrap().is_file());
    assert!(link.is_symlink() && between.is_symlink());
    assert_replays(&RedbStore::open(&*target).await.unwrap(), 3).await;
}

#[tokio::test]
async fn a_link_that_leads_nowhere_is_refused_with_its_cause() {
    let folder = tempfile::tempdir().unwrap();
    let (circle, nowhere) = (folder.path().join("circle.idem"), folder.path().join("nowhere.idem"));
    symlink(&circle, &circle).unwrap();
    symlink(folder.path().join("missing/payments.idem"), &nowhere).unwrap();
    for (path, why) in [(&circle, "symbolic link"), (&nowhere, "there is no folder")] {
        let error = RedbStore::open(&**path).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{error}");
        assert!(error.to_string().contains(why), "{error}");
        assert!(path.is_symlink());
    }
}

#[tokio::test]
async fn a_path_that_cannot_be_used_names_its_cause() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "a file, not a folder").unwrap();
    for (path, why) in [
        (folder.path().join("missing/payments.idem"), "there is no folder"),
        (file.join("payments.idem"), "Not a directory"),
        (folder.path().join("x".repeat(300)), "too long"),
        (Path::new("/proc/payments.idem").to_owned(), "cannot be made: entity not found"),
    ] {
        let error = RedbStore::open(&*path).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{error}");
        assert!(error.to_string().contains(why), "{error}");
    }
}

#[tokio::test]
async fn leftovers_of_a_killed_process_are_removed_by_the_next_opening() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let path = at("payments.idem");
    for round in 0..2 {
        let leftovers = [at(".idem-abc123.new"), at(".idem-XYZ789.new")];
        let others =
            [at(".idem-abc123.new.bak"), at(".idem-.new"), at("idem-abc123.new"), at(".idem-a/b.new")];
        fs::create_dir_all(at(".idem-a")).unwrap();
        fs::create_dir_all(at(".idem-folder.new")).unwrap();
        for file in leftovers.iter().chain(&others) {
            fs::write(file, "whatever was written").unwrap();
        }
        RedbStore::open(&*path).await.unwrap().close().await.unwrap();
        assert!(leftovers.iter().all(|file| !file.exists()), "round {round}: they are still there");
        assert!(others.iter().all(|file| file.exists()), "round {round}: others' files are gone");
        assert!(at(".idem-folder.new").is_dir());
    }
}

#[tokio::test]
async fn a_file_that_another_process_is_creating_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let making = folder.path().join(".idem-abc123.new");
    let file = File::create(&making).unwrap();
    file.lock().unwrap();
    let path = folder.path().join("payments.idem");
    RedbStore::open(&*path).await.unwrap().close().await.unwrap();
    assert!(making.exists(), "removed while it was being created");
    drop(file);
    RedbStore::open(&*path).await.unwrap();
    assert!(!making.exists());
}

/// Each store creates a file, and looks for leftovers of other stores.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn stores_created_at_the_same_time_in_one_folder_are_all_created() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..10 {
        let mut openings = JoinSet::new();
        for number in 0..8 {
            let path = folder.path().join(format!("{round}-{number}.idem"));
            openings.spawn(async move { RedbStore::open(path).await.map(drop) });
        }
        for opened in openings.join_all().await {
            opened.unwrap();
        }
    }
    let left = fs::read_dir(folder.path()).unwrap().flatten();
    let left: Vec<_> =
        left.map(|entry| entry.file_name()).filter(|name| name.as_encoded_bytes()[0] == b'.').collect();
    assert!(left.is_empty(), "{left:?}");
}
