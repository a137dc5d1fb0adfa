//! What happens to the password where the server is not whom it should be.

use idem_core::Registry;
use idem_postgres::{DRIVER, PostgresConfig, SslMode};
use idem_servers::certificates::{authority, issue};
use idem_servers::postgres::shared_lone;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::relay::{SSL_REQUEST, relay};
use super::secured::{Secured, refusal};
use crate::support::{config_of, open};

const MODES_OF_TLS: [SslMode; 3] = [SslMode::Require, SslMode::VerifyCa, SslMode::VerifyFull];

fn with_password(mut config: PostgresConfig) -> PostgresConfig {
    config.password = Some("hunter2".to_owned());
    config
}

#[tokio::test]
async fn a_server_without_tls_is_refused_where_it_is_required() {
    let mut config = with_password(config_of(shared_lone().await));
    let folder = tempfile::tempdir().unwrap();
    issue(folder.path());
    for sslmode in MODES_OF_TLS {
        config.sslmode = Some(sslmode);
        config.sslrootcert = Some(folder.path().join("ca.pem"));
        let message = refusal(config.clone()).await;
        assert!(message.contains("server does not support TLS"), "{message}");
    }
    config.sslrootcert = None;
    config.sslmode = Some(SslMode::Prefer);
    open(&config).await;
    // As in `libpq`, whoever names the authorities of the system means that they are asked.
    let uri = format!("postgres://postgres@{}/postgres?sslrootcert=system", config.servers[0]);
    let error = Registry::new().with(DRIVER).open(&uri).await.unwrap_err();
    let message = error.message();
    // A machine may have none at all.
    assert!(message.contains("does not support TLS") || message.contains("the system's"), "{message}");
}

/// Somebody on the way says that there is no TLS.
#[tokio::test]
async fn nothing_is_sent_in_the_clear_where_tls_is_required() {
    let folder = tempfile::tempdir().unwrap();
    issue(folder.path());
    for sslmode in MODES_OF_TLS {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = listener.local_addr().unwrap().to_string();
        let heard = tokio::spawn(async move {
            let (mut client, _) = listener.accept().await.unwrap();
            let mut heard = vec![0; 8];
            client.read_exact(&mut heard).await.unwrap();
            client.write_all(b"N").await.unwrap();
            client.read_to_end(&mut heard).await.unwrap();
            heard
        });
        let mut config = with_password(PostgresConfig::new([server.parse().unwrap()], "app"));
        config.sslmode = Some(sslmode);
        config.sslrootcert = Some(folder.path().join("ca.pem"));
        refusal(config).await;
        assert_eq!(heard.await.unwrap(), SSL_REQUEST);
    }
}

/// Without an authority the server proves itself by SCRAM, bound to its certificate.
#[tokio::test]
async fn a_server_that_asks_for_the_password_itself_does_not_get_it_unverified() {
    let secured = Secured::start().await;
    let mut config = secured.config.clone();
    config.sslmode = Some(SslMode::Require);
    config.sslrootcert = None;
    open(&config).await;
    "clear".clone_into(&mut config.user);
    config.schema.push_str("_of_clear");
    let message = refusal(config.clone()).await;
    assert!(message.contains("channel binding"), "{message}");
    config.sslmode = Some(SslMode::VerifyFull);
    config.sslrootcert = Some(secured.path("ca.pem"));
    open(&config).await;
}

/// As `openssl req -x509` makes it.
#[tokio::test]
async fn a_server_that_made_its_certificate_itself_proves_itself_by_the_password() {
    let secured = Secured::start().await;
    let itself = authority(&secured.path("server.pem"));
    std::fs::write(secured.path("server.key"), itself.key().serialize_pem()).unwrap();
    secured.server.restart().await;
    let mut config = secured.config.clone();
    (config.sslmode, config.sslrootcert) = (Some(SslMode::Require), None);
    open(&config).await;
    config.password = Some("wrong".to_owned());
    let message = refusal(config).await;
    assert!(message.contains("password"), "{message}");
}

#[tokio::test]
async fn somebody_between_who_has_another_certificate_is_refused() {
    let secured = Secured::start().await;
    let other = tempfile::tempdir().unwrap();
    issue(other.path());
    let (certificate, its_key) = (other.path().join("server.pem"), other.path().join("server.key"));
    let between = relay(secured.server.addr(), &secured.path("ca.pem"), &certificate, &its_key).await;
    let mut config = secured.config.clone();
    config.servers = vec![between];
    let message = refusal(config.clone()).await;
    assert!(message.contains("invalid peer certificate"), "{message}");
    config.sslrootcert = None;
    config.sslmode = Some(SslMode::Require);
    // It passes on what is said, and the proof is not for its certificate.
    let message = refusal(config.clone()).await;
    assert!(message.contains("channel binding"), "{message}");
    // Where nothing is verified, nobody notices.
    config.sslmode = Some(SslMode::Prefer);
    "clear".clone_into(&mut config.user);
    open(&config).await;
}

/// A certificate is public, and its key is not.
#[tokio::test]
async fn somebody_between_who_shows_the_servers_own_certificate_is_refused() {
    let secured = Secured::start().await;
    let path = |name: &str| secured.path(name);
    let between =
        relay(secured.server.addr(), &path("ca.pem"), &path("server.pem"), &path("client.key")).await;
    let mut config = secured.config.clone();
    config.servers = vec![between];
    for (sslmode, sslrootcert) in [
        (SslMode::VerifyFull, Some(path("ca.pem"))),
        (SslMode::VerifyCa, Some(path("ca.pem"))),
        (SslMode::Require, None),
    ] {
        (config.sslmode, config.sslrootcert) = (Some(sslmode), sslrootcert);
        let message = refusal(config.clone()).await;
        assert!(message.contains("invalid peer certificate"), "{message}");
    }
}
