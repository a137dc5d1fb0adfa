//! A server that has reached its limit of clients.

use std::time::Duration;

use idem_core::ErrorKind;
use idem_redis::RedisStore;
use idem_servers::redis::Server;
use tokio::net::TcpStream;

use crate::support::{acquire, config, lock, refusal};

/// The configuration is not wrong, and soon there may be room.
#[tokio::test]
async fn a_server_with_too_many_clients_is_unavailable_and_retried_within_the_call() {
    let server = Server::options().config("maxclients 12").start().await;
    let mut patient = config(&server);
    (patient.call_timeout, patient.check_interval) = (Duration::from_secs(20), Duration::from_hours(1));
    let store = RedisStore::open(patient).await.unwrap();
    acquire(&store, "before").await;
    server.run(&["CLIENT", "KILL", "TYPE", "normal"]).await;
    let mut others = Vec::new();
    for _ in 0..12 {
        others.push(TcpStream::connect(server.addr()).await.unwrap());
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    let mut kinds = Vec::new();
    for _ in 0..10 {
        kinds.push(refusal(config(&server)).await);
    }
    let leaving = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(1)).await;
        drop(others);
    });
    let answer = lock(&store, "after").await;
    leaving.await.unwrap();
    assert!(kinds.iter().all(|(kind, _)| *kind == ErrorKind::Unavailable), "{kinds:?}");
    assert!(answer.is_ok(), "{answer:?}");
}
