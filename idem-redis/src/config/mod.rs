//! What an application may choose, and what is refused.

pub(crate) mod address;
pub(crate) mod driver;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use idem_core::error::Operation;
use idem_core::{Error, ErrorKind, Result};

use crate::Address;

/// How to reach Redis, and what is asked of it.
///
/// Made by [`standalone`](RedisConfig::standalone), [`cluster`](RedisConfig::cluster) or [`sentinel`](RedisConfig::sentinel),
/// or read from a URI or a table by [`DRIVER`](crate::DRIVER), with a field's name as the option's.
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
    /// The server; some servers of the cluster, from which the others are learnt; or the sentinels.
    pub servers: Vec<Address>,
    /// User of the ACL; without one it is `default`.
    pub username: Option<String>,
    /// Its password.
    pub password: Option<String>,
    /// User of the sentinels' ACL; without one it is `default`.
    pub sentinel_username: Option<String>,
    /// Its password. Without one sentinels are asked without.
    pub sentinel_password: Option<String>,
    /// Number of the database; only 0 in a cluster. Default: 0.
    pub database: u8,
    /// Speak TLS. The schemes with `rediss` say so.
    pub tls: bool,
    /// Certificates (PEM) to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Our own certificate and those between it and its authority (PEM), for servers that ask for one.
    pub client_cert_file: Option<PathBuf>,
    /// Its private key (PEM).
    pub client_key_file: Option<PathBuf>,
    /// What every Redis key begins with. Without `{`: a cluster would keep all records in one slot.
    /// Default: `idem:`.
    pub prefix: String,
    /// How many replicas must hold a write before it is answered. `None`, the default: [`Acks::All`] where
    /// there are replicas and on a cluster, else none.
    pub acks: Option<Acks>,
    /// Write a completed record again and wait for its replicas before its outcome is replayed: then no replay
    /// shows what a failover may take back. Costs a script and a `WAIT` for each replay. Default: false.
    pub confirm_replays: bool,
    /// Use a server that evicts keys when its memory is full. A record that was evicted is forgotten, and its
    /// work runs again. Default: false.
    pub allow_eviction: bool,
    /// A call ends after this long, with an error if need be. Longer than a failover takes, it outlasts one.
    /// Default: 5 s.
    pub call_timeout: Duration,
    /// How long connecting may take, TLS included, and as long again for logging in. Default: 1 s.
    pub connect_timeout: Duration,
    /// A connection whose answer takes longer is given up, and the call is sent again on another one.
    /// Longer than `ack_timeout`. Default: 2 s.
    pub response_timeout: Duration,
    /// How long to wait for the acknowledgement of the replicas. Default: 500 ms.
    pub ack_timeout: Duration,
    /// Connections for calls to each server; each may have another beside it that waits for replicas, and each server one for
    /// notifications. Default: 1, which is the fastest for most.
    pub connections: usize,
    /// Bytes of one outcome or checkpoint; a larger one is [`ErrorKind::TooLarge`]. Default: 1 MiB.
    pub max_outcome: u64,
    /// Keys whose completion is told by notification at one time; those who wait for further ones look every
    /// now and then. Default: 1,024.
    pub max_waiters: usize,
    /// How often the servers' settings and the cluster's layout are looked at again. Default: 10 s.
    pub check_interval: Duration,
}

/// What the servers are to one another.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Deployment {
    /// One server, with or without replicas.
    Standalone,
    /// Redis Cluster.
    Cluster,
    /// A master that sentinels watch and name.
    Sentinel {
        /// What the sentinels call the master.
        service: String,
    },
}

/// How many replicas must hold a write before it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Acks {
    /// All that a master has or had: those that had caught up with it when the store was opened, and those that
    /// appeared since, as of the last [`check_interval`](RedisConfig::check_interval); in a cluster those of its shard.
    /// Never lowered because one is gone: with a replica down, writes time out. A store is not opened where there is none
    /// to wait for.
    All,
    /// [`All`](Acks::All), and both the master and those replicas have it on their disks, or the master alone where that is
    /// one server that never had any: also a machine that loses its power forgets nothing that was acknowledged. Every
    /// server needs `appendonly yes`, and Redis 7.2 or later, or Valkey (`WAITAOF`). With `appendfsync always` it takes as long as a disk;
    /// with `everysec` up to a second and more, which [`ack_timeout`](RedisConfig::ack_timeout) must allow for.
    Disk,
    /// This many. With 0 a failover forgets what it had not replicated: two holders, lost outcomes.
    Count(u8),
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

    /// The master that `sentinels` call `service`.
    #[must_use]
    pub fn sentinel(service: impl Into<String>, sentinels: impl IntoIterator<Item = Address>) -> Self {
        Self::new(Deployment::Sentinel { service: service.into() }, sentinels.into_iter().collect())
    }

    fn new(deployment: Deployment, servers: Vec<Address>) -> Self {
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

    /// Refuses what cannot work, and values that are a mistaken unit.
    pub(crate) fn check(&self) -> Result<()> {
        const HOUR: Duration = Duration::from_hours(1);
        const MILLI: Duration = Duration::from_millis(1);
        for (option, value) in [
            ("call_timeout", self.call_timeout),
            ("connect_timeout", self.connect_timeout),
            ("response_timeout", self.response_timeout),
            ("ack_timeout", self.ack_timeout),
            ("check_interval", self.check_interval),
        ] {
            refuse_unless((MILLI..=HOUR).contains(&value), || {
                format!("{option} = {value:?} is outside 1 ms to 1 h")
            })?;
        }
        refuse_unless(self.ack_timeout < self.response_timeout, || {
            format!(
                "response_timeout = {:?} must be longer than ack_timeout = {:?}",
                self.response_timeout, self.ack_timeout
            )
        })?;
        // What Redis takes as one value.
        within("max_outcome", self.max_outcome, 511 << 20)?;
        within("connections", self.connections as u64, 64)?;
        refuse_unless(self.max_waiters <= 1 << 20, || {
            format!("max_waiters = {} is beyond 1048576", self.max_waiters)
        })?;
        refuse_unless(
            self.prefix.len() <= 255 && self.prefix.bytes().all(|byte| (0x21..0x7F).contains(&byte)),
            || {
                "prefix has more than 255 bytes, or other than printable ones of ASCII without spaces"
                    .to_owned()
            },
        )?;
        refuse_unless(!self.prefix.contains('{'), || {
            "prefix has a `{`, by which a cluster would keep all records in one slot".to_owned()
        })?;
        for (option, file) in [
            ("ca_file", &self.ca_file),
            ("client_cert_file", &self.client_cert_file),
            ("client_key_file", &self.client_key_file),
        ] {
            refuse_unless(file.is_none() || self.tls, || {
                format!("{option} says nothing without TLS: use a scheme with `rediss`")
            })?;
        }
        refuse_unless(self.client_cert_file.is_some() == self.client_key_file.is_some(), || {
            "client_cert_file and client_key_file belong together".to_owned()
        })?;
        let of_sentinels = self.sentinel_username.is_some() || self.sentinel_password.is_some();
        refuse_unless(!of_sentinels || matches!(self.deployment, Deployment::Sentinel { .. }), || {
            "sentinel_username and sentinel_password are for the scheme redis-sentinel".to_owned()
        })?;
        refuse_unless(cfg!(feature = "tls") || !self.tls, || {
            "TLS needs the cargo feature `tls` of idem-redis".to_owned()
        })?;
        self.check_servers()
    }

    fn check_servers(&self) -> Result<()> {
        refuse_unless(!self.servers.is_empty(), || {
            "no server is named: servers = \"127.0.0.1:6379\"".to_owned()
        })?;
        match &self.deployment {
            Deployment::Standalone => refuse_unless(self.servers.len() == 1, || {
                format!(
                    "{} servers are named where there is one; a cluster has the scheme redis-cluster, sentinels redis-sentinel",
                    self.servers.len()
                )
            }),
            Deployment::Cluster => {
                refuse_unless(self.database == 0, || "a cluster has no database but 0".to_owned())
            }
            Deployment::Sentinel { service } => refuse_unless(!service.is_empty(), || {
                "sentinels need the master's name: service = \"mymaster\"".to_owned()
            }),
        }
    }
}

fn within(option: &str, value: u64, most: u64) -> Result<()> {
    refuse_unless((1..=most).contains(&value), || format!("{option} = {value} is outside 1 to {most}"))
}

fn refuse_unless(sound: bool, message: impl FnOnce() -> String) -> Result<()> {
    if sound { Ok(()) } else { Err(invalid(message())) }
}

pub(crate) fn invalid(message: impl fmt::Display) -> Error {
    Error::new(ErrorKind::InvalidConfig, Operation::Configure, format!("redis: {message}"))
}

/// Without the password.
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
