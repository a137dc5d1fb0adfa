//! The client and the layer together: answers are lost on the way, and every request is executed once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::Router;
use axum::routing::post;
use idem_core::{Scope, Store};
use idem_http::IdempotencyLayer;
use idem_moka::{MokaConfig, MokaStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::script::client;

/// A server that answers with the number of the execution.
async fn server() -> (std::net::SocketAddr, Arc<AtomicU32>) {
    let store: Arc<dyn Store> = Arc::new(MokaStore::new(MokaConfig::default()).unwrap());
    let layer = IdempotencyLayer::builder(store, |_| Ok(Scope::shared())).build().unwrap();
    let executions = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&executions);
    let handler = move || async move { counted.fetch_add(1, Ordering::SeqCst).to_string() };
    let app = Router::new().route("/payments", post(handler)).layer(layer);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    (addr, executions)
}

/// A proxy that passes requests on, and loses two answers of three.
async fn lossy(to: std::net::SocketAddr) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for turn in 0.. {
            let (mut client, _) = listener.accept().await.unwrap();
            let mut server = TcpStream::connect(to).await.unwrap();
            if turn % 3 == 2 {
                tokio::spawn(async move {
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                });
                continue;
            }
            let mut request = vec![0; 65_536];
            let length = client.read(&mut request).await.unwrap();
            server.write_all(&request[..length]).await.unwrap();
            let _ = server.read(&mut request).await;
        }
    });
    addr
}

#[tokio::test]
async fn an_executed_request_whose_answer_was_lost_is_not_executed_again() {
    let (to, executions) = server().await;
    let through = lossy(to).await;
    let client = client();
    for number in 0..30 {
        let request =
            client.inner().post(format!("http://{through}/payments")).body("12 EUR").build().unwrap();
        let answer = client.execute(request).await.unwrap();
        assert_eq!(answer.headers()["idempotency-replayed"], "true");
        assert_eq!(answer.text().await.unwrap(), number.to_string());
    }
    assert_eq!(executions.load(Ordering::SeqCst), 30);
}
