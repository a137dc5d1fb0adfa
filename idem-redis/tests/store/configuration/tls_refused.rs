//! What a server says to one who comes without a certificate, and certificates that change.

use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use idem_core::ErrorKind;
use idem_redis::{Address, RedisConfig, RedisStore};
use idem_servers::redis::{Server, ServerKind};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use crate::support::{config, lock, recovers, refusal};

/// A new authority and what it has signed for a server and for a client, in `folder`.
fn issue(folder: &Path) {
    let mut parameters = CertificateParams::new([]).unwrap();
    // Another name than what it signs, or that would look as if it had signed itself.
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
        // Those of the other kinds have no TLS.
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

/// It will not be let in before somebody changes the configuration.
#[tokio::test]
async fn who_has_no_certificate_where_one_is_asked_for_has_a_wrong_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, config) = secured(folder.path()).await;
    RedisStore::open(config.clone()).await.unwrap();
    let mut without = config;
    (without.client_cert_file, without.client_key_file) = (None, None);
    let (kind, said) = refusal(without).await;
    assert_eq!(kind, ErrorKind::InvalidConfig, "{said}");
}

/// As they are every few hours or months, under the same names.
#[tokio::test]
async fn certificates_that_are_renewed_in_their_files_are_used_by_the_next_connection() {
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
    assert!(tokio::time::timeout(Duration::from_secs(10), recovers).await.is_ok(), "not for 10 s");
}
