//! TLS, with a certificate authority made for the test.

use std::net::TcpListener;
use std::path::{Path, PathBuf};

use idem_core::ErrorKind;
use idem_redis::{Address, RedisConfig, RedisStore};
use idem_servers::redis::{Server, ServerKind};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use crate::support::{completed, config, refusal};

/// A server that uses TLS, with a certificate for `127.0.0.1` and `localhost`.
struct Secured {
    _server: Server,
    folder: TempDir,
    config: RedisConfig,
}

impl Secured {
    async fn start() -> Self {
        Self::asking_clients("no").await
    }

    /// `clients`: whether the server requires clients to have certificates of its authority.
    async fn asking_clients(clients: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let authority = authority(&path("ca.pem"));
        let key = KeyPair::generate().unwrap();
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &authority).unwrap();
        std::fs::write(path("server.pem"), certificate.pem()).unwrap();
        std::fs::write(path("server.key"), key.serialize_pem()).unwrap();
        let key = KeyPair::generate().unwrap();
        let mut client = CertificateParams::new([]).unwrap();
        client.distinguished_name.push(DnType::CommonName, "a client");
        std::fs::write(path("client.pem"), client.signed_by(&key, &authority).unwrap().pem()).unwrap();
        std::fs::write(path("client.key"), key.serialize_pem()).unwrap();

        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        // The only kind of server that is built with TLS.
        let server = Server::options()
            .kind(ServerKind::Redis7)
            .config("bind 127.0.0.1 127.0.0.2")
            .config(format!("tls-port {port}"))
            .config(format!("tls-cert-file {}", path("server.pem").display()))
            .config(format!("tls-key-file {}", path("server.key").display()))
            .config(format!("tls-ca-cert-file {}", path("ca.pem").display()))
            .config(format!("tls-auth-clients {clients}"))
            .start()
            .await;
        let mut config = config(&server);
        config.servers = vec![Address::Tcp { host: "127.0.0.1".to_owned(), port }];
        config.tls = true;
        config.ca_file = Some(path("ca.pem"));
        Self { _server: server, folder, config }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// Makes a certificate authority, and writes its certificate to `path`.
fn authority(path: &Path) -> Issuer<'static, KeyPair> {
    let mut parameters = CertificateParams::new([]).unwrap();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    std::fs::write(path, parameters.self_signed(&key).unwrap().pem()).unwrap();
    Issuer::new(parameters, key)
}

#[tokio::test]
async fn a_server_with_a_trusted_certificate_is_used() {
    let secured = Secured::start().await;
    let store = RedisStore::open(secured.config.clone()).await.unwrap();
    completed(&store, "order").await;
}

#[tokio::test]
async fn a_server_with_an_untrusted_certificate_is_refused() {
    let secured = Secured::start().await;
    let mut other = secured.config.clone();
    let _ = authority(&secured.path("other.pem"));
    other.ca_file = Some(secured.path("other.pem"));
    let (kind, text) = refusal(other).await;
    assert_eq!(kind, ErrorKind::InvalidConfig, "{text}");
    assert!(text.to_lowercase().contains("certificate"), "{text}");
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let secured = Secured::start().await;
    let mut by_another_name = secured.config.clone();
    // The same server, by an address that its certificate does not have.
    let Address::Tcp { port, .. } = secured.config.servers[0] else { panic!("not by TCP") };
    by_another_name.servers = vec![Address::Tcp { host: "127.0.0.2".to_owned(), port }];
    let (kind, text) = refusal(by_another_name).await;
    assert_eq!(kind, ErrorKind::InvalidConfig, "{text}");
    assert!(text.to_lowercase().contains("certificate"), "{text}");
}

#[tokio::test]
async fn without_a_ca_file_the_certificates_of_the_system_are_trusted() {
    let secured = Secured::start().await;
    let mut by_default = secured.config.clone();
    by_default.ca_file = None;
    let (_, text) = refusal(by_default).await;
    assert!(text.to_lowercase().contains("certificate"), "{text}");
}

#[tokio::test]
async fn a_file_without_certificates_is_refused_by_its_name() {
    let secured = Secured::start().await;
    let mut garbage = secured.config.clone();
    std::fs::write(secured.path("garbage.pem"), "no certificate").unwrap();
    for name in ["garbage.pem", "missing.pem"] {
        garbage.ca_file = Some(secured.path(name));
        let (kind, text) = refusal(garbage.clone()).await;
        assert_eq!(kind, ErrorKind::InvalidConfig);
        assert!(text.contains("ca_file") && text.contains(name), "{text}");
    }
}

#[tokio::test]
async fn a_plain_connection_to_a_tls_port_is_unavailable_in_time() {
    let secured = Secured::start().await;
    let mut plain = secured.config.clone();
    plain.tls = false;
    plain.ca_file = None;
    let (kind, _) = refusal(plain).await;
    assert_eq!(kind, ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_server_that_requires_a_client_certificate_gets_it() {
    let secured = Secured::asking_clients("yes").await;
    let (kind, text) = refusal(secured.config.clone()).await;
    assert_eq!(kind, ErrorKind::InvalidConfig, "{text}");
    assert!(text.contains("TLS"), "{text}");

    let mut known = secured.config.clone();
    known.client_cert_file = Some(secured.path("client.pem"));
    known.client_key_file = Some(secured.path("client.key"));
    let store = RedisStore::open(known.clone()).await.unwrap();
    completed(&store, "order").await;

    for (cert, key, named) in [
        ("ca.pem", "missing.key", "client_key_file"),
        ("client.key", "client.key", "client_cert_file"),
        ("client.pem", "server.key", "client_key_file"),
    ] {
        known.client_cert_file = Some(secured.path(cert));
        known.client_key_file = Some(secured.path(key));
        let (kind, text) = refusal(known.clone()).await;
        assert_eq!(kind, ErrorKind::InvalidConfig, "{text}");
        assert!(text.contains(named), "{text}");
    }
}
