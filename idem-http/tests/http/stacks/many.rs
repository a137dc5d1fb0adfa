//! Many clients on one key: one execution, whatever the store.

use std::sync::Arc;
use std::time::Duration;

use idem_core::Store;
use idem_http::WhenInFlight;
use idem_moka::{MokaConfig, MokaStore};
use idem_redb::RedbStore;
use tokio::task::JoinSet;

use crate::support::{App, Calls, Client, Reply, Server, post, problem_code};

const CLIENTS: usize = 200;
const ROUNDS: usize = 20;

/// In each round all clients send the same key at once. Returns the answers of each round.
async fn rounds(store: Arc<dyn Store>, when: WhenInFlight) -> Vec<Vec<Reply>> {
    let calls = Calls::default();
    let counted = calls.clone();
    let handler = move |body: String| async move {
        let call = counted.add();
        tokio::time::sleep(Duration::from_millis(5)).await;
        format!("{body} {call}")
    };
    let app = App::over(store, handler, |builder| builder.when_in_flight(when));
    let server = Server::start(app.router).await;
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(Client::http1(&server).await);
    }
    let mut answers = Vec::new();
    for round in 0..ROUNDS {
        let mut asking = JoinSet::new();
        for mut client in clients.drain(..) {
            let request = post(&format!("round-{round}"), format!("round {round}"));
            asking.spawn(async move { (client.ask(request).await, client) });
        }
        let (replies, asked): (Vec<_>, Vec<_>) = asking.join_all().await.into_iter().unzip();
        clients = asked;
        answers.push(replies);
        assert_eq!(calls.count(), round + 1, "one execution a round");
    }
    answers
}

pub(crate) async fn waiting(store: Arc<dyn Store>) {
    for (round, replies) in rounds(store, WhenInFlight::Wait(Duration::from_mins(1))).await.iter().enumerate()
    {
        let replayed = replies.iter().filter(|reply| reply.is_replayed()).count();
        assert_eq!(replayed, CLIENTS - 1);
        for reply in replies {
            assert_eq!(reply.text(), format!("round {round} {}", round + 1));
            assert_eq!(reply.content(), replies[0].content());
        }
    }
}

pub(crate) async fn refusing(store: Arc<dyn Store>) {
    for (round, replies) in rounds(store, WhenInFlight::Refuse).await.iter().enumerate() {
        let (answered, refused): (Vec<_>, Vec<_>) = replies.iter().partition(|reply| reply.status == 200);
        assert_eq!(answered.iter().filter(|reply| !reply.is_replayed()).count(), 1);
        for reply in answered {
            assert_eq!(reply.text(), format!("round {round} {}", round + 1));
        }
        for reply in refused {
            assert_eq!((reply.status.as_u16(), problem_code(reply).as_str()), (409, "in_flight"));
            assert!(reply.retry_after().is_some());
        }
    }
}

fn moka() -> Arc<dyn Store> {
    Arc::new(MokaStore::new(MokaConfig::default()).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_clients_that_wait_on_moka() {
    waiting(moka()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_clients_that_are_refused_on_moka() {
    refusing(moka()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_clients_that_wait_on_redb() {
    let directory = tempfile::tempdir().unwrap();
    waiting(Arc::new(RedbStore::open(&*directory.path().join("keys.idem")).await.unwrap())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_clients_that_are_refused_on_redb() {
    let directory = tempfile::tempdir().unwrap();
    refusing(Arc::new(RedbStore::open(&*directory.path().join("keys.idem")).await.unwrap())).await;
}
