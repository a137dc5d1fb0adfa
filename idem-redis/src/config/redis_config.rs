//! The options of a store in Redis.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::acks::Acks;
use crate::config::address::Address;
use crate::config::deployment::Deployment;

/// How to reach Redis, and what is required of it.
///
/// Made by [`standalone`](RedisConfig::standalone), [`cluster`](RedisConfig::cluster) or [`sentinel`](RedisConfig::sentinel),
/// or read from a URI or a table by [`DRIVER`](crate::DRIVER), where an option has the name of its field.
///
/// ```
/// use std::time::Duration;
/// use idem_redis::{Acks, RedisConfig};
///
/// let mut config = RedisConfig::cluster(["10.0.0.1:7000".parse()?, "10.0.0.2:7000".parse()?]);
/// config.password = Some("secret".to_owned());
/// config.acks = Some(Acks::All);
/// config.call_timeout = Duration::from_secs(3);
/// assert!(!format!("{config:?}").contains("secret"));
/// # Ok::<(), idem_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedisConfig {
    /// One server, a cluster, or a master that sentinels name.
    pub deployment: Deployment,
    /// The one server; some servers of the cluster, from which the others are discovered; or the sentinels.
    pub servers: Vec<Address>,
    /// ACL user. `None`: the user `default`.
    pub username: Option<String>,
    /// Password of the user.
    pub password: Option<String>,
    /// ACL user on the sentinels. `None`: the user `default`.
    pub sentinel_username: Option<String>,
    /// Password of the user on the sentinels. Without user and password, the store does not authenticate to sentinels.
    pub sentinel_password: Option<String>,
    /// Number of the database; only 0 in a cluster. Default: 0.
    pub database: u8,
    /// Use TLS. The schemes with `rediss` set this.
    pub tls: bool,
    /// Certificates (PEM) to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// The client's certificate, followed by the intermediate ones (PEM), for servers that ask for one.
    pub client_cert_file: Option<PathBuf>,
    /// The private key of the client's certificate (PEM).
    pub client_key_file: Option<PathBuf>,
    /// What every Redis key begins with, at most 255 bytes of printable ASCII. It must not contain `{`, since a cluster
    /// would then keep all records in one slot. Default: `idem:`.
    pub prefix: String,
    /// How many replicas must hold a write before it is answered. `None`, the default: [`Acks::All`] where
    /// there are replicas and on a cluster, else none.
    pub acks: Option<Acks>,
    /// Write a completed record again and wait for its replicas before its outcome is replayed. Then no replay shows an
    /// outcome that a failover may take back. Costs a script and a `WAIT` for each replay. Default: false.
    pub confirm_replays: bool,
    /// Use a server that evicts keys when its memory is full. An evicted record is forgotten, and its work runs again.
    /// Default: false.
    pub allow_eviction: bool,
    /// Longest duration of one call, which then ends with an error. A call outlasts a failover that is shorter than this.
    /// 1 ms to 1 h. Default: 5 s.
    pub call_timeout: Duration,
    /// How long connecting may take, TLS included, and as long again for each command of logging in. 1 ms to 1 h.
    /// Default: 1 s.
    pub connect_timeout: Duration,
    /// A connection on which an answer takes longer is closed, and the call is sent again on another one.
    /// Must be longer than `ack_timeout`. 1 ms to 1 h. Default: 2 s.
    pub response_timeout: Duration,
    /// How long to wait for the acknowledgement of the replicas. 1 ms to 1 h. Default: 500 ms.
    pub ack_timeout: Duration,
    /// Connections for calls to each server, 1 to 64. Each may have a second connection that waits for replicas, and each
    /// server has one more for notifications. Default: 1, which is the fastest for most.
    pub connections: usize,
    /// Largest outcome or checkpoint in bytes, up to 511 MiB; a larger one is
    /// [`ErrorKind::TooLarge`](idem_core::ErrorKind::TooLarge). Default: 1 MiB.
    pub max_outcome: u64,
    /// How many keys at one time may have a subscription that reports their completion, up to 1,048,576. Callers that
    /// wait for further keys poll. Default: 1,024.
    pub max_waiters: usize,
    /// How often the servers' settings and the cluster's layout are checked again. 1 ms to 1 h. Default: 10 s.
    pub check_interval: Duration,
}

impl RedisConfig {
    /// One server, with or without replicas.
    #[must_use]
    pub fn standalone(server: Address) -> Self {
        Self::new(Deployment::Standalone, vec![server])
    }

    /// A cluster, of which at least one of `servers` can be reached.
    #[must_use]
    pub fn cluster(servers: impl IntoIterator<Item = Address>) -> Self {
        Self::new(Deployment::Cluster, servers.into_iter().collect())
    }

    /// The master that `sentinels` call `master_name`.
    #[must_use]
    pub fn sentinel(master_name: impl Into<String>, sentinels: impl IntoIterator<Item = Address>) -> Self {
        Self::new(Deployment::Sentinel { master_name: master_name.into() }, sentinels.into_iter().collect())
    }

    /// The defaults. Opening the store refuses a number of `servers` that does not fit the deployment.
    pub(crate) fn new(deployment: Deployment, servers: Vec<Address>) -> Self {
        Self {
            deployment,
            servers,
            username: None,
            password: None,
            sentinel_username: None,
            sentinel_password: None,
            database: 0,
            tls: false,
            ca_file: None,
            client_cert_file: None,
            client_key_file: None,
            prefix: "idem:".to_owned(),
            acks: None,
            confirm_replays: false,
            allow_eviction: false,
            call_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(1),
            response_timeout: Duration::from_secs(2),
            ack_timeout: Duration::from_millis(500),
            connections: 1,
            max_outcome: 1 << 20,
            max_waiters: 1_024,
            check_interval: Duration::from_secs(10),
        }
    }
}

/// Without passwords.
impl fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisConfig")
            .field("deployment", &self.deployment)
            .field("servers", &self.servers)
            .field("username", &self.username)
            .field("database", &self.database)
            .field("tls", &self.tls)
            .field("ca_file", &self.ca_file)
            .field("client_cert_file", &self.client_cert_file)
            .field("client_key_file", &self.client_key_file)
            .field("sentinel_username", &self.sentinel_username)
            .field("prefix", &self.prefix)
            .field("acks", &self.acks)
            .field("confirm_replays", &self.confirm_replays)
            .field("allow_eviction", &self.allow_eviction)
            .field("call_timeout", &self.call_timeout)
            .field("connect_timeout", &self.connect_timeout)
            .field("response_timeout", &self.response_timeout)
            .field("ack_timeout", &self.ack_timeout)
            .field("connections", &self.connections)
            .field("max_outcome", &self.max_outcome)
            .field("max_waiters", &self.max_waiters)
            .field("check_interval", &self.check_interval)
            .finish_non_exhaustive()
    }
}
