//! Clients without a certificate, and certificates that are renewed.

use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use idem_core::ErrorKind;
use idem_redis::{Address, RedisConfig, RedisStore};
use idem_servers::redis::{Server, ServerKind};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use crate::support::{config, lock, recovers, refusal};

/// Writes a new certificate authority, and certificates that it signed for a server and for a client, to `folder`.
fn issue(folder: &Path) {
    let mut parameters = CertificateParams::new([]).unwrap();
    // The name differs from those of the signed certificates, which would otherwise look self-signed.
    parameters.distinguished_name.push(DnType::CommonName, "authority");
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    std::fs::write(folder.join("ca.pem"), parameters.self_signed(&key).unwrap().pem()).unwrap();
    let authority = Issuer::new(parameters, key);
    for name in ["server", "client"] {
        let key = KeyPair::generate().unwrap();
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &authority).unwrap();
        std::fs::write(folder.join(format!("{name}.pem")), certificate.pem()).unwrap();
        std::fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    }
}

async fn secured(folder: &Path) -> (Server, RedisConfig) {
    issue(folder);
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let path = |name: &str| folder.join(name).display().to_string();
    let server = Server::options()
        // The other kinds of servers are built without TLS.
        .kind(ServerKind::Redis7)
        .config(format!("tls-port {port}"))
        .config(format!("tls-cert-file {}", path("server.pem")))
        .config(format!("tls-key-file {}", path("server.key")))
        .config(format!("tls-ca-cert-file {}", path("ca.pem")))
        .config("tls-auth-clients yes")
        .start()
        .await;
    let mut config = config(&server);
    config.servers = vec![Address::Tcp { host: "127.0.0.1".to_owned(), port }];
    (config.tls, config.ca_file) = (true, Some(folder.join("ca.pem")));
    config.client_cert_file = Some(folder.join("client.pem"));
    config.client_key_file = Some(folder.join("client.key"));
    (server, config)
}

/// No retry helps before somebody changes the configuration.
#[tokio::test]
async fn a_missing_client_certificate_is_an_invalid_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, config) = secured(folder.path()).await;
    RedisStore::open(config.clone()).await.unwrap();
    let mut without = config;
    (without.client_cert_file, without.client_key_file) = (None, None);
    let (kind, said) = refusal(without).await;
    assert_eq!(kind, ErrorKind::InvalidConfig, "{said}");
}

/// Certificates are renewed every few hours or months, under the same file names.
#[tokio::test]
async fn renewed_certificate_files_are_used_by_the_next_connection() {
    let folder = tempfile::tempdir().unwrap();
    let (server, config) = secured(folder.path()).await;
    let store = RedisStore::open(config.clone()).await.unwrap();
    issue(folder.path());
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (ca, certificate, key) = (path("ca.pem"), path("server.pem"), path("server.key"));
    let renewed =
        ["CONFIG", "SET", "tls-ca-cert-file", &ca, "tls-cert-file", &certificate, "tls-key-file", &key];
    server.run(&renewed).await;
    RedisStore::open(config).await.unwrap();
    server.run(&["CLIENT", "KILL", "TYPE", "normal"]).await;
    let recovers = recovers(|| lock(&store, "order"));
    assert!(tokio::time::timeout(Duration::from_secs(10), recovers).await.is_ok(), "no recovery in 10 s");
}
