//! Redirections by a server that is not in a cluster are not followed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use idem_redis::RedisStore;
use idem_servers::redis::Server;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::proxy::{Act, Proxy, has};
use crate::support::{config, lock};

/// Only a cluster redirects, and only addresses that a cluster names are trusted with the password.
#[tokio::test]
async fn a_redirection_of_a_single_server_gets_no_password() {
    let server = Server::options().password("hunter2").start().await;
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = elsewhere.local_addr().unwrap();
    let is_armed = Arc::new(AtomicBool::new(false));
    let proxy = Proxy::start(&server, {
        let is_armed = Arc::clone(&is_armed);
        move |_, request| {
            if has(request, "\r\nSET\r\n") && is_armed.swap(false, Ordering::Relaxed) {
                return Act::AnswerFirst(format!("-MOVED 1 {to}\r\n").into_bytes());
            }
            Act::Pass
        }
    })
    .await;
    let mut config = config(&proxy.node());
    config.password = Some("hunter2".to_owned());
    let store = RedisStore::open(config).await.unwrap();
    is_armed.store(true, Ordering::Relaxed);
    let _calling = tokio::spawn(async move { lock(&store, "order").await });
    if let Ok(Ok((mut stream, _))) = timeout(Duration::from_secs(2), elsewhere.accept()).await {
        let mut message = vec![0; 1_024];
        let length = stream.read(&mut message).await.unwrap();
        let message = String::from_utf8_lossy(&message[..length]).into_owned();
        panic!("the other server was sent {message:?}");
    }
}
