//! TLS: which servers are trusted, and the certificate of the client.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::config::postgres_config::PostgresConfig;
use crate::config::ssl_mode::SslMode;
use crate::error::Failure;

/// What is verified, and the files with certificates. They are read again for every connection, since renewed certificates
/// keep their file names.
#[derive(Debug, Clone)]
pub(super) struct Tls {
    sslmode: SslMode,
    roots: Option<PathBuf>,
    /// The client's chain of certificates, and its private key.
    own: Option<(PathBuf, PathBuf)>,
}

impl Tls {
    /// `None` where no server is reached by TLS.
    pub(super) fn of(config: &PostgresConfig) -> Option<Self> {
        let own = config.sslcert.clone().zip(config.sslkey.clone());
        config.sslmode_of_tls().map(|sslmode| Self { sslmode, roots: config.sslrootcert.clone(), own })
    }

    /// Reads the files, on a thread of the blocking pool.
    pub(super) async fn load(&self) -> Result<MakeRustlsConnect, Failure> {
        let files = self.clone();
        let read = tokio::task::spawn_blocking(move || files.read());
        let read =
            read.await.map_err(|_| Failure::reconnect("the runtime that reads certificates has ended"))?;
        read.map(MakeRustlsConnect::new)
    }

    fn read(&self) -> Result<ClientConfig, Failure> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| Failure::invalid_config(format!("TLS cannot be used: {error}")))?;
        let builder = match self.sslmode {
            SslMode::VerifyFull => builder.with_root_certificates(self.roots()?),
            _ => builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyName {
                roots: if self.sslmode == SslMode::VerifyCa { Some(self.roots()?) } else { None },
                provider,
            })),
        };
        let Some((certificates, key)) = &self.own else { return Ok(builder.with_no_client_auth()) };
        let chain = certificates_of("sslcert", certificates)?;
        let unusable = |error: &dyn std::error::Error| unusable("sslkey", key, "private key", error);
        let read = PrivateKeyDer::from_pem_file(key).map_err(|error| unusable(&error))?;
        builder.with_client_auth_cert(chain, read).map_err(|error| unusable(&error))
    }

    fn roots(&self) -> Result<RootCertStore, Failure> {
        let Some(file) = &self.roots else { return system_roots() };
        let mut roots = RootCertStore::empty();
        for certificate in certificates_of("sslrootcert", file)? {
            roots.add(certificate).map_err(|error| unusable("sslrootcert", file, "certificates", &error))?;
        }
        Ok(roots)
    }
}

/// Accepts a certificate for any name: of an authority, or without one of anybody. Either way the server must have the
/// certificate's key, since channel binding is with the certificate.
#[derive(Debug)]
struct AnyName {
    roots: Option<RootCertStore>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if let Some(roots) = &self.roots {
            let certificate = ParsedCertificate::try_from(end_entity)?;
            let algorithms = self.provider.signature_verification_algorithms.all;
            verify_server_cert_signed_by_trust_anchor(&certificate, roots, intermediates, now, algorithms)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn system_roots() -> Result<RootCertStore, Failure> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added > 0 {
        return Ok(roots);
    }
    let cause = found.errors.first().map_or_else(|| "there are none".to_owned(), ToString::to_string);
    Err(Failure::invalid_config(format!(
        "the system's certificates cannot be read, name others by sslrootcert: {cause}"
    )))
}

fn certificates_of(option: &str, file: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = read.map_err(|error| unusable(option, file, "certificates", &error))?;
    if certificates.is_empty() {
        return Err(Failure::invalid_config(format!("{option} = {} holds no certificate", file.display())));
    }
    Ok(certificates)
}

fn unusable(option: &str, file: &Path, what: &str, error: &dyn std::error::Error) -> Failure {
    Failure::invalid_config(format!("{option} = {} holds no usable {what}: {error}", file.display()))
}
