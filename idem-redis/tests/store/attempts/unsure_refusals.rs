//! A call that was carried out, and whose answer was lost, is not reported as refused when a later attempt is refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use idem_core::record::State;
use idem_core::{ErrorKind, Store};
use idem_redis::RedisStore;
use idem_servers::redis::Server;

use crate::proxy::{Act, Proxy, has};
use crate::support::{acquire, claim, complete, config, fingerprint, key, kind};

/// A proxy that, once armed, loses the answer to the next request with `word`, and runs `then` before anything else.
async fn losing(
    server: &Server,
    word: &'static str,
    then: &'static [&'static str],
) -> (Proxy, Arc<AtomicBool>) {
    let armed = Arc::new(AtomicBool::new(false));
    let proxy = Proxy::start(server, {
        let armed = Arc::clone(&armed);
        move |_, request| {
            let lose = has(request, word) && armed.swap(false, Ordering::Relaxed);
            if lose { Act::LoseAnswerAndRun(then) } else { Act::Pass }
        }
    })
    .await;
    (proxy, armed)
}

#[tokio::test]
async fn a_completion_on_record_is_unknown_when_the_resent_call_finds_the_server_refused() {
    let server = Server::lone().await;
    let then = &["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"];
    let (proxy, armed) = losing(&server, "\r\nEVALSHA\r\n", then).await;
    let mut config = config(&proxy.node());
    config.check_interval = Duration::from_hours(1);
    let store = RedisStore::open(config).await.unwrap();
    let lease = acquire(&store, "order").await;
    armed.store(true, Ordering::Relaxed);
    let returned = kind(complete(&store, &lease).await);
    server.run(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let record = store.get(lease.key()).await.unwrap().unwrap();
    assert!(matches!(record.state, State::Completed(_)));
    assert_eq!(returned, ErrorKind::Timeout, "it is on record");
}

#[tokio::test]
async fn a_granted_lock_is_unknown_when_the_resent_call_finds_the_password_refused() {
    let server = Server::options().password("old").start().await;
    let then = &["CONFIG", "SET", "requirepass", "new"];
    // The proxy runs the command with the old password, which is still valid then.
    let (proxy, armed) = losing(&server, "\r\nSET\r\n", then).await;
    let mut config = config(&proxy.node());
    config.password = Some("old".to_owned());
    config.check_interval = Duration::from_hours(1);
    let store = RedisStore::open(config).await.unwrap();
    armed.store(true, Ordering::Relaxed);
    assert_eq!(kind(store.lock(&key("order"), &fingerprint(), &claim()).await), ErrorKind::Timeout);
}

#[tokio::test]
async fn a_granted_lock_is_unknown_when_the_resent_call_finds_writes_refused() {
    let server = Server::lone().await;
    let then = &["CONFIG", "SET", "min-replicas-to-write", "1"];
    let (proxy, armed) = losing(&server, "\r\nSET\r\n", then).await;
    let mut config = config(&proxy.node());
    config.check_interval = Duration::from_hours(1);
    let store = RedisStore::open(config).await.unwrap();
    armed.store(true, Ordering::Relaxed);
    let mine = claim();
    let returned = kind(store.lock(&key("order"), &fingerprint(), &mine).await);
    let record = store.get(&key("order")).await.unwrap().unwrap();
    assert_eq!(record.token.owner, mine.owner);
    assert_eq!(returned, ErrorKind::Timeout, "it is on record");
}
