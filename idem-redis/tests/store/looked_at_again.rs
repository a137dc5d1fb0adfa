//! A connection on which nobody has seen yet that the server has its data: all calls need the same look.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use idem_conformance::redis::Server;
use idem_core::{ErrorKind, Store};
use idem_redis::{RedisConfig, RedisStore};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::between::{Act, Between, has};
use crate::support::{completed, config, key};

const LONG: Duration = Duration::from_mins(1);

/// A server that keeps its data, connected to again, and was loading when it was asked for its marker.
struct Unseen {
    server: Server,
    between: Between,
    /// Whether it tells late what it is.
    is_slow: Arc<AtomicBool>,
    /// How often it was asked that.
    asked: Arc<AtomicUsize>,
    is_loading: Arc<AtomicBool>,
}

impl Unseen {
    async fn start() -> Self {
        let server = Server::options().appendonly().start().await;
        let (is_slow, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let is_loading = Arc::new(AtomicBool::new(false));
        let between = Between::start(&server, {
            let (is_slow, is_loading, asked) =
                (Arc::clone(&is_slow), Arc::clone(&is_loading), Arc::clone(&asked));
            move |_, request| {
                if has(request, "marker") && is_loading.swap(false, Ordering::SeqCst) {
                    return Act::AnswerInstead(b"-LOADING it is starting\r\n");
                }
                if has(request, "\r\nINFO\r\n") {
                    asked.fetch_add(1, Ordering::SeqCst);
                    if is_slow.load(Ordering::SeqCst) {
                        return Act::Late(Duration::from_millis(400));
                    }
                }
                Act::Pass
            }
        })
        .await;
        Self { server, between, is_slow, asked, is_loading }
    }

    fn config(&self) -> RedisConfig {
        let mut config = config(&self.between.node());
        (config.response_timeout, config.check_interval) = (Duration::from_mins(1), Duration::from_hours(1));
        config
    }

    async fn connect_again(&self, store: &RedisStore) {
        self.is_loading.store(true, Ordering::SeqCst);
        self.server.run(&["CLIENT", "KILL", "TYPE", "normal"]).await;
        while self.is_loading.load(Ordering::SeqCst) {
            let _ = timeout(Duration::from_millis(20), store.get(&key("order"))).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_that_takes_longer_than_a_call_may_take_is_not_begun_anew_by_every_call() {
    let unseen = Unseen::start().await;
    let mut config = unseen.config();
    config.call_timeout = Duration::from_millis(300);
    let store = RedisStore::open(config).await.unwrap();
    unseen.is_slow.store(true, Ordering::SeqCst);
    unseen.connect_again(&store).await;
    let answered = async { while store.get(&key("order")).await.is_err() {} };
    assert!(timeout(Duration::from_secs(20), answered).await.is_ok(), "the server answers in 0.4 s, and yet");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_come_together_share_one_look_also_when_it_tells_that_the_data_are_lost() {
    let unseen = Unseen::start().await;
    let store = RedisStore::open(unseen.config()).await.unwrap();
    completed(&store, "order").await;
    unseen.server.run(&["FLUSHALL"]).await;
    unseen.connect_again(&store).await;
    sleep(Duration::from_millis(200)).await;
    let before = unseen.asked.load(Ordering::SeqCst);
    let mut calls = JoinSet::new();
    for _ in 0..200 {
        let store = store.clone();
        calls.spawn(async move { store.get(&key("order")).await });
    }
    let told = timeout(LONG, calls.join_all()).await.unwrap();
    for told in told {
        assert!(matches!(&told, Err(error) if error.kind() == ErrorKind::Corrupt), "{told:?}");
    }
    let asked = unseen.asked.load(Ordering::SeqCst) - before;
    assert!(asked <= 20, "200 calls asked the server {asked} times what it is");
}
