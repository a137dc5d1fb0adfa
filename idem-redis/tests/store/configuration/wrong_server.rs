//! Servers on which something is set that no call can do anything about.

use idem_core::{ErrorKind, Outcome, Store};
use idem_redis::RedisStore;
use idem_servers::redis::Server;

use crate::proxy::{Act, Proxy, has};
use crate::support::{acquire, completed, config, kind, refusal};

#[tokio::test]
async fn a_database_that_the_server_does_not_have_is_a_wrong_configuration() {
    let server = Server::lone().await;
    let mut config = config(&server);
    config.database = 200;
    let (kind, said) = refusal(config).await;
    assert_eq!(kind, ErrorKind::InvalidConfig, "{said}");
}

#[tokio::test]
async fn a_server_that_is_named_as_a_sentinel_is_a_wrong_configuration() {
    let server = Server::lone().await;
    let mut config = config(&server);
    config.deployment = idem_redis::RedisConfig::sentinel("shop", []).deployment;
    let (kind, said) = refusal(config).await;
    assert_eq!(kind, ErrorKind::InvalidConfig, "{said}");
}

/// Of the outcome nothing has arrived, and it never will.
#[tokio::test]
async fn an_outcome_larger_than_the_server_takes_is_a_wrong_configuration_and_the_lease_is_still_held() {
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

/// The server names the first arguments of a command that it does not know.
#[tokio::test]
async fn a_command_that_the_server_does_not_know_is_a_wrong_configuration_and_no_argument_of_it_is_shown() {
    let server = Server::options().config("rename-command SET \"\"").start().await;
    let mut config = config(&server);
    config.prefix = "private:".to_owned();
    let (kind, said) = refusal(config).await;
    assert_eq!(kind, ErrorKind::InvalidConfig, "{said}");
    let server = Server::options().config("rename-command EVAL \"\"").start().await;
    let mut config = crate::support::config(&server);
    config.prefix = "private:".to_owned();
    let (kind, said) = refusal(config).await;
    assert!(kind == ErrorKind::InvalidConfig && said.contains("EVAL"), "{said}");
    assert!(!said.contains("private:"), "{said}");
}

/// Scripts are loaded ahead where that may be; they are sent whole where the server does not know them.
#[tokio::test]
async fn a_proxy_that_loads_no_scripts_and_says_so_in_its_own_words_is_used_all_the_same() {
    let server = Server::lone().await;
    let proxy = Proxy::start(&server, |_, request| {
        if has(request, "\r\nLOAD\r\n") { Act::AnswerInstead(b"-not supported here\r\n") } else { Act::Pass }
    })
    .await;
    let store = RedisStore::open(config(&proxy.node())).await.unwrap();
    completed(&store, "order").await;
}
