//! Push messages, in every form that RESP3 has for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use idem_redis::RedisStore;
use idem_servers::redis::Server;

use crate::proxy::{Act, Proxy, has};
use crate::support::{acquire, config};

/// "The attribute type is exactly like the Map type", and may precede any message, which it describes.
#[tokio::test]
async fn a_push_message_with_attributes_answers_no_call() {
    let server = Server::lone().await;
    for push in [">2\r\n+message\r\n+hello\r\n", "|1\r\n+ttl\r\n:3600\r\n>2\r\n+message\r\n+hello\r\n"] {
        let armed = Arc::new(AtomicBool::new(true));
        let proxy = Proxy::start(&server, move |_, request| {
            if has(request, "\r\nSET\r\n") && armed.swap(false, Ordering::Relaxed) {
                return Act::AnswerFirst(push.as_bytes().to_vec());
            }
            Act::Pass
        })
        .await;
        let store = RedisStore::open(config(&proxy.node())).await.unwrap();
        acquire(&store, push.trim_start_matches('>').split('\r').next().unwrap()).await;
    }
}
