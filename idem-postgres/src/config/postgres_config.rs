//! What an application may choose.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::address::Address;
use super::ssl_mode::SslMode;

/// How to reach PostgreSQL, and what is asked of it.
///
/// Made by [`new`](PostgresConfig::new), or read from a URI or a table by [`DRIVER`](crate::DRIVER), with a field's name
/// as the option's.
///
/// ```
/// use idem_postgres::PostgresConfig;
///
/// let mut config = PostgresConfig::new(["db.internal".parse()?], "app");
/// config.password = Some("secret".to_owned());
/// assert!(!format!("{config:?}").contains("secret"));
/// # Ok::<(), idem_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PostgresConfig {
    /// The servers to try, in this order: the first that takes writes is used. Once the store has seen one that was promoted in
    /// place of another, it passes over the other for as long as it is open.
    pub servers: Vec<Address>,
    /// Who logs in.
    pub user: String,
    /// The password; without one the server must not ask for it.
    pub password: Option<String>,
    /// The database; without one it is named like the user.
    pub database: Option<String>,
    /// Whether connections go by TLS, and how the server must prove who it is. `None`, the default: no TLS on this machine
    /// (`localhost`, 127.0.0.0/8, `::1`, a Unix socket), [`VerifyFull`](SslMode::VerifyFull) everywhere else. TLS needs the
    /// cargo feature `tls`, which is on by default.
    pub sslmode: Option<SslMode>,
    /// The authorities (PEM) that sign the servers' certificates. `None`, the default: those of the system, for
    /// [`VerifyFull`](SslMode::VerifyFull) alone.
    pub sslrootcert: Option<PathBuf>,
    /// The certificate of this client, followed by the intermediate ones (PEM), for servers that ask for one.
    pub sslcert: Option<PathBuf>,
    /// The private key of the client's certificate (PEM, without a password).
    pub sslkey: Option<PathBuf>,
    /// The schema that holds the store's table and functions, and nothing else: 1 to 63 of `a-z`, `0-9` and
    /// `_`, the first no digit. Default: `idem`.
    pub schema: String,
    /// Create the schema or bring it up to date when the store is opened. Default: true.
    pub migrate: bool,
    /// How many synchronous standbys must have a commit before it is answered. 0, the default: what the server says,
    /// which may be none.
    ///
    /// With 1 or more, the server's `synchronous_standby_names` must demand as many, and `synchronous_commit` must be `on`,
    /// `remote_write` or `remote_apply` for the store's role; otherwise opening is
    /// [`InvalidConfig`](idem_core::ErrorKind::InvalidConfig). It is looked at again behind every commit: when it is no
    /// longer so, as when a manager such as Patroni has emptied the names because a standby was lost, calls end in
    /// [`Timeout`](idem_core::ErrorKind::Timeout) until it is so again. Reads go on.
    pub acks: u8,
    /// A call ends after this long, with an error if need be. Longer than a failover takes, it outlasts one.
    /// 1 ms to 1 h, as all times here. Default: 5 s.
    pub call_timeout: Duration,
    /// How long connecting to one address of a server may take, and as long again TLS and logging in. Default: 1 s.
    pub connect_timeout: Duration,
    /// A connection whose answer takes longer is given up, and the calls are sent again on another one. Default: 2 s.
    pub response_timeout: Duration,
    /// Bytes of one outcome or checkpoint; a larger one is [`ErrorKind::TooLarge`](idem_core::ErrorKind::TooLarge).
    /// 256 MiB at most. Default: 1 MiB.
    pub max_outcome: u64,
    /// Remove expired records in the background. Default: true.
    pub sweep: bool,
    /// How often to look for expired records. Default: 1 s.
    pub sweep_interval: Duration,
}

impl PostgresConfig {
    /// One of `servers` is the primary, where `user` logs in.
    #[must_use]
    pub fn new(servers: impl IntoIterator<Item = Address>, user: impl Into<String>) -> Self {
        Self { servers: servers.into_iter().collect(), user: user.into(), ..Self::of_nobody() }
    }

    /// For [`PostgresStore::with_pool`](crate::PostgresStore::with_pool): it names no server and nobody who logs in. The
    /// pool says how to connect, so all that is about this must remain unset, and [`acks`](Self::acks) 0.
    #[cfg(any(feature = "deadpool-postgres", feature = "sqlx"))]
    #[must_use]
    pub fn for_pool() -> Self {
        Self::of_nobody()
    }

    fn of_nobody() -> Self {
        Self {
            servers: Vec::new(),
            user: String::new(),
            password: None,
            database: None,
            sslmode: None,
            sslrootcert: None,
            sslcert: None,
            sslkey: None,
            schema: "idem".to_owned(),
            migrate: true,
            acks: 0,
            call_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(1),
            response_timeout: Duration::from_secs(2),
            max_outcome: 1 << 20,
            sweep: true,
            sweep_interval: Duration::from_secs(1),
        }
    }
}

/// Without the password.
impl fmt::Debug for PostgresConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresConfig")
            .field("servers", &self.servers)
            .field("user", &self.user)
            .field("database", &self.database)
            .field("sslmode", &self.sslmode)
            .field("sslrootcert", &self.sslrootcert)
            .field("sslcert", &self.sslcert)
            .field("sslkey", &self.sslkey)
            .field("schema", &self.schema)
            .field("migrate", &self.migrate)
            .field("acks", &self.acks)
            .field("call_timeout", &self.call_timeout)
            .field("connect_timeout", &self.connect_timeout)
            .field("response_timeout", &self.response_timeout)
            .field("max_outcome", &self.max_outcome)
            .field("sweep", &self.sweep)
            .field("sweep_interval", &self.sweep_interval)
            .finish_non_exhaustive()
    }
}
