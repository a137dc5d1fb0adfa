//! Errors that come when something may have been done already.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use idem_core::{Effect, ErrorKind, Store};
use idem_redis::RedisStore;
use idem_servers::redis::Server;

use crate::proxy::{Act, Proxy, has};
use crate::support::{acquire, claim, config, fingerprint, key, kind};

/// Nothing of a script is rolled back: what it wrote before the forbidden command stays.
#[tokio::test]
async fn a_takeover_forbidden_midway_has_an_unknown_effect_and_is_on_record() {
    let server = Server::lone().await;
    server.run(&["ACL", "SETUSER", "idem", "on", ">secret", "~*", "&*", "+@all"]).await;
    let mut config = config(&server);
    (config.username, config.password) = (Some("idem".to_owned()), Some("secret".to_owned()));
    let store = RedisStore::open(config).await.unwrap();
    let lease = acquire(&store, "order").await;
    let (half, duration) = (Bytes::from_static(b"half"), Duration::from_secs(30));
    assert_eq!(store.checkpoint(&lease, 1, half, duration).await.unwrap(), Effect::Applied);
    assert_eq!(store.release(&lease).await.unwrap(), Effect::Applied);

    server.run(&["ACL", "SETUSER", "idem", "-pexpire"]).await;
    let mine = claim();
    let error = store.lock(&key("order"), &fingerprint(), &mine).await.unwrap_err();
    assert_eq!(store.get(&key("order")).await.unwrap().unwrap().token.owner, mine.owner);
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error:?}");
    assert!(
        error.message().contains("pexpire") || error.message().contains("executing the script"),
        "{error:?}"
    );
}

/// A proxy has errors of its own, and may answer them although the server has carried out the command.
#[tokio::test]
async fn an_error_of_a_proxy_leaves_the_effect_unknown() {
    let server = Server::lone().await;
    let armed = Arc::new(AtomicBool::new(false));
    let proxy = Proxy::start(&server, {
        let armed = Arc::clone(&armed);
        move |_, request| {
            let is_meant = has(request, "\r\nSET\r\n") && armed.swap(false, Ordering::Relaxed);
            if is_meant { Act::AnswerFirst(b"-upstream failure\r\n".to_vec()) } else { Act::Pass }
        }
    })
    .await;
    let store = RedisStore::open(config(&proxy.node())).await.unwrap();
    armed.store(true, Ordering::Relaxed);
    assert_eq!(kind(store.lock(&key("order"), &fingerprint(), &claim()).await), ErrorKind::Timeout);
}
