//! Those who stand between a client and a server.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use idem_postgres::Address;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// What a client sends first to a server that it wants TLS of.
pub(super) const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// One who takes part in TLS on both sides, and passes on all that is said. To clients it shows `certificate`, and has the
/// key `key`, which may be that of another one. It knows the server by the authority in `authority`.
pub(super) async fn relay(server: SocketAddr, authority: &Path, certificate: &Path, key: &Path) -> Address {
    let certificate = CertificateDer::from_pem_file(certificate).unwrap();
    let key = default_provider().key_provider.load_private_key(PrivateKeyDer::from_pem_file(key).unwrap());
    let own = SingleCertAndKey::from(CertifiedKey::new(vec![certificate], key.unwrap()));
    let acceptor = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(own));
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority).unwrap()).unwrap();
    let connector = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let (acceptor, connector) =
        (TlsAcceptor::from(Arc::new(acceptor)), TlsConnector::from(Arc::new(connector)));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let (acceptor, connector) = (acceptor.clone(), connector.clone());
            tokio::spawn(async move {
                let mut request = [0; 8];
                client.read_exact(&mut request).await?;
                client.write_all(b"S").await?;
                let mut upstream = TcpStream::connect(server).await?;
                upstream.write_all(&request).await?;
                upstream.read_exact(&mut request[..1]).await?;
                let mut client = acceptor.accept(client).await?;
                let mut upstream = connector.connect(ServerName::from(server.ip()), upstream).await?;
                copy_bidirectional(&mut client, &mut upstream).await
            });
        }
    });
    address.to_string().parse().unwrap()
}

/// What each connection through a recorder said first.
pub(super) type FirstBytes = Arc<Mutex<Vec<[u8; 8]>>>;

/// One who passes on bytes, and notes what each connection said first.
pub(super) async fn recorder(server: SocketAddr) -> (Address, FirstBytes) {
    let first_bytes = FirstBytes::default();
    let noted = Arc::clone(&first_bytes);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let noted = Arc::clone(&noted);
            tokio::spawn(async move {
                let mut first = [0; 8];
                client.read_exact(&mut first).await?;
                noted.lock().unwrap().push(first);
                let mut upstream = TcpStream::connect(server).await?;
                upstream.write_all(&first).await?;
                copy_bidirectional(&mut client, &mut upstream).await
            });
        }
    });
    (address.to_string().parse().unwrap(), first_bytes)
}
