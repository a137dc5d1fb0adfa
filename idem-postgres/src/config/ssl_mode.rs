//! Which connections go by TLS, and how the server must prove who it is.

use serde::Deserialize;

use super::address::Address;
use super::postgres_config::PostgresConfig;

/// Whether connections go by TLS, and how the server must prove who it is, in the words of PostgreSQL's own clients.
///
/// By a Unix socket there is never TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SslMode {
    /// No TLS. Whoever is on the way reads everything, and the password where the server asks for it in the clear.
    Disable,
    /// TLS where the server offers it, and nothing is verified. It protects from nobody who can change what is sent.
    Prefer,
    /// TLS, and the server must prove that it knows the password: by SCRAM, bound to its certificate ("channel
    /// binding"). It is stricter than `libpq`, which verifies nothing here. With
    /// [`sslrootcert`](PostgresConfig::sslrootcert) the same as [`VerifyCa`](SslMode::VerifyCa), as in `libpq`.
    Require,
    /// TLS, and an authority in [`sslrootcert`](PostgresConfig::sslrootcert) must have signed the server's certificate,
    /// whatever name it has.
    VerifyCa,
    /// TLS, and the server's certificate must be valid for the name or the address by which the server is reached: a
    /// `subjectAltName`, signed by an authority of [`sslrootcert`](PostgresConfig::sslrootcert) or of the system.
    VerifyFull,
}

impl PostgresConfig {
    /// How this server is reached.
    pub(crate) fn sslmode_of(&self, server: &Address) -> SslMode {
        match self.sslmode {
            _ if server.is_socket() => SslMode::Disable,
            None if server.is_on_this_machine() => SslMode::Disable,
            None => SslMode::VerifyFull,
            Some(SslMode::Require) if self.sslrootcert.is_some() => SslMode::VerifyCa,
            Some(mode) => mode,
        }
    }

    /// How those servers are reached that are reached by TLS; `None` when none is.
    pub(crate) fn sslmode_of_tls(&self) -> Option<SslMode> {
        // They are reached alike: without `sslmode` either by none or by the one.
        self.servers.iter().map(|server| self.sslmode_of(server)).find(|mode| *mode != SslMode::Disable)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn config(servers: &[&str]) -> PostgresConfig {
        PostgresConfig::new(servers.iter().map(|server| server.parse().unwrap()), "app")
    }

    #[test]
    fn what_leaves_this_machine_is_verified_unless_something_else_is_chosen() {
        for (server, sslmode) in [
            ("db.internal", SslMode::VerifyFull),
            ("10.0.0.1", SslMode::VerifyFull),
            ("localhost", SslMode::Disable),
            ("127.0.0.1", SslMode::Disable),
            ("[::1]", SslMode::Disable),
            ("/run/postgresql", SslMode::Disable),
        ] {
            let config = config(&[server]);
            assert_eq!(config.sslmode_of(&config.servers[0]), sslmode, "{server}");
        }
        let several = config(&["localhost", "/run/postgresql", "db.internal"]);
        assert_eq!(several.sslmode_of_tls(), Some(SslMode::VerifyFull));
        assert_eq!(config(&["localhost", "/run/postgresql"]).sslmode_of_tls(), None);
    }

    #[test]
    fn what_is_chosen_holds_for_all_but_sockets() {
        let mut config = config(&["/run/postgresql", "localhost", "db.internal"]);
        for sslmode in
            [SslMode::Disable, SslMode::Prefer, SslMode::Require, SslMode::VerifyCa, SslMode::VerifyFull]
        {
            config.sslmode = Some(sslmode);
            let of: Vec<_> = config.servers.iter().map(|server| config.sslmode_of(server)).collect();
            assert_eq!(of, [SslMode::Disable, sslmode, sslmode]);
        }
        config.sslmode = Some(SslMode::Require);
        config.sslrootcert = Some("ca.pem".into());
        assert_eq!(config.sslmode_of_tls(), Some(SslMode::VerifyCa));
    }
}
