//! The kinds of servers: which one is started, and that its version is the one named in the pages.

use std::collections::HashSet;
use std::path::Path;
use std::process::Command;

use idem_servers::redis::{Cluster, Pair, Server, ServerKind, shared_cluster_of, shared_lone_of, slot};
use tokio::task::JoinSet;

#[tokio::test]
async fn every_kind_has_the_version_that_the_pages_name_as_tested() {
    for kind in ServerKind::ALL {
        let server = Server::options().kind(kind).start().await;
        assert_eq!(server.version().await, kind.version());
        for page in ["README.md", "docs/redis.md", "CONTRIBUTING.md"] {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(page);
            let text = std::fs::read_to_string(path).unwrap();
            assert!(text.contains(kind.version()), "{page} does not name {}", kind.version());
        }
    }
}

#[tokio::test]
async fn every_server_of_a_pair_and_of_a_cluster_is_of_the_kind_that_was_asked_for() {
    let mut starting = JoinSet::new();
    for kind in ServerKind::ALL {
        starting.spawn(async move {
            let pair = Pair::start_with(1, &Server::options().kind(kind)).await;
            let cluster = Cluster::options().kind(kind).start().await;
            for server in cluster.servers().iter().chain(pair.replicas()).chain([pair.master()]) {
                assert_eq!(server.version().await, kind.version());
            }
        });
    }
    starting.join_all().await;
}

/// By default, Valkey would free the memory later, and distort the next measurement.
#[tokio::test]
async fn a_flush_has_freed_the_memory_of_every_kind_when_it_is_answered() {
    for kind in ServerKind::ALL {
        let server = Server::options().kind(kind).start().await;
        let used = async || -> u64 {
            server.run(&["INFO", "memory"]).await.field("used_memory").unwrap().parse().unwrap()
        };
        let empty = used().await;
        server.run(&["DEBUG", "POPULATE", "300000", "key", "64"]).await;
        let full = used().await;
        server.run(&["FLUSHALL"]).await;
        let flushed = used().await;
        assert!(
            flushed.saturating_sub(empty) < (full - empty) / 10,
            "{kind}: {empty}, {full}, then {flushed}"
        );
    }
}

#[tokio::test]
async fn each_kind_has_shared_servers_of_its_own() {
    let mut servers = HashSet::new();
    for kind in ServerKind::ALL {
        let lone = shared_lone_of(kind).await;
        let master = shared_cluster_of(kind).await.master_of(slot(b"shared:kind")).await;
        for node in [lone, master] {
            assert_eq!(node.version().await, kind.version());
            assert!(servers.insert(node.addr()), "{node} is shared by two kinds");
        }
    }
}

#[test]
fn the_environment_names_the_kind_that_is_started() {
    for kind in ServerKind::ALL {
        let output = output_of_start(Some(kind.name()));
        assert!(output.contains(&format!("started {}", kind.version())), "{output}");
    }
    assert!(output_of_start(None).contains(&format!("started {}", ServerKind::Redis7.version())));
}

#[test]
fn an_unknown_kind_is_refused_with_the_known_names() {
    let output = output_of_start(Some("redis-6"));
    assert!(output.contains("IDEM_REDIS=redis-6") && !output.contains("started"), "{output}");
    for kind in ServerKind::ALL {
        assert!(output.contains(kind.name()), "{output}");
    }
}

#[test]
fn kinds_take_turns_unless_the_environment_names_one() {
    if std::env::var_os("IDEM_REDIS").is_some() {
        assert!((0..9).all(|number| ServerKind::by_turns(number) == ServerKind::chosen()));
        return;
    }
    for first in [0, 4, u64::MAX - 2] {
        let three = [first, first + 1, first + 2].map(ServerKind::by_turns);
        assert!(ServerKind::ALL.iter().all(|kind| three.contains(kind)), "{three:?}");
    }
}

/// Other tests run this one in a child process with another environment.
#[tokio::test]
async fn a_server_without_a_kind_is_of_the_chosen_one() {
    let version = Server::lone().await.version().await;
    assert_eq!(version, ServerKind::chosen().version());
    println!("started {version}");
}

/// The output of a process that starts a server with `IDEM_REDIS` set to `choice`.
fn output_of_start(choice: Option<&str>) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["kinds::a_server_without_a_kind_is_of_the_chosen_one", "--exact", "--nocapture"]);
    match choice {
        Some(name) => command.env("IDEM_REDIS", name),
        None => command.env_remove("IDEM_REDIS"),
    };
    let output = command.output().unwrap();
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
