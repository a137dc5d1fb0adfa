//! A server that uses TLS, with a certificate authority made for the test.

use std::net::TcpListener;
use std::path::PathBuf;

use idem_redis::{Address, RedisConfig};
use idem_servers::certificates::issue;
use idem_servers::redis::{Server, ServerKind};
use tempfile::TempDir;

use crate::support::config;

pub(super) struct Secured {
    pub(super) server: Server,
    folder: TempDir,
    /// A configuration that trusts the authority and has no client certificate.
    pub(super) config: RedisConfig,
}

impl Secured {
    pub(super) async fn start() -> Self {
        Self::start_with("no").await
    }

    /// A server that requires clients to have certificates of its authority.
    pub(super) async fn requiring_client_certificates() -> Self {
        Self::start_with("yes").await
    }

    async fn start_with(auth_clients: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        issue(folder.path());
        let path = |name: &str| folder.path().join(name);
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        // The only kind of server that is built with TLS.
        let server = Server::options()
            .kind(ServerKind::Redis7)
            .config("bind 127.0.0.1 127.0.0.2")
            .config(format!("tls-port {port}"))
            .config(format!("tls-cert-file {}", path("server.pem").display()))
            .config(format!("tls-key-file {}", path("server.key").display()))
            .config(format!("tls-ca-cert-file {}", path("ca.pem").display()))
            .config(format!("tls-auth-clients {auth_clients}"))
            .start()
            .await;
        let mut config = config(&server);
        config.servers = vec![Address::Tcp { host: "127.0.0.1".to_owned(), port }];
        config.tls = true;
        config.ca_file = Some(path("ca.pem"));
        Self { server, folder, config }
    }

    /// A configuration that also has a client certificate of the authority.
    pub(super) fn config_with_client_certificate(&self) -> RedisConfig {
        let mut config = self.config.clone();
        config.client_cert_file = Some(self.path("client.pem"));
        config.client_key_file = Some(self.path("client.key"));
        config
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Replaces the authority and all certificates, under the same file names.
    pub(super) fn renew(&self) {
        issue(self.folder.path());
    }
}
