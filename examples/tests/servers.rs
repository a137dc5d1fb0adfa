//! The examples `promises` and `swap`, which take any store, on Redis and PostgreSQL, as a user runs them.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::Output;

use idem_servers::postgres;
use idem_servers::redis::{shared_cluster, shared_lone};
use support::example;

mod support;

#[tokio::test(flavor = "multi_thread")]
async fn promises_keeps_every_promise_on_one_server_and_on_a_cluster() {
    let lone = format!("redis://{}", shared_lone().await);
    let cluster = shared_cluster().await.uri();
    let postgres = format!("{}?schema=promises", postgres::shared_lone().await.uri());
    for uri in [lone, cluster, postgres] {
        let output = run("promises", &[&uri]);
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{output:?}");
        assert_eq!(said.lines().filter(|line| line.starts_with("ok ")).count(), 6, "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn swap_runs_unchanged_on_every_store_by_uri_and_by_file() {
    let folder = tempfile::tempdir().unwrap();
    let redb = format!("redb:{}", folder.path().join("swap.idem").display());
    let lone = shared_lone().await;
    let cluster = shared_cluster().await;
    let file = folder.path().join("service.toml");
    let servers: Vec<_> = cluster.nodes().iter().map(ToString::to_string).collect();
    let table = format!("[idempotency]\nstore = \"redis-cluster\"\nservers = {servers:?}\nacks = 1\n");
    std::fs::write(&file, table).unwrap();
    let (lone, cluster) = (format!("redis://{lone}"), cluster.uri());
    let postgres = format!("{}?schema=swap", postgres::shared_lone().await.uri());
    let output = run("swap", &[&redb, "moka:", &lone, &cluster, &postgres, file.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(said.matches("executed once, then replayed \"order 17\"").count(), 6, "{said}");
}

#[test]
fn swap_prints_the_typed_error_of_a_bad_store() {
    let output = run("swap", &["redis://127.0.0.1:1"]);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("store unavailable"), "{output:?}");
}

fn run(name: &str, arguments: &[&str]) -> Output {
    example(name).args(arguments).output().unwrap()
}
