//! The kinds of servers that tests start, as `scripts/install-redis` installs them.

use std::env;
use std::fmt;
use std::path::{Path, PathBuf};

use super::wire::Reply;
use crate::process::{in_build_directory, in_path};

/// The environment variable that chooses the kind for every test that names none.
const CHOICE: &str = "IDEM_REDIS";
/// What installs them.
pub(super) const INSTALLS: &str = "install-redis";

/// A kind of server that idem is tested with.
///
/// A test that names no kind starts the one that the environment variable `IDEM_REDIS` names, or `redis-7` where it is
/// not set, so that any test, benchmark or chaos run can be repeated on each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerKind {
    /// The `redis-server` in `PATH`: Redis 7.0, as packaged by Debian 12. The only kind that is built with TLS.
    Redis7,
    /// Redis 8.
    Redis8,
    /// Valkey 9.
    Valkey9,
}

impl ServerKind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Redis7, Self::Redis8, Self::Valkey9];

    /// The kind that `IDEM_REDIS` names, or `redis-7`.
    ///
    /// # Panics
    /// When `IDEM_REDIS` is set to an unknown name.
    #[must_use]
    pub fn chosen() -> Self {
        Self::named_by_environment().unwrap_or(Self::Redis7)
    }

    /// The kind that `IDEM_REDIS` names. Without it the kinds take turns: each `number` always gives the same kind,
    /// and the next `number` the next kind.
    ///
    /// # Panics
    /// When `IDEM_REDIS` is set to an unknown name.
    #[must_use]
    pub fn by_turns(number: u64) -> Self {
        let [first, second, third] = Self::ALL;
        let turn = match number % 3 {
            0 => first,
            1 => second,
            _ => third,
        };
        Self::named_by_environment().unwrap_or(turn)
    }

    /// The name by which `IDEM_REDIS` chooses it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Redis7 => "redis-7",
            Self::Redis8 => "redis-8",
            Self::Valkey9 => "valkey-9",
        }
    }

    /// Product and version, as [`Node::version`](super::Node::version) returns them.
    #[must_use]
    pub fn version(self) -> &'static str {
        match self {
            Self::Redis7 => "Redis 7.0.15",
            Self::Redis8 => "Redis 8.2.3",
            Self::Valkey9 => "Valkey 9.1.2",
        }
    }

    /// The path of the program to start.
    pub(super) fn binary(self) -> Result<PathBuf, String> {
        match self {
            Self::Redis7 => in_path(Path::new("redis-server"), INSTALLS),
            Self::Redis8 => in_build_directory("redis-8.2.3/redis-server", INSTALLS),
            Self::Valkey9 => in_build_directory("valkey-9.1.2/valkey-server", INSTALLS),
        }
    }

    /// Checks by its answer to `INFO` that a server is of this kind. For Redis 7, any 7.x of the system will do.
    pub(super) fn check(self, info: &Reply) -> Result<(), String> {
        let found = version(info);
        let is_meant = match self {
            Self::Redis7 => found.starts_with("Redis 7."),
            Self::Redis8 | Self::Valkey9 => found == self.version(),
        };
        let meant = self.version();
        if is_meant { Ok(()) } else { Err(format!("it is {found}, and {meant} was to be started as {self}")) }
    }

    fn named_by_environment() -> Option<Self> {
        let name = env::var_os(CHOICE)?;
        let found = Self::ALL.into_iter().find(|kind| name == kind.name());
        assert!(
            found.is_some(),
            "{CHOICE}={} names no server: {:?}",
            name.display(),
            Self::ALL.map(Self::name)
        );
        found
    }
}

impl fmt::Display for ServerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Product and version, from the answer to `INFO`. Valkey's answer also has the version of Redis that it is compatible
/// with.
pub(super) fn version(info: &Reply) -> String {
    let field = |field| info.field(field).unwrap_or_default();
    match field("valkey_version") {
        none if none.is_empty() => format!("Redis {}", field("redis_version")),
        version => format!("Valkey {version}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_of_another_version_or_product_is_refused() {
        let redis_7 = "redis_version:7.0.15\r\n";
        let redis_8 = "redis_version:8.2.3\r\n";
        let valkey_9 = "redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:9.1.2\r\n";
        let kinds =
            [(ServerKind::Redis7, redis_7), (ServerKind::Redis8, redis_8), (ServerKind::Valkey9, valkey_9)];
        for (kind, own) in kinds {
            for info in [redis_7, redis_8, valkey_9, "redis_version:6.2.0\r\n", "redis_version:8.2.4\r\n", ""]
            {
                let checked = kind.check(&Reply::Bulk(info.into()));
                assert_eq!(checked.is_ok(), info == own, "{kind}: {info:?}: {checked:?}");
            }
        }
    }
}
