//! Whom to trust over TLS.

use std::sync::Arc;

use fred::types::config::{TlsConfig, TlsConnector};
use idem_core::Result;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use crate::RedisConfig;
use crate::config::invalid;

/// None without TLS. The system's certificates, unless the configuration names a file.
pub(crate) fn config(config: &RedisConfig) -> Result<Option<TlsConfig>> {
    if !config.tls {
        return Ok(None);
    }
    let Some(file) = &config.ca_file else {
        let connector = TlsConnector::default_rustls()
            .map_err(|source| invalid("the system's certificates cannot be read").with_source(source))?;
        return Ok(Some(connector.into()));
    };
    let unusable = |source: Box<dyn std::error::Error + Send + Sync>| {
        invalid(format!("ca_file = {} holds no usable certificates", file.display())).with_source(source)
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|source| unusable(source.into()))? {
        let certificate = certificate.map_err(|source| unusable(source.into()))?;
        roots.add(certificate).map_err(|source| unusable(source.into()))?;
    }
    if roots.is_empty() {
        return Err(unusable("there is none in it".into()));
    }
    let client = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|source| unusable(source.into()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Some(TlsConnector::from(client).into()))
}
