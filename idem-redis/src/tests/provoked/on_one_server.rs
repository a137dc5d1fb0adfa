//! Errors of a single server.

use std::time::Duration;

use idem_core::{Claim, Error, Fingerprint, Key, LockAnswer, Outcome, Owner, Result, Scope, Store as _};
use idem_servers::redis::{Connection, Node, Reply, Server};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::support::{LONG, name, refusal, refusal_soon};
use crate::config::redis_config::RedisConfig;
use crate::protocol::errors::table::{Effect, Row};
use crate::store::redis_store::RedisStore;

fn config(node: &Node) -> RedisConfig {
    RedisConfig::standalone(node.addr().to_string().parse().unwrap())
}

async fn store(node: &Node) -> RedisStore {
    RedisStore::open(config(node)).await.unwrap()
}

fn key() -> Key {
    Key::new(&Scope::shared(), "order").unwrap()
}

async fn lock(store: &RedisStore) -> Result<LockAnswer> {
    let (lease, retention) = (Duration::from_secs(30), Duration::from_mins(5));
    let claim = Claim { owner: Owner::random().unwrap(), lease, retention };
    store.lock(&key(), &Fingerprint::builder("test").finish(), &claim).await
}

/// The error of `lock` after the server has run the command `setting`.
async fn locked_with(setting: &[&str]) -> Error {
    let server = Server::lone().await;
    let store = store(&server).await;
    server.run(setting).await;
    lock(&store).await.unwrap_err()
}

/// The error with which a healthy server refuses `args`.
async fn refused(args: &[&str]) -> String {
    let server = Server::lone().await;
    refusal(&server, args).await
}

pub(super) async fn unknown_script() -> String {
    refused(&["EVALSHA", &"0".repeat(40), "0"]).await
}

pub(super) async fn full() -> Error {
    locked_with(&["CONFIG", "SET", "maxmemory", "1"]).await
}

pub(super) async fn too_few_replicas() -> Error {
    locked_with(&["CONFIG", "SET", "min-replicas-to-write", "1"]).await
}

pub(super) async fn failing_disk() -> Error {
    let server = Server::options().config("dbfilename no-file").start().await;
    let store = store(&server).await;
    // The server cannot write its snapshot, since there is a folder in its place.
    std::fs::create_dir_all(server.folder().join("no-file/in-it")).unwrap();
    server.run(&["CONFIG", "SET", "save", "3600 1"]).await;
    server.run(&["BGSAVE"]).await;
    let failed = async {
        let failed = async || {
            let info = server.run(&["INFO", "persistence"]).await;
            info.field("rdb_last_bgsave_status").as_deref() == Some("err")
        };
        while !failed().await {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(LONG, failed).await.unwrap();
    lock(&store).await.unwrap_err()
}

/// The server loads its data slowly, and answers clients meanwhile.
pub(super) async fn loading() -> String {
    let server = Server::options().config("rdbcompression no").start().await;
    server.run(&["DEBUG", "POPULATE", "200", "key", "2000"]).await;
    server.run(&["CONFIG", "SET", "loading-process-events-interval-bytes", "1024"]).await;
    server.run(&["CONFIG", "SET", "key-load-delay", "20000"]).await;
    let mut connection = server.connect_within(LONG).await.unwrap();
    let loading = tokio::spawn(async move { connection.command(&["DEBUG", "RELOAD"]).await.is_ok() });
    let text = refusal_soon(&server, &["GET", "key"], "LOADING").await;
    loading.abort();
    text
}

/// The errors of an endless script: that of other clients while it runs, and that of its caller when it is killed.
async fn endless_script() -> (String, String) {
    let server = Server::lone().await;
    server.run(&["CONFIG", "SET", "busy-reply-threshold", "10"]).await;
    let mut connection = server.connect_within(LONG).await.unwrap();
    let script = ["EVAL", "while true do end", "0"];
    let running = tokio::spawn(async move { connection.command(&script).await.unwrap().text() });
    let busy = refusal_soon(&server, &["GET", "key"], "BUSY").await;
    server.run(&["SCRIPT", "KILL"]).await;
    (busy, running.await.unwrap())
}

pub(super) async fn busy() -> String {
    endless_script().await.0
}

pub(super) async fn killed() -> String {
    endless_script().await.1
}

pub(super) async fn another_type() -> Error {
    let server = Server::lone().await;
    let store = store(&server).await;
    server.run(&["LPUSH", &store.redis_key(&key()), "x"]).await;
    lock(&store).await.unwrap_err()
}

async fn with_password() -> (Server, Connection) {
    let server = Server::options().password("right").start().await;
    let connection = Connection::open(server.addr(), LONG).await.unwrap();
    (server, connection)
}

pub(super) async fn no_password() -> String {
    let (_server, mut connection) = with_password().await;
    connection.command(&["GET", "key"]).await.unwrap().text()
}

pub(super) async fn no_password_in_hello() -> String {
    let (_server, mut connection) = with_password().await;
    connection.command(&["HELLO", "3"]).await.unwrap().text()
}

pub(super) async fn wrong_password() -> String {
    let (_server, mut connection) = with_password().await;
    connection.command(&["HELLO", "3", "AUTH", "default", "wrong"]).await.unwrap().text()
}

pub(super) async fn forbidden() -> Error {
    locked_with(&["ACL", "SETUSER", "default", "-set"]).await
}

pub(super) async fn forbidden_key() -> Error {
    locked_with(&["ACL", "SETUSER", "default", "resetkeys", "~others"]).await
}

/// The user may run the script, but not a command in it.
pub(super) async fn forbidden_midway() -> Error {
    let server = Server::lone().await;
    let store = store(&server).await;
    let LockAnswer::Acquired(lease) = lock(&store).await.unwrap() else { panic!("it is held") };
    server.run(&["ACL", "SETUSER", "default", "-pexpire"]).await;
    store.renew(&lease, Duration::from_mins(1)).await.unwrap_err()
}

pub(super) async fn unknown_protocol() -> String {
    refused(&["HELLO", "9"]).await
}

/// The server sends this error to a new connection without being asked.
pub(super) async fn too_many_clients() -> String {
    let server = Server::options().config("maxclients 4").start().await;
    let mut clients = Vec::new();
    let refused = async {
        loop {
            let (mut client, mut text) = (TcpStream::connect(server.addr()).await.unwrap(), vec![0; 1_024]);
            if let Ok(length) = timeout(Duration::from_millis(200), client.read(&mut text)).await {
                let text = String::from_utf8_lossy(&text[..length.unwrap()]).into_owned();
                return text.trim_start_matches('-').trim_end().to_owned();
            }
            clients.push(client);
        }
    };
    timeout(LONG, refused).await.unwrap()
}

pub(super) async fn unknown_command() -> String {
    refused(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "shop"]).await
}

pub(super) async fn unknown_command_in_script() -> String {
    refused(&["EVAL", "return redis.call('NOTHING')", "0"]).await
}

pub(super) async fn invalid_lua() -> String {
    refused(&["EVAL", "return (", "0"]).await
}

pub(super) async fn unknown_flag() -> String {
    refused(&["EVAL", "#!lua flags=nothing\nreturn 1", "0"]).await
}

pub(super) async fn failing_script() -> String {
    refused(&["EVAL", "return 1 + nil", "0"]).await
}

pub(super) async fn no_database() -> String {
    refused(&["SELECT", "200"]).await
}

pub(super) async fn no_cluster() -> String {
    refused(&["CLUSTER", "INFO"]).await
}

pub(super) async fn large_value() -> Error {
    let server = Server::lone().await;
    server.run(&["CONFIG", "SET", "proto-max-bulk-len", "1mb"]).await;
    let mut config = config(&server);
    config.max_outcome = 4 << 20;
    let store = RedisStore::open(config).await.unwrap();
    let LockAnswer::Acquired(lease) = lock(&store).await.unwrap() else { panic!("it is held") };
    let large = Outcome::Value(vec![7; 2 << 20].into());
    store.complete(&lease, large, lease.retention()).await.unwrap_err()
}

#[tokio::test]
async fn waitaof_without_an_append_only_file_has_a_row_or_is_an_unknown_command() {
    let server = Server::lone().await;
    let text = refusal(&server, &["WAITAOF", "1", "0", "0"]).await;
    let is_old = server.version().await.starts_with("Redis 7.0");
    let row = if is_old { "ERR unknown command" } else { "ERR WAITAOF cannot be used when numlocal" };
    assert_eq!(name(Row::of(&text)), row, "{text}");
}

/// A server checks memory, replicas and disk before the first command of a script that writes, whatever the script has read
/// by then, and not again. So a refusal means that nothing was done.
#[tokio::test]
async fn a_script_is_refused_before_it_writes_or_not_at_all() {
    for setting in [["maxmemory", "1"], ["min-replicas-to-write", "1"]] {
        let server = Server::lone().await;
        server.run(&["CONFIG", "SET", setting[0], setting[1]]).await;
        let script = "redis.call('GET', KEYS[1]) redis.call('SET', KEYS[1], 'x')";
        let text = refusal(&server, &["EVAL", script, "1", "key"]).await;
        assert_eq!(Row::of(&text).effect, Effect::Nothing, "{text}");
        assert_eq!(server.run(&["GET", "key"]).await, Reply::Nil);
    }
    let server = Server::lone().await;
    server.run(&["CONFIG", "SET", "maxmemory", "1"]).await;
    // A command that frees memory is not refused, and after it nothing is.
    let script = "redis.call('DEL', KEYS[1]) redis.call('SET', KEYS[1], 'x')";
    server.run(&["EVAL", script, "1", "key"]).await;
    assert_eq!(server.run(&["GET", "key"]).await, Reply::Bulk(b"x".to_vec()));
}
