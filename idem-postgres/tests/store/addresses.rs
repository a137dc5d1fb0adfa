//! How servers are named, and which of them is reached.

use std::sync::Arc;
use std::time::Duration;

use idem_core::{ErrorKind, Registry, Result, Store, StoreConfig};
use idem_postgres::{DRIVER, PostgresStore, SslMode};
use idem_servers::postgres::{Node, Server};
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::support::{claim, config_of, connect, fingerprint, key, open};

async fn opened(config: impl Into<StoreConfig>) -> Result<Arc<dyn Store>> {
    let store = Registry::new().with(DRIVER).open(config).await?;
    let _locked = store.lock(&key("order"), &fingerprint(), &claim()).await?;
    store.remove(&key("order"), true).await?;
    Ok(store)
}

/// The connections of stores by Unix sockets, and by TCP.
async fn connections(server: Node) -> String {
    let sql = "SELECT count(*) FILTER (WHERE client_addr IS NULL) > 0, count(*) FILTER (WHERE client_addr IS NOT NULL) > 0
         FROM pg_stat_activity WHERE application_name = 'idem'";
    server.sql(sql).await
}

#[tokio::test]
async fn a_unix_socket_is_reached_by_its_folder_however_that_is_written() {
    let server = Server::lone().await;
    let folder = server.folder().display().to_string();
    let encoded = folder.replace('/', "%2F");
    let port = server.addr().port();
    for uri in [
        format!("postgres:///postgres?user=postgres&host={folder}&port={port}"),
        format!("postgres://postgres@/postgres?host={encoded}&port={port}"),
        format!("postgres://postgres@{encoded}:{port}/postgres"),
        format!("postgres://postgres@/?dbname=postgres&servers={folder}:{port}"),
        // There is no TLS by a socket, whatever it is for other servers.
        format!("postgresql://postgres@{encoded}:{port}?sslmode=verify-full"),
    ] {
        let store = opened(&*uri).await.unwrap_or_else(|error| panic!("{uri}: {error}"));
        assert_eq!(connections(server.node()).await, "t|f", "{uri}");
        drop(store);
    }
    let table = format!("store = 'postgres'\nhost = '{folder}'\nport = {port}\nuser = 'postgres'");
    opened(toml::from_str::<StoreConfig>(&table).unwrap()).await.unwrap();
}

#[tokio::test]
async fn a_statement_is_cancelled_by_a_unix_socket() {
    let server = Server::lone().await;
    let mut config = config_of(server.node());
    config.servers = vec![format!("{}:{}", server.folder().display(), server.addr().port()).parse().unwrap()];
    (config.response_timeout, config.call_timeout) = (Duration::from_millis(100), Duration::from_secs(2));
    let store = open(&config).await;
    let other = connect(&config_of(server.node())).await;
    other.batch_execute(&format!("BEGIN; LOCK TABLE {}.records", config.schema)).await.unwrap();
    // Shorter than the server itself waits for a lock.
    assert_eq!(store.get(&key("order")).await.unwrap_err().kind(), ErrorKind::Timeout);
    let log = std::fs::read_to_string(server.folder().join("postgres.log")).unwrap();
    assert!(log.contains("canceling statement due to user request"), "{log}");
}

#[tokio::test]
async fn a_table_configures_the_same_as_a_uri() {
    let server = Server::lone().await;
    server.sql("CREATE ROLE app LOGIN SUPERUSER").await;
    server.sql("CREATE DATABASE shop").await;
    let address = server.addr();
    for servers in [format!("'{address}'"), format!("['127.0.0.1:1', '{address}']")] {
        let table = format!(
            "store = 'postgres'\nservers = {servers}\nuser = 'app'\npassword = 'p@ss'\ndatabase = 'shop'\n\
             schema = 'tables'\nsslmode = 'disable'\ncall_timeout = '3s'\nmax_outcome = '64 KiB'\n"
        );
        let store = opened(toml::from_str::<StoreConfig>(&table).unwrap()).await.unwrap();
        let connected =
            "SELECT DISTINCT usename, datname FROM pg_stat_activity WHERE application_name = 'idem'";
        assert_eq!(server.sql(connected).await, "app|shop");
        assert_eq!(store.capabilities().call_timeout, Some(Duration::from_secs(3)));
    }
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'tables' AND tablename = 'records'";
    assert_eq!(server.try_sql_in("shop", tables).await.unwrap(), "1");
    opened(format!("postgres://app@127.0.0.1:1,{address}/shop?schema=tables")).await.unwrap();
    opened(format!("postgres://app@/sh%6Fp?host=127.0.0.1,localhost&port={}", address.port())).await.unwrap();
}

/// It accepts connections, and says nothing.
#[tokio::test]
async fn a_server_that_says_nothing_is_left_for_the_next() {
    let server = Server::lone().await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = config_of(server.node());
    config.servers.insert(0, silent.local_addr().unwrap().to_string().parse().unwrap());
    config.connect_timeout = Duration::from_millis(100);
    // Far longer than for all its connections, one after the other.
    timeout(Duration::from_secs(30), open(&config)).await.unwrap();
    if cfg!(feature = "tls") {
        config.servers.truncate(1);
        config.sslmode = Some(SslMode::VerifyFull);
        let opened = timeout(Duration::from_secs(30), PostgresStore::open(config)).await.unwrap();
        assert_eq!(opened.unwrap_err().kind(), ErrorKind::Unavailable);
    }
}
