//! Two servers behind one store.

use idem_servers::redis::shared_cluster;

use crate::process::{Kept, Server, is_replay, json};

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_on_the_other_server_of_a_redis_cluster_replays() {
    replays_on_the_other(&shared_cluster().await.uri()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_on_the_other_server_of_a_postgres_database_replays() {
    let postgres = idem_servers::postgres::Server::lone().await;
    let kept = Kept::on(postgres.node().uri());
    replays_on_the_other(&kept.store()).await;
    let servers = [0, 1].map(|_| kept.server(&[]));
    // The books are in the database too: both list them.
    assert_eq!(servers[0].pay("k", "one").send().await.unwrap().status(), 201);
    assert!(is_replay(&servers[1].pay("k", "one").send().await.unwrap()));
    for server in &servers {
        assert_eq!(server.booked().await, ["one"]);
    }
}

/// The documents of an account, changed on one server and seen on the other.
#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_changed_once_in_a_postgres_database() {
    let postgres = idem_servers::postgres::Server::lone().await;
    let kept = Kept::on(postgres.node().uri());
    let servers = [0, 1].map(|_| kept.server(&[]));
    let patch = |server: &Server, key: &str, body: &'static str| {
        let request = reqwest::Client::new().patch(format!("http://{}/accounts/1", server.addr()));
        request
            .bearer_auth("demo")
            .header("idempotency-key", key)
            .header("content-type", "application/json")
            .body(body)
            .send()
    };
    let add = r#"[{"op":"add","path":"/notes/-","value":"a note"}]"#;
    let first = json(patch(&servers[0], "k", add).await.unwrap()).await;
    assert_eq!(first["notes"], serde_json::json!(["a note"]));
    assert_eq!(json(patch(&servers[1], "k", add).await.unwrap()).await, first);
    let missing = r#"[{"op":"remove","path":"/missing"}]"#;
    assert_eq!(patch(&servers[1], "other", missing).await.unwrap().status(), 422);
    let read = reqwest::Client::new().get(format!("http://{}/accounts/1", servers[1].addr()));
    assert_eq!(json(read.bearer_auth("demo").send().await.unwrap()).await, first);
}

async fn replays_on_the_other(uri: &str) {
    let kept = Kept::new();
    let servers = [0, 1].map(|_| Server::start(uri, &kept.effects(), &[]));
    for turn in 0..10 {
        let key = format!("two-servers-{}-{turn}", std::process::id());
        let (here, there) = (&servers[turn % 2], &servers[(turn + 1) % 2]);
        let first = here.post("/things", &key).send().await.unwrap();
        assert_eq!((first.status().as_u16(), is_replay(&first)), (201, false));
        let retry = there.post("/things", &key).send().await.unwrap();
        assert!(is_replay(&retry));
        assert_eq!(json(retry).await, json(first).await);
    }
}
