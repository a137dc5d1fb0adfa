//! Real sockets: a server, a client, and a client that writes arbitrary bytes.

use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use http::Request;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::Reply;

/// Serves HTTP/1.1 and HTTP/2 on a port of its own until it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) serving: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start(router: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, serving }
    }

    pub(crate) async fn raw(&self) -> Raw {
        Raw(TcpStream::connect(self.address).await.unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// One connection of a well-behaved client.
pub(crate) enum Client {
    Http1(http1::SendRequest<Body>),
    Http2(http2::SendRequest<Body>),
}

impl Client {
    pub(crate) async fn http1(server: &Server) -> Self {
        let stream = TcpStream::connect(server.address).await.unwrap();
        let (client, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection.with_upgrades());
        Self::Http1(client)
    }

    pub(crate) async fn http2(server: &Server) -> Self {
        let stream = TcpStream::connect(server.address).await.unwrap();
        let (client, connection) =
            http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self::Http2(client)
    }

    pub(crate) async fn ask(&mut self, mut request: Request<Body>) -> Reply {
        let response = match self {
            Self::Http1(client) => {
                request.headers_mut().insert("host", "localhost".parse().unwrap());
                client.ready().await.unwrap();
                client.send_request(request).await.unwrap()
            }
            Self::Http2(client) => {
                let uri = format!("http://localhost{}", request.uri());
                *request.uri_mut() = uri.parse().unwrap();
                client.ready().await.unwrap();
                client.send_request(request).await.unwrap()
            }
        };
        Reply::read(response).await
    }
}

/// A connection on which the test writes bytes itself.
pub(crate) struct Raw(pub(crate) TcpStream);

impl Raw {
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
    }

    /// What is received until it contains `end`, or the server closes the connection.
    pub(crate) async fn receive_until(&mut self, end: &str) -> String {
        let mut received = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            let text = String::from_utf8_lossy(&received);
            if text.contains(end) {
                return text.into_owned();
            }
            match self.0.read(&mut buffer).await {
                Ok(0) | Err(_) => return text.into_owned(),
                Ok(read) => received.extend_from_slice(&buffer[..read]),
            }
        }
    }

    /// Everything until the server closes the connection.
    pub(crate) async fn receive(&mut self) -> String {
        self.receive_until("\u{0}never").await
    }

    /// Sends a request with these header lines that asks to close the connection, and returns everything received.
    pub(crate) async fn exchange(mut self, lines: &[&[u8]], body: &[u8]) -> String {
        let mut request = b"POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n".to_vec();
        for line in lines {
            request.extend_from_slice(line);
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
        request.extend_from_slice(body);
        self.send(request).await;
        self.receive().await
    }
}
