//! Which servers are trusted, and the certificate of the client.

use std::time::Duration;

use idem_core::{ErrorKind, Result, Store as _};
use idem_postgres::{PostgresStore, SslMode};
use idem_servers::certificates::authority;
use tokio::time::{sleep, timeout};

use super::secured::{Secured, refusal};
use crate::support::{claim, key, lock, open};

#[tokio::test]
async fn a_server_with_a_trusted_certificate_of_its_name_is_used() {
    let secured = Secured::start().await;
    for host in ["127.0.0.1", "localhost"] {
        let mut config = secured.config.clone();
        host.clone_into(&mut config.servers[0].host);
        for sslmode in [SslMode::VerifyFull, SslMode::VerifyCa, SslMode::Require] {
            config.sslmode = Some(sslmode);
            lock(&open(&config).await, &key(format!("{host} {sslmode:?}")), &claim()).await;
        }
    }
}

#[tokio::test]
async fn a_certificate_of_another_name_is_refused_where_the_name_counts() {
    let secured = Secured::start().await;
    let mut config = secured.config.clone();
    // The same server, by an address that its certificate does not have.
    "127.0.0.2".clone_into(&mut config.servers[0].host);
    let message = refusal(config.clone()).await;
    assert!(message.contains("certificate not valid for name"), "{message}");
    config.sslmode = Some(SslMode::VerifyCa);
    open(&config).await;
}

/// `require` with an authority is `verify-ca`, as in `libpq`.
#[tokio::test]
async fn a_certificate_of_another_authority_is_refused() {
    let secured = Secured::start().await;
    let _ = authority(&secured.path("other.pem"));
    for sslmode in [SslMode::VerifyFull, SslMode::VerifyCa, SslMode::Require] {
        let mut config = secured.config.clone();
        config.sslmode = Some(sslmode);
        config.sslrootcert = Some(secured.path("other.pem"));
        let message = refusal(config).await;
        assert!(message.contains("invalid peer certificate"), "{message}");
    }
}

#[tokio::test]
async fn without_a_file_the_authorities_of_the_system_are_trusted() {
    let secured = Secured::start().await;
    let mut config = secured.config.clone();
    config.sslrootcert = None;
    let message = refusal(config).await;
    // A machine may have none at all.
    assert!(message.contains("invalid peer certificate") || message.contains("the system's"), "{message}");
}

#[tokio::test]
async fn a_file_that_cannot_be_used_is_refused_by_its_name() {
    let secured = Secured::start().await;
    std::fs::write(secured.path("garbage.pem"), "no certificate").unwrap();
    for file in ["garbage.pem", "missing.pem"] {
        let mut config = secured.config.clone();
        config.sslrootcert = Some(secured.path(file));
        let message = refusal(config).await;
        assert!(message.contains("sslrootcert") && message.contains(file), "{message}");
    }
    for (certificate, its_key, named) in [
        ("client.pem", "missing.key", "sslkey"),
        ("client.key", "client.key", "sslcert"),
        ("client.pem", "server.key", "sslkey"),
    ] {
        let mut config = secured.certified();
        config.sslcert = Some(secured.path(certificate));
        config.sslkey = Some(secured.path(its_key));
        let message = refusal(config).await;
        assert!(message.contains(named), "{message}");
    }
}

#[tokio::test]
async fn a_server_that_asks_for_a_certificate_gets_it() {
    let secured = Secured::start().await;
    let config = secured.certified();
    lock(&open(&config).await, &key("order"), &claim()).await;
    let mut without = config;
    (without.sslcert, without.sslkey) = (None, None);
    let message = refusal(without).await;
    assert!(message.contains("certificate"), "{message}");
}

/// Certificates are renewed every few hours or months, under the same names.
#[tokio::test]
async fn renewed_files_are_used_by_the_next_connection() {
    let secured = Secured::start().await;
    let store = open(&secured.certified()).await;
    secured.renew().await;
    // The server takes the new ones a moment later.
    recovers(|| async { PostgresStore::open(secured.certified()).await }).await;
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'certified'";
    secured.server.sql(end).await;
    recovers(|| async { store.get(&key("order")).await }).await;
}

/// A server that is lost must not look like one that is refused.
#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable_also_beside_one_that_is_refused() {
    let secured = Secured::start().await;
    let mut config = secured.config.clone();
    config.servers.push("127.0.0.1:1".parse().unwrap());
    config.sslrootcert = Some(secured.path("other.pem"));
    let _ = authority(&secured.path("other.pem"));
    let error = PostgresStore::open(config).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains("invalid peer certificate"), "{error}");
}

/// Repeats `call` until it succeeds.
async fn recovers<T, F: Future<Output = Result<T>>>(mut call: impl FnMut() -> F) {
    let wait = async {
        while call().await.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(30), wait).await.unwrap();
}
