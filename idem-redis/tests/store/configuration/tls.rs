//! TLS: which servers are trusted, and the certificate of the client.

use std::time::Duration;

use idem_core::ErrorKind;
use idem_redis::{Address, RedisStore};
use idem_servers::certificates::authority;

use crate::configuration::secured::Secured;
use crate::support::{completed, lock, recovers, refusal};

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
    let secured = Secured::requiring_client_certificates().await;
    let mut known = secured.config_with_client_certificate();
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

/// No retry helps before somebody changes the configuration.
#[tokio::test]
async fn a_missing_client_certificate_is_an_invalid_configuration() {
    let secured = Secured::requiring_client_certificates().await;
    let (kind, text) = refusal(secured.config.clone()).await;
    assert_eq!(kind, ErrorKind::InvalidConfig, "{text}");
    assert!(text.contains("TLS"), "{text}");
}

/// Certificates are renewed every few hours or months, under the same file names.
#[tokio::test]
async fn renewed_certificate_files_are_used_by_the_next_connection() {
    let secured = Secured::requiring_client_certificates().await;
    let config = secured.config_with_client_certificate();
    let store = RedisStore::open(config.clone()).await.unwrap();
    secured.renew();
    let path = |name: &str| secured.path(name).display().to_string();
    let (ca, certificate, key) = (path("ca.pem"), path("server.pem"), path("server.key"));
    let renewed =
        ["CONFIG", "SET", "tls-ca-cert-file", &ca, "tls-cert-file", &certificate, "tls-key-file", &key];
    secured.server.run(&renewed).await;
    RedisStore::open(config).await.unwrap();
    secured.server.run(&["CLIENT", "KILL", "TYPE", "normal"]).await;
    let recovers = recovers(|| lock(&store, "order"));
    assert!(tokio::time::timeout(Duration::from_secs(10), recovers).await.is_ok(), "no recovery in 10 s");
}
