//! What a malicious client can do to its own account, to other accounts, and to other programs.

use std::time::Duration;

use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::process::{Kept, Server, is_replay, json as body_of};

/// The largest number that every program reads exactly. Above it, those of JavaScript are not exact.
const EXACT: u64 = (1 << 53) - 1;

fn servers(kept: &Kept) -> [Server; 2] {
    [kept.server(&[]), Server::start("moka:", &kept.effects(), &[])]
}

fn patch(server: &Server, account: u64, token: &str, key: &str, changes: &Value) -> RequestBuilder {
    let request =
        Client::new().patch(format!("http://{}/accounts/{account}", server.addr())).bearer_auth(token);
    let request = request.header("content-type", "application/json-patch+json");
    let request = if key.is_empty() { request } else { request.header("idempotency-key", key) };
    request.body(changes.to_string())
}

/// A patch that doubles the notes this many times.
fn bomb(copies: usize) -> Value {
    let mut changes = vec![json!({ "op": "add", "path": "/notes/-", "value": "x".repeat(1_000) })];
    changes.extend(vec![json!({ "op": "copy", "from": "/notes", "path": "/notes/-" }); copies]);
    json!(changes)
}

fn nested(depth: usize) -> Value {
    (0..depth).fold(json!("deep"), |inner, _| json!([inner]))
}

async fn is_unchanged(server: &Server) -> bool {
    let request = Client::new().get(format!("http://{}/accounts/1", server.addr())).bearer_auth("demo");
    body_of(request.send().await.unwrap()).await == json!({ "id": 1, "name": "", "notes": [] })
}

/// Thirteen operations that would make four megabytes.
#[tokio::test]
async fn a_patch_of_copies_of_copies_is_refused() {
    for server in servers(&Kept::new()) {
        for key in ["bomb", ""] {
            let answer = patch(&server, 1, "demo", key, &bomb(12)).send().await.unwrap();
            assert_eq!(answer.status(), 422);
            assert!(body_of(answer).await["error"].as_str().unwrap().contains("bytes"));
        }
        assert!(is_unchanged(&server).await);
    }
}

/// Without bounds the patch would take gigabytes, and block the only writer for minutes.
#[tokio::test]
async fn a_patch_that_would_take_gigabytes_costs_nobody_else_a_payment() {
    for server in servers(&Kept::new()) {
        let bomb = bomb(30);
        let bombs: Vec<_> = (0..8)
            .map(|number| tokio::spawn(patch(&server, 1, "demo", &format!("b-{number}"), &bomb).send()))
            .collect();
        let paid =
            timeout(Duration::from_secs(30), server.pay("p-1", "other").send()).await.unwrap().unwrap();
        assert_eq!(paid.status(), 201);
        for bomb in bombs {
            assert_eq!(bomb.await.unwrap().unwrap().status(), 422);
        }
    }
}

#[tokio::test]
async fn a_patch_has_bounded_operations_depth_and_bytes() {
    for server in servers(&Kept::new()) {
        let add = |path: &str, value: Value| json!({ "op": "add", "path": path, "value": value });
        let many = json!(vec![add("/name", json!("a")); 33]);
        let deep = json!([add("/deep", nested(20))]);
        // Each operation is small enough, and the last one copies what the others made into itself.
        let deeper = json!([
            add("/deep", nested(10)),
            json!({ "op": "copy", "from": "/deep", "path": "/deep/0/0/0/0/0/0/0/0/0/-" }),
        ]);
        for (key, changes, why) in [("m", many, "operations"), ("d", deep, "deep"), ("c", deeper, "deep")] {
            let answer = patch(&server, 1, "demo", key, &changes).send().await.unwrap();
            assert_eq!(answer.status(), 422, "{why}");
            let body = body_of(answer).await;
            assert!(body["error"].as_str().unwrap().contains(why), "{body}");
        }
        let long = json!([add("/name", json!("x".repeat(70_000)))]);
        for key in ["l", ""] {
            assert_eq!(patch(&server, 1, "demo", key, &long).send().await.unwrap().status(), 413);
        }
        assert!(is_unchanged(&server).await);
        let fits = json!(vec![add("/notes/-", json!("a")); 32]);
        assert_eq!(patch(&server, 1, "demo", "f", &fits).send().await.unwrap().status(), 200);
    }
}

/// The check stands outside the layer, so that no key keeps its refusal.
#[tokio::test]
async fn a_refused_account_is_refused_before_its_key_is_taken() {
    for server in servers(&Kept::new()) {
        let note = json!([{ "op": "add", "path": "/notes/-", "value": "hi" }]);
        for _ in 0..2 {
            let refused = patch(&server, 1, "demo2", "k", &note).send().await.unwrap();
            assert_eq!((refused.status().as_u16(), is_replay(&refused)), (403, false));
        }
        let allowed = patch(&server, 2, "demo2", "k", &note).send().await.unwrap();
        assert_eq!((allowed.status().as_u16(), is_replay(&allowed)), (200, false));
        assert!(is_unchanged(&server).await);
        let other = Client::new().get(format!("http://{}/accounts/1", server.addr())).bearer_auth("demo2");
        assert_eq!(other.send().await.unwrap().status(), 403);
    }
}

#[tokio::test]
async fn every_number_is_one_that_all_programs_read_exactly() {
    for server in servers(&Kept::new()) {
        for _ in 0..32 {
            let thing = body_of(server.post("/things", "").send().await.unwrap()).await;
            assert!(thing["thing"].as_u64().unwrap() <= EXACT, "{thing}");
        }
        let pay = |key: &str, cents: u64| {
            let request = server.post("/payments", key).header("content-type", "application/json");
            request.body(json!({ "cents": cents, "reference": "r" }).to_string()).send()
        };
        assert_eq!(pay("most", EXACT).await.unwrap().status(), 201);
        assert_eq!(pay("more", EXACT + 1).await.unwrap().status(), 422);
        assert_eq!(server.booked().await.len(), 1);
    }
}

#[tokio::test]
async fn a_path_without_a_route_takes_no_key() {
    for server in servers(&Kept::new()) {
        for _ in 0..2 {
            let nobody = server.post("/nobody", "k").send().await.unwrap();
            assert_eq!((nobody.status().as_u16(), is_replay(&nobody)), (404, false));
        }
        let strange = Client::new().get(format!("http://{}/accounts/one", server.addr())).bearer_auth("demo");
        assert_eq!(strange.send().await.unwrap().status(), 400);
    }
}
