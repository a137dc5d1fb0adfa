//! The versions of the server that are started, as `scripts/install-postgres` installs them.

use std::env;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::process::{in_build_directory, in_path};

/// The environment variable that chooses for every test that names no kind.
const CHOICE: &str = "IDEM_POSTGRES";
/// What installs them.
pub(super) const INSTALLS: &str = "install-postgres";
/// Where Debian has the programs of its version, beside those in `PATH`.
const DEBIAN: &str = "/usr/lib/postgresql/15/bin";

/// A version of the server that idem is tested with.
///
/// A test that names none starts the one that the environment variable `IDEM_POSTGRES` names, or `postgres-15` where it
/// is not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerKind {
    /// PostgreSQL 15, as Debian 12 has it.
    Postgres15,
    /// PostgreSQL 18.
    Postgres18,
}

impl ServerKind {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Postgres15, Self::Postgres18];

    /// The one that `IDEM_POSTGRES` names, else `postgres-15`.
    ///
    /// # Panics
    /// When it names none.
    #[must_use]
    pub fn chosen() -> Self {
        let Some(name) = env::var_os(CHOICE) else { return Self::Postgres15 };
        let found = Self::ALL.into_iter().find(|kind| name == kind.name());
        found.unwrap_or_else(|| {
            panic!("{CHOICE}={} names no server: {:?}", name.display(), Self::ALL.map(Self::name))
        })
    }

    /// As `IDEM_POSTGRES` names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Postgres15 => "postgres-15",
            Self::Postgres18 => "postgres-18",
        }
    }

    /// The major version.
    #[must_use]
    pub fn major(self) -> u32 {
        match self {
            Self::Postgres15 => 15,
            Self::Postgres18 => 18,
        }
    }

    /// One of its programs: `initdb`, `postgres`.
    pub(super) fn program(self, name: &str) -> Result<PathBuf, String> {
        match self {
            Self::Postgres15 => {
                let debian = Path::new(DEBIAN).join(name);
                if debian.is_file() { Ok(debian) } else { in_path(Path::new(name), INSTALLS) }
            }
            Self::Postgres18 => in_build_directory(&format!("postgres-18.4.0/bin/{name}"), INSTALLS),
        }
    }
}

impl fmt::Display for ServerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
