//! One server.

use std::time::Duration;

use idem_servers::postgres::{Server, ServerKind, shared_lone_of};

#[tokio::test]
async fn each_kind_is_of_its_version() {
    for kind in ServerKind::ALL {
        let version = shared_lone_of(kind).await.sql("SHOW server_version_num").await;
        assert_eq!(version.parse::<u32>().unwrap() / 10_000, kind.major(), "{kind}");
    }
}

#[tokio::test]
async fn a_later_line_of_the_configuration_wins() {
    let server =
        Server::options().config("max_connections = 30").config("max_connections = 20").start().await;
    assert_eq!(server.sql("SHOW max_connections").await, "20");
}

#[tokio::test]
async fn a_refused_statement_is_an_error_with_its_reason() {
    let server = Server::lone().await;
    let refused = server.try_sql("SELECT 1 / 0").await.unwrap_err();
    assert!(refused.contains("division by zero"), "{refused}");
}

#[tokio::test]
async fn what_was_committed_is_there_after_a_kill() {
    let server = Server::lone().await;
    server.sql("CREATE TABLE kept (number int)").await;
    server.sql("INSERT INTO kept VALUES (7)").await;
    let (addr, pid) = (server.addr(), server.pid());
    server.kill();
    assert_eq!(server.pid(), None);
    assert!(server.try_sql("SELECT 1").await.is_err());
    server.restart().await;
    assert_eq!(server.sql("SELECT number FROM kept").await, "7");
    assert_eq!(server.addr(), addr);
    assert_ne!(server.pid(), pid);
}

#[tokio::test]
async fn a_stopped_server_answers_once_it_goes_on() {
    let server = Server::lone().await;
    server.stop();
    let node = server.node();
    let asked = tokio::spawn(async move { node.try_sql("SELECT 1").await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!asked.is_finished(), "it answers although it is stopped");
    server.cont();
    assert_eq!(asked.await.unwrap().as_deref(), Ok("1"));
}
