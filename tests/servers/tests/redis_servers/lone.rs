//! A single server: its replies, options, restart, and what a failed start reports.

use std::net::TcpListener;
use std::time::Duration;

use idem_servers::redis::{Reply, Server};
use tokio::task::JoinSet;

#[tokio::test]
async fn every_type_of_reply_is_read() {
    let server = Server::lone().await;
    let mut connection = server.connect().await.unwrap();
    let binary = [0, 13, 10, 255];
    assert_eq!(connection.command(&["PING"]).await.unwrap(), Reply::Status("PONG".to_owned()));
    connection.command(&[&b"SET"[..], b"key", &binary]).await.unwrap();
    assert_eq!(connection.command(&["GET", "key"]).await.unwrap().bytes(), binary);
    assert_eq!(connection.command(&["GET", "none"]).await.unwrap(), Reply::Nil);
    assert_eq!(connection.command(&["DEL", "key"]).await.unwrap().integer(), Some(1));
    let nested = connection.command(&["EVAL", "return {1, {'two'}, {}}", "0"]).await.unwrap();
    assert_eq!(nested.elements()[1].elements()[0].text(), "two");
    assert!(matches!(connection.command(&["NONSENSE"]).await.unwrap(), Reply::Error(_)));
}

#[tokio::test]
async fn servers_started_at_once_are_separate() {
    let mut starting = JoinSet::new();
    for _ in 0..8 {
        starting.spawn(Server::lone());
    }
    let servers = starting.join_all().await;
    for server in &servers {
        server.run(&["SET", "owner", &server.port().to_string()]).await;
    }
    for server in &servers {
        assert_eq!(server.run(&["GET", "owner"]).await.text(), server.port().to_string());
    }
}

#[tokio::test]
async fn options_reach_the_server() {
    let server = Server::options()
        .config("maxmemory 10mb")
        .config("maxmemory-policy allkeys-lru")
        .password("hunter2")
        .host([127, 0, 0, 2].into())
        .prefix(["sh", "-c", "ulimit -n 132; exec \"$0\" \"$@\""])
        .start()
        .await;
    let policy = server.run(&["CONFIG", "GET", "maxmemory-policy"]).await;
    assert_eq!(policy.elements()[1].text(), "allkeys-lru");
    assert_eq!(server.uri(), format!("redis://:hunter2@127.0.0.2:{}", server.port()));
    // The server reserves 32 descriptors for itself.
    assert_eq!(server.run(&["CONFIG", "GET", "maxclients"]).await.elements()[1].text(), "100");
}

#[tokio::test]
async fn a_user_of_an_acl_file_logs_in() {
    let folder = tempfile::tempdir().unwrap();
    let acl = folder.path().join("users.acl");
    std::fs::write(&acl, "user default off\nuser tester on >hunter2 ~* &* +@all\n").unwrap();
    let options = Server::options().config(format!("aclfile {}", acl.display()));
    let server = options.login("tester", "hunter2").start().await;
    assert_eq!(server.run(&["ACL", "WHOAMI"]).await.text(), "tester");
}

#[tokio::test]
async fn a_frozen_server_keeps_its_connections_and_answers_later() {
    let server = Server::lone().await;
    server.stop();
    let mut connection = server.connect_within(Duration::from_millis(100)).await.unwrap();
    let failure = connection.command(&["PING"]).await.unwrap_err();
    assert_eq!(failure.kind(), std::io::ErrorKind::TimedOut);
    server.cont();
    assert_eq!(server.run(&["PING"]).await.text(), "PONG");
}

#[tokio::test]
async fn a_restart_keeps_data_only_with_appendonly() {
    for (options, kept) in [(Server::options(), ""), (Server::options().appendonly(), "hello")] {
        let server = options.start().await;
        let (addr, folder) = (server.addr(), server.folder().to_owned());
        server.run(&["SET", "greeting", "hello"]).await;
        server.kill();
        assert_eq!(server.pid(), None);
        assert!(server.command(&["PING"]).await.is_err());
        server.restart().await;
        assert_eq!((server.addr(), server.folder()), (addr, &*folder));
        assert_eq!(server.run(&["GET", "greeting"]).await.text(), kept);
    }
}

#[tokio::test]
async fn a_missing_binary_is_reported_with_the_script_that_installs_it() {
    let failure = failure_of(Server::options().binary("redis-server-of-nobody").start()).await;
    assert!(failure.contains("scripts/install-redis"), "{failure}");
}

#[tokio::test]
async fn a_failed_start_reports_the_log() {
    let failure = failure_of(Server::options().config("no-such-option yes").start()).await;
    assert!(failure.contains(">>> 'no-such-option yes'"), "{failure}");
}

/// With a port of its own choice, `start` tries another one; also when only the port of the cluster bus is taken.
#[tokio::test]
async fn a_fixed_port_that_is_taken_is_a_failure() {
    for bus in [0, 10_000] {
        let port = Server::lone().await.port();
        let _taken = TcpListener::bind(("127.0.0.1", port + bus)).unwrap();
        let failure = failure_of(Server::options().port(port).config("cluster-enabled yes").start()).await;
        assert!(failure.contains("Failed listening on port"), "{failure}");
    }
}

async fn failure_of(start: impl Future<Output = Server> + Send + 'static) -> String {
    let failure = tokio::spawn(start).await.unwrap_err().into_panic();
    *failure.downcast::<String>().unwrap()
}
