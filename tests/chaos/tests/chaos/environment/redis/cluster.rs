//! The clusters of the rounds.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use idem_redis::{Acks, RedisConfig, RedisStore};
use idem_servers::redis::{Cluster, ClusterOptions, Node, ServerKind, ServerOptions, Topology};
use tokio::time::{sleep, timeout};

use crate::callers::load::{CALL_TIMEOUT, Opened};

/// Short enough to detect a dead node soon, long enough not to mistake a busy one for it.
pub(crate) const NODE_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a replacement may take: several elections may fail before one succeeds.
const LONGEST_ELECTION: Duration = Duration::from_mins(1);

/// The user as which replicas log in, so that they can be cut off without the callers.
const REPLICAS: &str = "replicas";

/// Which kind of server a round runs on, unless the environment chooses one. The long run passes its seed, so that each
/// cycle uses the next kind. Each single round passes a fixed number, so that a run of all tests covers every kind.
pub(crate) fn turn(number: u64) -> ServerKind {
    ServerKind::by_turns(number)
}

/// Time limits that suit the failovers of these tests: a call may fail before a failover is complete.
fn limits(mut config: RedisConfig, acks: Option<Acks>) -> RedisConfig {
    config.acks = acks;
    config.call_timeout = CALL_TIMEOUT;
    config.connect_timeout = Duration::from_millis(500);
    config.response_timeout = Duration::from_millis(800);
    config.ack_timeout = Duration::from_millis(300);
    config.check_interval = Duration::from_secs(2);
    config
}

pub(crate) fn cluster_config(servers: &[SocketAddr], acks: Option<Acks>) -> RedisConfig {
    let servers = servers.iter().map(|addr| addr.to_string().parse().unwrap());
    limits(RedisConfig::cluster(servers), acks)
}

pub(crate) async fn open(config: RedisConfig) -> Opened {
    let confirms = config.confirm_replays;
    Opened { store: Arc::new(RedisStore::open(config).await.unwrap()), confirms }
}

pub(crate) fn options(kind: ServerKind) -> ClusterOptions {
    println!("on {}", kind.version());
    Cluster::options().kind(kind).node_timeout(NODE_TIMEOUT).each(|_, each| with_replicas_user(each))
}

pub(crate) fn with_replicas_user(options: ServerOptions) -> ServerOptions {
    options
        .config(format!("user {REPLICAS} on >chaos +psync +replconf +ping"))
        .config(format!("masteruser {REPLICAS}"))
        .config("masterauth chaos")
}

/// Cuts the link of `master` to its replicas. The master still answers clients.
pub(crate) async fn cut_replicas_off(master: &Node) {
    master.run(&["ACL", "SETUSER", REPLICAS, "off"]).await;
    master.run(&["CLIENT", "KILL", "USER", REPLICAS]).await;
}

pub(crate) fn addresses(topology: &Topology) -> Vec<SocketAddr> {
    topology.nodes().iter().map(Node::addr).collect()
}

/// Waits until another node serves what `master` served.
///
/// # Panics
/// When no other node does in time.
pub(crate) async fn replaced(topology: &Topology, master: &Node) {
    let all = async {
        while topology.masters().await.contains(master) {
            sleep(Duration::from_millis(50)).await;
        }
    };
    assert!(timeout(LONGEST_ELECTION, all).await.is_ok(), "{master} was not replaced");
}
