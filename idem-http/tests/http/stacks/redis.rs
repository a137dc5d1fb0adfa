//! On real Redis servers: many clients on a cluster, two applications on one cluster, and a Redis server that is killed
//! under load.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use idem_core::Store;
use idem_redis::{RedisConfig, RedisStore};
use idem_servers::redis::{Server as Redis, shared_cluster};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::many::{refusing, waiting};
use crate::support::{App, Calls, ask, post, problem_code};

/// A store whose keys belong to this test alone.
async fn cluster(test: &str) -> Arc<dyn Store> {
    let nodes = shared_cluster().await;
    let servers = nodes.nodes().iter().map(|node| node.addr().to_string().parse().unwrap());
    let mut config = RedisConfig::cluster(servers);
    config.prefix = format!("{test}-{}:", std::process::id());
    Arc::new(RedisStore::open(config).await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_clients_that_wait_on_a_cluster() {
    waiting(cluster("wait").await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_clients_that_are_refused_on_a_cluster() {
    refusing(cluster("refuse").await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_at_the_other_of_two_servers_replays() {
    let calls = Calls::default();
    let mut apps = Vec::new();
    for _ in 0..2 {
        let counted = calls.clone();
        let handler = move || async move { format!("answer {}", counted.add()) };
        apps.push(App::over(cluster("two").await, handler, |builder| builder));
    }
    for turn in 0..20 {
        let key = format!("key-{turn}");
        let first = apps[turn % 2].ask(post(&key, "")).await;
        let retry = apps[(turn + 1) % 2].ask(post(&key, "")).await;
        assert!(!first.is_replayed() && retry.is_replayed());
        assert_eq!(retry.content(), first.content());
    }
    assert_eq!(calls.count(), 20);
}

/// Each client retries until it has an answer. The server keeps its data on disk, and is killed again and again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_under_load_is_503_in_bounded_time_and_needs_no_restart_of_ours() {
    const CLIENTS: usize = 32;
    const KILLS: usize = 4;
    let limit = Duration::from_secs(1);
    let redis = Redis::options().appendonly().config("appendfsync always").start().await;
    let mut config = RedisConfig::standalone(redis.addr().to_string().parse().unwrap());
    config.call_timeout = limit / 2;
    let store = Arc::new(RedisStore::open(config).await.unwrap());
    let calls = Calls::default();
    let counted = calls.clone();
    let handler = move || async move { format!("answer {}", counted.add()) };
    let app = App::over(store, handler, |builder| builder.store_timeout(limit).lease(Duration::from_secs(2)));
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let (router, stopped) = (app.router.clone(), stopped.clone());
        clients.spawn(async move {
            let (mut answered, mut refused) = (0, 0);
            while !*stopped.borrow() {
                let key = format!("{client}-{answered}");
                loop {
                    let asked = Instant::now();
                    let reply = ask(&router, post(&key, "")).await;
                    // The handler is quick; what takes time is the store, before and after it.
                    assert!(asked.elapsed() < limit * 10, "{:?}", asked.elapsed());
                    if reply.status == StatusCode::OK {
                        break;
                    }
                    let code = problem_code(&reply);
                    assert!(["store_unavailable", "in_flight"].contains(&&*code), "{reply:?}");
                    refused += usize::from(code == "store_unavailable");
                    sleep(Duration::from_millis(20)).await;
                }
                answered += 1;
            }
            (answered, refused)
        });
    }
    for _ in 0..KILLS {
        let before = calls.count();
        while calls.count() < before + 200 {
            sleep(Duration::from_millis(5)).await;
        }
        redis.kill();
        sleep(limit * 2).await;
        redis.restart().await;
    }
    let before = calls.count();
    while calls.count() < before + 200 {
        sleep(Duration::from_millis(5)).await;
    }
    stop.send(true).unwrap();
    let counts = clients.join_all().await;
    let (answered, refused): (Vec<usize>, Vec<usize>) = counts.into_iter().unzip();
    let (answered, refused): (usize, usize) = (answered.iter().sum(), refused.iter().sum());
    println!("{answered} answers, {refused} refusals for want of the store, {} executions", calls.count());
    assert!(refused > 0, "the store was never away");
    assert_eq!(calls.count(), answered, "one execution for every key");
}
