//! Servers whose settings make calls fail until an operator changes them.

use idem_core::{ErrorKind, Outcome, Store};
use idem_redis::RedisStore;
use idem_servers::redis::Server;

use crate::proxy::{Act, Proxy, has};
use crate::support::{acquire, completed, config, kind, refusal};

#[tokio::test]
async fn a_database_that_does_not_exist_is_an_invalid_configuration() {
    let server = Server::lone().await;
    let mut config = config(&server);
    config.database = 200;
    let (kind, message) = refusal(config).await;
    assert_eq!(kind, ErrorKind::InvalidConfig, "{message}");
}

#[tokio::test]
async fn a_server_named_as_a_sentinel_is_an_invalid_configuration() {
    let server = Server::lone().await;
    let mut config = config(&server);
    config.deployment = idem_redis::RedisConfig::sentinel("shop", []).deployment;
    let (kind, message) = refusal(config).await;
    assert_eq!(kind, ErrorKind::InvalidConfig, "{message}");
}

/// The server closes the connection before it has read the outcome, and would do so every time.
#[tokio::test]
async fn an_outcome_beyond_the_servers_limit_is_an_invalid_configuration_and_keeps_the_lease() {
    let server = Server::lone().await;
    server.run(&["CONFIG", "SET", "proto-max-bulk-len", "1mb"]).await;
    let mut config = config(&server);
    config.max_outcome = 4 << 20;
    let store = RedisStore::open(config).await.unwrap();
    let lease = acquire(&store, "order").await;
    let large = Outcome::Value(vec![7; 2 << 20].into());
    let refused = store.complete(&lease, large, lease.retention()).await;
    assert_eq!(kind(refused), ErrorKind::InvalidConfig);
    assert!(store.get(lease.key()).await.unwrap().unwrap().lease_remaining().is_some());
}

/// The server repeats the first arguments of a command that it does not know.
#[tokio::test]
async fn an_unknown_command_is_an_invalid_configuration_and_its_arguments_are_not_shown() {
    let server = Server::options().config("rename-command SET \"\"").start().await;
    let mut config = config(&server);
    config.prefix = "private:".to_owned();
    let (kind, message) = refusal(config).await;
    assert_eq!(kind, ErrorKind::InvalidConfig, "{message}");
    let server = Server::options().config("rename-command EVAL \"\"").start().await;
    let mut config = crate::support::config(&server);
    config.prefix = "private:".to_owned();
    let (kind, message) = refusal(config).await;
    assert!(kind == ErrorKind::InvalidConfig && message.contains("EVAL"), "{message}");
    assert!(!message.contains("private:"), "{message}");
}

/// Scripts are loaded on connecting where that is allowed, and sent whole where the server does not know them.
#[tokio::test]
async fn a_proxy_that_refuses_to_load_scripts_is_still_used() {
    let server = Server::lone().await;
    let proxy = Proxy::start(&server, |_, request| {
        if has(request, "\r\nLOAD\r\n") { Act::AnswerInstead(b"-not supported here\r\n") } else { Act::Pass }
    })
    .await;
    let store = RedisStore::open(config(&proxy.node())).await.unwrap();
    completed(&store, "order").await;
}
