//! Options in a URI or a table, and their effect.

use std::sync::Arc;
use std::time::Duration;

use idem_core::{ErrorKind, Registry, Store, StoreConfig};
use idem_servers::redis::{Node, Server};
use proptest::prelude::*;

use crate::support::{claim, fingerprint, key};

async fn open(config: impl Into<StoreConfig>) -> idem_core::Result<Arc<dyn Store>> {
    Registry::new().with(idem_redis::DRIVER).open(config).await
}

async fn works(store: &dyn Store) {
    let locked = store.lock(&key("order"), &fingerprint(), &claim()).await.unwrap();
    assert!(matches!(locked, idem_core::LockAnswer::Acquired(_)), "{locked:?}");
}

async fn keys(server: &Node, database: &str) -> Vec<String> {
    let mut connection = server.connect().await.unwrap();
    connection.command(&["SELECT", database]).await.unwrap();
    let keys = connection.command(&["KEYS", "*"]).await.unwrap();
    keys.elements().iter().map(idem_servers::redis::Reply::text).collect()
}

#[tokio::test]
async fn database_and_prefix_say_where_records_are_kept() {
    let server = Server::lone().await;
    works(&*open(format!("{}/3?prefix=shop:", server.uri())).await.unwrap()).await;
    assert_eq!(keys(&server, "0").await, [""; 0]);
    let kept = keys(&server, "3").await;
    assert!(kept.len() == 2 && kept.iter().all(|key| key.starts_with("shop:")), "{kept:?}");
    assert!(kept.contains(&"shop:marker:0".to_owned()), "{kept:?}");
}

#[tokio::test]
async fn user_and_password_are_percent_encoded_and_shown_nowhere() {
    let server = Server::options().config("user a:b on >p@ss/w%rd ~* &* +@all").start().await;
    works(&*open(format!("redis://a%3Ab:p%40ss%2Fw%25rd@{}", server.addr())).await.unwrap()).await;

    for raw in
        ["user:s3cret?x", "user:s3cret?", ":s3cret?x", "user:x?s3cret", "user:s3cret#x", "user:x/s3cret?y"]
    {
        for scheme in ["redis", "redis-cluster", "redis-sentinel"] {
            let error = open(format!("{scheme}://{raw}@{}", server.addr())).await.unwrap_err();
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{raw}: {error:?}");
        }
    }

    let wrong = open(format!("redis://a%3Ab:s3cret@{}", server.addr())).await.unwrap_err();
    assert_eq!(wrong.kind(), ErrorKind::InvalidConfig);
    assert!(!format!("{wrong} {wrong:?}").contains("s3cret"), "{wrong:?}");
}

#[tokio::test]
async fn a_table_configures_the_same_as_a_uri() {
    let server = Server::options().config("user shop on >secret ~* &* +@all").start().await;
    let table = format!(
        "store = \"redis\"\nservers = [\"{}\"]\nusername = \"shop\"\npassword = \"secret\"\ndatabase = 2\n\
         prefix = \"table:\"\nacks = 0\ncall_timeout = \"3s\"\nmax_outcome = \"64 KiB\"\n",
        server.addr()
    );
    let config: StoreConfig = toml::from_str(&table).unwrap();
    works(&*open(config).await.unwrap()).await;
    let kept = keys(&server, "2").await;
    assert!(kept.len() == 2 && kept.iter().all(|key| key.starts_with("table:")), "{kept:?}");
}

#[tokio::test]
async fn a_unix_socket_is_reached_by_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("redis.sock");
    let server = Server::options().config(format!("unixsocket {}", path.display())).start().await;
    let store = open(format!("redis+unix:{}", path.display())).await.unwrap();
    works(&*store).await;
    let clients = server.run(&["CLIENT", "LIST"]).await.text();
    assert!(clients.contains("redis.sock"), "{clients}");
}

#[tokio::test]
async fn as_many_connections_are_made_as_configured() {
    let server = Server::lone().await;
    let before = clients(&server).await;
    let store = open(format!("{}?connections=5&check_interval=100ms", server.uri())).await.unwrap();
    let made = async {
        while clients(&server).await < before + 5 {
            can_read(&*store).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), made).await.unwrap();
    for _ in 0..50 {
        can_read(&*store).await;
    }
    assert_eq!(clients(&server).await, before + 5);
}

/// Consecutive calls use the open connection, and reopen the closed one.
#[tokio::test]
async fn each_of_two_connections_is_reopened() {
    let server = Server::lone().await;
    let before = clients(&server).await;
    let store = open(format!("{}?connections=2&check_interval=1h", server.uri())).await.unwrap();
    for _ in 0..2 {
        let made = async {
            while clients(&server).await < before + 2 {
                can_read(&*store).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), made).await.unwrap();
        let list = server.run(&["CLIENT", "LIST"]).await.text();
        let oldest = list.lines().find(|line| line.contains("resp=3")).unwrap();
        let id = oldest.split(' ').next().unwrap().strip_prefix("id=").unwrap();
        server.run(&["CLIENT", "KILL", "ID", id]).await;
    }
}

async fn can_read(store: &dyn Store) {
    store.get(&key("order")).await.unwrap();
}

async fn clients(server: &Node) -> usize {
    server.run(&["CLIENT", "LIST"]).await.text().lines().count()
}

#[tokio::test]
async fn an_invalid_option_is_refused_by_its_name() {
    for (uri, named) in [
        ("redis://127.0.0.1?colour=red", "colour"),
        ("redis://127.0.0.1?acks=many", "acks"),
        ("redis://127.0.0.1?acks=-1", "acks"),
        ("redis://127.0.0.1?acks=300", "acks"),
        ("redis://127.0.0.1?call_timeout=0s", "call_timeout"),
        ("redis://127.0.0.1?call_timeout=-3s", "call_timeout"),
        ("redis://127.0.0.1?call_timeout=soon", "call_timeout"),
        ("redis://127.0.0.1?connections=0", "connections"),
        ("redis://127.0.0.1?connections=x", "connections"),
        ("redis://127.0.0.1?prefix={a}", "prefix"),
        ("redis://127.0.0.1?max_outcome=lots", "max_outcome"),
        ("redis://127.0.0.1/x", "database"),
        ("redis://127.0.0.1/999", "database"),
        ("redis-cluster://127.0.0.1/1", "database"),
        ("redis://127.0.0.1?service=shop", "service"),
        ("redis-sentinel://127.0.0.1:1", "service"),
        ("redis://127.0.0.1:notaport", "port"),
        ("redis://", "server"),
        ("redis+unix:", "server"),
        ("redis://127.0.0.1?confirm_replays=perhaps", "confirm_replays"),
    ] {
        let error = open(uri).await.err().unwrap_or_else(|| panic!("{uri} was opened"));
        assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{uri}: {error}");
        let text = format!("{error:?} {error}");
        assert!(text.contains(named), "{uri}: {text}");
    }
}

#[tokio::test]
async fn no_error_shows_a_password() {
    for uri in [
        "redis://user:hunter2@127.0.0.1:99999",
        "redis://user:hunter2@127.0.0.1/x",
        "redis://user:hunter2@127.0.0.1?colour=red",
        "redis://user:hunter2@127.0.0.1?acks=many",
        "redis://127.0.0.1?password=hunter2&acks=many",
        "redis://:hunter2@",
        // Not percent-encoded, so that a part of the password could be read as something else.
        "redis://user:12/hunter2?x@127.0.0.1",
        "redis://user:12?hunter2@127.0.0.1",
        "redis://user:12?x=hunter2@127.0.0.1",
        "redis://user:12?acks=hunter2@127.0.0.1",
        "redis://user:12#hunter2@127.0.0.1",
        "redis://user:12/0?hunter2@127.0.0.1",
    ] {
        let error = open(uri).await.err().unwrap_or_else(|| panic!("{uri} was opened"));
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
}

/// Likely mistakes: a number without quotes, a password beside the server.
#[tokio::test]
async fn no_error_shows_a_password_from_a_table() {
    for (options, secret) in [
        ("servers = \"127.0.0.1:1\"\npassword = 17122004", "17122004"),
        ("servers = \"127.0.0.1:1\"\npassword = 17122004.5", "17122004"),
        ("servers = \"127.0.0.1:1\"\npassword = [\"hunter2\"]", "hunter2"),
        ("servers = \"127.0.0.1:1\"\nsentinel_password = 17122004", "17122004"),
        ("servers = \"user:hunter2@127.0.0.1:1\"", "hunter2"),
        ("servers = \"redis://user:hunter2@127.0.0.1:1\"", "hunter2"),
        ("servers = [\"redis://hunter2@127.0.0.1:1\"]", "hunter2"),
        ("servers = \"hunter2@127.0.0.1:1\"", "hunter2"),
        ("servers = \"127.0.0.1:1\"\nacks = \"some\"\npassword = \"hunter2\"", "hunter2"),
        ("servers = \"127.0.0.1:1\"\npasword = \"hunter2\"", "hunter2"),
    ] {
        let table: StoreConfig = toml::from_str(&format!("store = \"redis\"\n{options}\n")).unwrap();
        let error = open(table).await.err().unwrap_or_else(|| panic!("{options} was opened"));
        assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{options}: {error}");
        assert!(!format!("{error} {error:?}").contains(secret), "{options}: {error:?}");
    }
}

proptest! {
    /// Every URI is refused or unreachable.
    #[test]
    fn no_uri_causes_a_panic(rest in "[ -~é]{0,40}", scheme in "redis|rediss-cluster|redis-sentinel|redis\\+unix") {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        // Nothing listens at this address.
        let uri = format!("{scheme}://127.0.0.1:1{rest}");
        let opened = runtime.block_on(async {
            tokio::time::timeout(Duration::from_millis(20), open(uri)).await
        });
        prop_assert!(!matches!(opened, Ok(Ok(_))));
    }
}
