//! The server on a disk that fills up: old answers are replayed, and the server needs no restart.

use std::path::Path;
use std::process::Command;

use crate::process::{Server, eventually, is_replay};

const TEST: &str = "full_disk::a_server_on_a_full_disk_replays_and_recovers_without_a_restart";
const ROLE: &str = "IDEM_TEST_ROLE";

/// Mounts a tmpfs of 6 MiB in a namespace of its own, and runs this test inside.
#[test]
fn a_server_on_a_full_disk_replays_and_recovers_without_a_restart() {
    if let Ok(folder) = std::env::var(ROLE) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        return runtime.block_on(fill_and_recover(Path::new(&folder)));
    }
    let folder = tempfile::tempdir().unwrap();
    let inside = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c"])
        .arg("mount -t tmpfs -o size=6m idem \"$0\" && exec \"$@\"")
        .arg(folder.path())
        .arg(std::env::current_exe().unwrap())
        .args([TEST, "--exact", "--nocapture", "--test-threads=1"])
        .env(ROLE, folder.path())
        .output()
        .unwrap();
    let (said, complained) =
        (String::from_utf8_lossy(&inside.stdout), String::from_utf8_lossy(&inside.stderr));
    assert!(
        inside.status.success() && said.contains("1 passed"),
        "it failed, or a tmpfs may not be mounted here (it needs user namespaces):\n{said}\n{complained}"
    );
    print!("{said}");
}

async fn fill_and_recover(folder: &Path) {
    let store = format!("redb:{}", folder.join("payments.idem").display());
    let server = Server::start(&store, &folder.join("effects"), &[]);
    for number in 0..10 {
        assert_eq!(pay(&server, number).await.0, 201);
    }
    // Others fill the file system with this file, and later remove it.
    let ballast = folder.join("ballast");
    let mut room: usize = 8 << 20;
    while room >= 4_096 {
        let before = std::fs::read(&ballast).unwrap_or_default();
        if std::fs::write(&ballast, vec![1; before.len() + room]).is_err() {
            std::fs::write(&ballast, before).unwrap();
            room /= 2;
        }
    }
    let mut booked = 10;
    while pay(&server, booked).await.0 == 201 {
        booked += 1;
    }
    // A new payment may be refused, and each old one replays every time.
    let mut replays = 0;
    for round in 0..60 {
        let (status, _) = pay(&server, 10_000 + round).await;
        assert!(status == 503 || status == 201, "{status}");
        for number in 0..booked {
            assert_eq!(pay(&server, number).await, (201, true), "payment {number}, round {round}");
            replays += 1;
        }
    }
    assert!(server.booked().await.len() >= booked);
    println!("full after {booked} payments, then {replays} replays");

    std::fs::remove_file(ballast).unwrap();
    eventually(async || pay(&server, 20_000).await.0 == 201).await;
    assert_eq!(pay(&server, 20_000).await, (201, true));
    let mut references = server.booked().await;
    let count = references.len();
    references.sort();
    references.dedup();
    assert_eq!(references.len(), count, "something was booked twice");
}

/// Pays, and returns the status and whether the answer was a replay.
async fn pay(server: &Server, number: usize) -> (u16, bool) {
    let reference = format!("{number:>08}{}", "x".repeat(20_000));
    let answer = server.pay(&format!("full-{number}"), &reference).send().await.unwrap();
    (answer.status().as_u16(), is_replay(&answer))
}
