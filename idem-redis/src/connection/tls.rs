//! TLS: which certificates are trusted, and the certificate of the client.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use idem_core::ErrorKind;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::config::address::Address;
use crate::config::redis_config::RedisConfig;
use crate::protocol::errors::attempt_error::AttemptError;
use crate::protocol::errors::cause::Cause;

type Source = Box<dyn Error + Send + Sync>;

/// The certificate files. They are read again for every connection, since renewed certificates keep their file names.
#[derive(Clone)]
pub(super) struct CertificateFiles {
    roots: Option<PathBuf>,
    /// The certificate chain of the client, and its private key.
    own: Option<(PathBuf, PathBuf)>,
}

pub(super) struct TlsClient(TlsConnector);

impl CertificateFiles {
    /// `None` without TLS. Trusts the system's certificates unless the configuration names a file.
    pub(super) fn of(config: &RedisConfig) -> Option<Self> {
        let own = config.client_cert_file.clone().zip(config.client_key_file.clone());
        config.tls.then(|| Self { roots: config.ca_file.clone(), own })
    }

    /// Reads the files on a thread of the blocking pool.
    pub(super) async fn load(&self) -> Result<TlsClient, AttemptError> {
        let files = self.clone();
        let read = tokio::task::spawn_blocking(move || files.read());
        read.await.unwrap_or_else(|_| {
            Err(AttemptError::Later(Cause::new("the runtime ended that reads certificates")))
        })
    }

    fn read(&self) -> Result<TlsClient, AttemptError> {
        let roots = match &self.roots {
            Some(file) => roots_of(file)?,
            None => system_roots()?,
        };
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|source| invalid("TLS cannot be used".to_owned(), source))?
            .with_root_certificates(roots);
        let Some((certificates, key)) = &self.own else {
            return Ok(TlsClient(TlsConnector::from(Arc::new(builder.with_no_client_auth()))));
        };
        let chain = certificates_of("client_cert_file", certificates)?;
        let unusable = |source: Source| unusable("client_key_file", key, "private key", source);
        let read = PrivateKeyDer::from_pem_file(key).map_err(|source| unusable(source.into()))?;
        let client = builder.with_client_auth_cert(chain, read).map_err(|source| unusable(source.into()))?;
        Ok(TlsClient(TlsConnector::from(Arc::new(client))))
    }
}

impl TlsClient {
    pub(super) async fn handshake(
        &self,
        stream: TcpStream,
        host: &str,
        server: &Address,
    ) -> Result<TlsStream<TcpStream>, AttemptError> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|source| refused(server, Cause::with_source("its name".to_owned(), source)))?;
        self.0.connect(name, stream).await.map_err(|error| {
            let is_refusal = is_refusal(&error);
            if is_refusal {
                return refused(server, Cause::with_source(error.to_string(), error));
            }
            AttemptError::Later(Cause::with_source(format!("{server} cannot be reached"), error))
        })
    }
}

/// Whether TLS itself failed, because of the peer's alert or certificate, rather than the connection.
pub(super) fn is_refusal(error: &(dyn Error + Send + Sync + 'static)) -> bool {
    let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    inner.is_some_and(<dyn Error + Send + Sync>::is::<rustls::Error>)
}

pub(super) fn refused(server: &Address, cause: Cause) -> AttemptError {
    AttemptError::Refused(ErrorKind::InvalidConfig, cause.with_context(&format!("no TLS with {server}")))
}

fn system_roots() -> Result<RootCertStore, AttemptError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added > 0 {
        return Ok(roots);
    }
    let source = found.errors.into_iter().next().map_or_else(|| "there are none".into(), Source::from);
    Err(invalid(
        "the system's certificates cannot be read: name those of the servers by ca_file".to_owned(),
        source,
    ))
}

fn roots_of(file: &Path) -> Result<RootCertStore, AttemptError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates_of("ca_file", file)? {
        roots.add(certificate).map_err(|source| unusable("ca_file", file, "certificates", source.into()))?;
    }
    Ok(roots)
}

fn certificates_of(option: &str, file: &Path) -> Result<Vec<CertificateDer<'static>>, AttemptError> {
    let unusable = |source: Source| unusable(option, file, "certificates", source);
    let certificates = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|source| unusable(source.into()))?;
    if certificates.is_empty() {
        return Err(unusable("there is none in it".into()));
    }
    Ok(certificates)
}

fn unusable(option: &str, file: &Path, what: &str, source: Source) -> AttemptError {
    invalid(format!("{option} = {} holds no usable {what}", file.display()), source)
}

fn invalid(message: String, source: impl Into<Source>) -> AttemptError {
    AttemptError::Refused(ErrorKind::InvalidConfig, Cause::with_source(message, source))
}
