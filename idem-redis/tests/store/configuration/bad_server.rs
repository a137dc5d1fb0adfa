//! Servers that cannot or must not be used.

use std::time::Duration;

use idem_core::ErrorKind;
use idem_redis::{RedisConfig, RedisStore};
use idem_servers::redis::{Cluster, Server};
use tokio::net::TcpListener;

use crate::support::{acquire, address, config, kind, lock, recovers, refusal};

#[tokio::test]
async fn a_host_where_nobody_listens_is_unavailable() {
    let server = Server::lone().await;
    let config = config(&server);
    drop(server);
    let (kind, message) = refusal(config).await;
    assert_eq!(kind, ErrorKind::Unavailable, "{message}");
}

#[tokio::test]
async fn a_host_that_accepts_and_never_answers_is_unavailable_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = RedisConfig::standalone(listener.local_addr().unwrap().to_string().parse().unwrap());
    config.connect_timeout = Duration::from_millis(200);
    let (kind, message) = tokio::time::timeout(Duration::from_secs(20), refusal(config)).await.unwrap();
    assert_eq!(kind, ErrorKind::Unavailable, "{message}");
}

#[tokio::test]
async fn a_wrong_password_or_user_is_refused_and_not_repeated() {
    let server = Server::options().password("right-one").start().await;
    for (username, password) in [(None, None), (None, Some("wrong-one")), (Some("nobody"), Some("right-one"))]
    {
        let mut config = config(&server);
        config.username = username.map(str::to_owned);
        config.password = password.map(str::to_owned);
        let (kind, message) = refusal(config).await;
        assert_eq!(kind, ErrorKind::InvalidConfig, "{message}");
        assert!(!message.contains("right-one") && !message.contains("wrong-one"), "{message}");
    }
    let mut config = config(&server);
    config.password = Some("right-one".to_owned());
    let store = RedisStore::open(config).await.unwrap();
    assert!(!format!("{store:?}").contains("right-one"));
    acquire(&store, "order").await;
}

#[tokio::test]
async fn a_server_that_evicts_is_refused_unless_allowed() {
    let server = Server::options().config("maxmemory-policy allkeys-lru").start().await;
    let (kind, message) = refusal(config(&server)).await;
    assert_eq!(kind, ErrorKind::InvalidConfig, "{message}");
    assert!(message.contains("allkeys-lru") && message.contains("allow_eviction"), "{message}");
    let mut config = config(&server);
    config.allow_eviction = true;
    acquire(&RedisStore::open(config).await.unwrap(), "order").await;
}

#[tokio::test]
async fn a_server_that_begins_to_evict_is_refused_until_it_stops() {
    let server = Server::lone().await;
    let store = RedisStore::open(config(&server)).await.unwrap();
    server.run(&["CONFIG", "SET", "maxmemory-policy", "volatile-lru"]).await;
    let refused = async {
        loop {
            match lock(&store, "order").await {
                Err(error) if error.kind() == ErrorKind::InvalidConfig => break,
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), refused).await.unwrap();
    server.run(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]).await;
    recovers(|| lock(&store, "another order")).await;
}

#[tokio::test]
async fn a_replica_is_refused_and_a_demoted_master_is_unavailable_until_promoted() {
    let (master, other) = (Server::lone().await, Server::lone().await);
    let store = RedisStore::open(config(&master)).await.unwrap();
    acquire(&store, "before").await;
    let port = other.addr().port().to_string();
    master.run(&["REPLICAOF", "127.0.0.1", &port]).await;
    let (refused, message) = refusal(config(&master)).await;
    assert_eq!(refused, ErrorKind::InvalidConfig, "{message}");
    assert!(message.contains("is a replica"), "{message}");
    let lost = lock(&store, "during").await;
    assert!([ErrorKind::Unavailable, ErrorKind::Timeout].contains(&kind(lost)));
    master.run(&["REPLICAOF", "NO", "ONE"]).await;
    recovers(|| lock(&store, "after")).await;
}

#[tokio::test]
async fn a_scheme_that_does_not_fit_the_server_is_refused_naming_the_one_that_does() {
    let lone = Server::lone().await;
    let (kind, message) = refusal(RedisConfig::cluster([address(&lone)])).await;
    assert_eq!(kind, ErrorKind::InvalidConfig, "{message}");
    assert!(message.contains("use the scheme redis"), "{message}");

    let cluster = Cluster::start().await;
    let (kind, message) = refusal(config(&cluster.servers()[0])).await;
    assert_eq!(kind, ErrorKind::InvalidConfig, "{message}");
    assert!(message.contains("redis-cluster"), "{message}");
}

#[tokio::test]
async fn a_cluster_with_unassigned_slots_is_refused_with_their_number() {
    let node = Server::options().config("cluster-enabled yes").start().await;
    node.run(&["CLUSTER", "ADDSLOTSRANGE", "0", "16380"]).await;
    let (kind, message) = refusal(RedisConfig::cluster([address(&node)])).await;
    assert_eq!(kind, ErrorKind::Unavailable, "{message}");
    assert!(message.contains("3 of the cluster's 16384 slots"), "{message}");
}

#[tokio::test]
async fn a_cluster_without_replicas_is_refused_unless_that_is_wanted() {
    let cluster = Cluster::options().replicas(0).start().await;
    let seeds: Vec<_> = cluster.servers().iter().map(|server| address(server)).collect();
    let (kind, message) = refusal(RedisConfig::cluster(seeds.clone())).await;
    assert_eq!(kind, ErrorKind::InvalidConfig, "{message}");
    let mut config = RedisConfig::cluster(seeds);
    config.acks = Some(idem_redis::Acks::Count(0));
    acquire(&RedisStore::open(config).await.unwrap(), "order").await;
}

#[tokio::test]
async fn scripts_forbidden_by_the_acl_are_refused_when_opening() {
    let server =
        Server::options().config("user idem on >pw ~* &* +@all -eval -evalsha -script").start().await;
    let mut config = config(&server);
    config.username = Some("idem".to_owned());
    config.password = Some("pw".to_owned());
    let (kind, message) = refusal(config).await;
    assert_eq!(kind, ErrorKind::InvalidConfig, "{message}");
    assert!(message.contains("eval"), "{message}");
}

#[tokio::test]
async fn a_user_who_lacks_a_command_of_the_scripts_is_refused_when_opening() {
    let server = Server::lone().await;
    for missing in
        ["eval", "evalsha", "exists", "pttl", "pexpire", "get", "getrange", "set", "setrange", "time"]
    {
        let forbidden = format!("-{missing}");
        let user = ["ACL", "SETUSER", "idem", "reset", "on", ">pw", "~*", "&*", "+@all", &forbidden];
        server.run(&user).await;
        let mut config = config(&server);
        (config.username, config.password) = (Some("idem".to_owned()), Some("pw".to_owned()));
        let (kind, message) = refusal(config).await;
        assert_eq!(kind, ErrorKind::InvalidConfig, "{missing}: {message}");
    }
}
