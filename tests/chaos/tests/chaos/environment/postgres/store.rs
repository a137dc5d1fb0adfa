//! The stores of the rounds.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use idem_postgres::{PostgresConfig, PostgresStore};
use idem_servers::postgres::{Server, ServerKind, ServerOptions};

use crate::callers::load::{CALL_TIMEOUT, Opened};

/// Which version a round runs on, unless the environment chooses one. The long run passes its seed, so that cycles take
/// turns. Each single round passes a fixed number, so that a run of all tests covers both.
pub(crate) fn turn(number: u64) -> ServerKind {
    if std::env::var_os("IDEM_POSTGRES").is_some() {
        return ServerKind::chosen();
    }
    ServerKind::ALL[usize::from(!number.is_multiple_of(2))]
}

pub(crate) fn options(kind: ServerKind) -> ServerOptions {
    println!("on {kind}");
    Server::options().kind(kind)
}

/// A store on the server, or the relay, at `addr`. A call may fail before a server is back.
pub(crate) async fn open(addr: SocketAddr) -> Opened {
    open_on(&[addr], 0).await
}

/// A store that uses the one of `servers` that takes writes, and relies on as many standbys as `acks` says.
pub(crate) async fn open_on(servers: &[SocketAddr], acks: u8) -> Opened {
    let servers = servers.iter().map(|addr| addr.to_string().parse().unwrap());
    let mut config = PostgresConfig::new(servers, "postgres");
    config.acks = acks;
    config.call_timeout = CALL_TIMEOUT;
    config.connect_timeout = Duration::from_millis(500);
    config.response_timeout = Duration::from_millis(800);
    config.sweep_interval = Duration::from_millis(300);
    // On one server an outcome is seen by others once it is on disk, which is when it is acknowledged.
    Opened { store: Arc::new(PostgresStore::open(config).await.unwrap()), confirms: true }
}
