//! Certificates for servers that use TLS.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, DnType, Error, IsCa, Issuer, KeyPair};

/// Writes a new authority (`ca.pem`) to `folder`, and certificates of `localhost` and `127.0.0.1` that it signed, for a
/// server (`server.pem`, `server.key`) and for a client (`client.pem`, `client.key`). Files of these names are replaced.
///
/// # Panics
/// When they cannot be written.
pub fn issue(folder: &Path) {
    let authority = authority(&folder.join("ca.pem"));
    for name in ["server", "client"] {
        if let Err(error) = sign(&authority, folder, name) {
            panic!("no certificate for the {name}: {error}");
        }
    }
}

/// Makes an authority, and writes its certificate to `path`.
///
/// # Panics
/// When it cannot be written.
#[must_use]
pub fn authority(path: &Path) -> Issuer<'static, KeyPair> {
    let made = || {
        let mut parameters = CertificateParams::new([])?;
        // The name differs from those of the signed certificates, which would otherwise look self-signed.
        parameters.distinguished_name.push(DnType::CommonName, "authority");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate()?;
        write(path, &parameters.self_signed(&key)?.pem());
        Ok(Issuer::new(parameters, key))
    };
    made().unwrap_or_else(|error: Error| panic!("no authority: {error}"))
}

fn sign(authority: &Issuer<'static, KeyPair>, folder: &Path, name: &str) -> Result<(), Error> {
    let key = KeyPair::generate()?;
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let certificate = CertificateParams::new(names)?.signed_by(&key, authority)?;
    write(&folder.join(format!("{name}.pem")), &certificate.pem());
    write(&folder.join(format!("{name}.key")), &key.serialize_pem());
    Ok(())
}

/// A new file for its owner alone: PostgreSQL refuses a key that others may read.
fn write(path: &Path, text: &str) {
    let _ = fs::remove_file(path);
    let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    if let Err(error) = created.and_then(|mut file| file.write_all(text.as_bytes())) {
        panic!("{}: {error}", path.display());
    }
}
