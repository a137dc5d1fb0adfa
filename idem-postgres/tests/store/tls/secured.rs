//! A server that lets users in by TLS alone, with an authority made for the test.

use std::path::PathBuf;

use idem_core::ErrorKind;
use idem_postgres::{PostgresConfig, PostgresStore, SslMode};
use idem_servers::certificates::issue;
use idem_servers::postgres::Server;
use tempfile::TempDir;

use crate::support::config_of;

pub(super) struct Secured {
    pub(super) server: Server,
    folder: TempDir,
    /// Trusts the authority, and has a password but no certificate.
    pub(super) config: PostgresConfig,
}

impl Secured {
    /// Its users are `app`, and `certified`, who must have a certificate, both with a password that is never sent; `clear`
    /// is asked to send it.
    pub(super) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        issue(folder.path());
        let server = Server::options()
            .tls(folder.path())
            .config("listen_addresses = '127.0.0.1, 127.0.0.2'")
            .access("hostssl all app 127.0.0.0/8 scram-sha-256")
            .access("hostssl all certified 127.0.0.0/8 scram-sha-256 clientcert=verify-ca")
            .access("hostssl all clear 127.0.0.0/8 password")
            .access("host all app,certified,clear 127.0.0.0/8 reject")
            .start()
            .await;
        for user in ["app", "certified", "clear"] {
            let role = format!(
                "CREATE ROLE {user} LOGIN PASSWORD 'hunter2'; GRANT CREATE ON DATABASE postgres TO {user}"
            );
            server.sql(&role).await;
        }
        let mut config = config_of(server.node());
        "app".clone_into(&mut config.user);
        config.password = Some("hunter2".to_owned());
        config.database = Some("postgres".to_owned());
        config.sslmode = Some(SslMode::VerifyFull);
        config.sslrootcert = Some(folder.path().join("ca.pem"));
        Self { server, folder, config }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// As `certified`, with a certificate.
    pub(super) fn certified(&self) -> PostgresConfig {
        let mut config = self.config.clone();
        "certified".clone_into(&mut config.user);
        config.sslcert = Some(self.path("client.pem"));
        config.sslkey = Some(self.path("client.key"));
        config
    }

    /// Replaces the authority and all certificates, under the same names.
    pub(super) async fn renew(&self) {
        issue(self.folder.path());
        self.server.sql("SELECT pg_reload_conf()").await;
    }
}

/// The message of the error with which the store is not opened, because the configuration must change.
pub(super) async fn refusal(config: PostgresConfig) -> String {
    let sslmode = config.sslmode;
    let Err(error) = PostgresStore::open(config).await else { panic!("{sslmode:?}: it was opened") };
    assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{sslmode:?}: {error}");
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    error.message().to_owned()
}
