//! What docs/guide/try-it.md shows with curl, with the books in redb and in memory.

use reqwest::Client;

use crate::process::{Kept, Server, eventually, is_replay, json, refused};
use crate::support::example;

/// One server for each kind of books.
fn servers(kept: &Kept) -> [Server; 2] {
    [kept.server(&[]), Server::start("moka:", &kept.effects(), &[])]
}

#[tokio::test]
async fn without_a_key_every_call_makes_a_new_thing() {
    for server in servers(&Kept::new()) {
        let first = json(server.post("/things", "").send().await.unwrap()).await;
        let second = json(server.post("/things", "").send().await.unwrap()).await;
        assert_ne!(first, second);
    }
}

#[tokio::test]
async fn with_a_key_every_retry_gets_the_first_thing() {
    for server in servers(&Kept::new()) {
        let first = server.post("/things", r#""t-1""#).send().await.unwrap();
        assert_eq!((first.status().as_u16(), is_replay(&first)), (201, false));
        let first = json(first).await;
        // Quoted or bare, it is the same key.
        for key in [r#""t-1""#, "t-1"] {
            let retry = server.post("/things", key).send().await.unwrap();
            assert_eq!((retry.status().as_u16(), is_replay(&retry)), (201, true));
            assert_eq!(json(retry).await, first);
        }
    }
}

#[tokio::test]
async fn a_key_that_comes_with_another_request_is_422_and_a_malformed_one_400() {
    for server in servers(&Kept::new()) {
        assert_eq!(server.pay("p-1", "a").send().await.unwrap().status(), 201);
        let reused = server.pay("p-1", "b").send().await.unwrap();
        assert_eq!(reused.status(), 422);
        assert_eq!(reused.headers()["content-type"], "application/problem+json");
        assert_eq!(json(reused).await["code"], "key_reused");
        let malformed = server.pay("\"p-1", "a").send().await.unwrap();
        assert_eq!(malformed.status(), 400);
        assert_eq!(json(malformed).await["code"], "key_malformed");
        assert_eq!(server.booked().await, ["a"]);
    }
}

#[tokio::test]
async fn a_retry_while_the_first_is_in_flight_is_409() {
    let kept = Kept::new();
    for store in [kept.store(), "moka:".to_owned()] {
        let server = Server::start(&store, &kept.effects(), &["--pause", "2s"]);
        // An order pauses after each effect.
        let first = tokio::spawn(server.post("/orders", "o-1").send());
        eventually(async || !kept.happened().is_empty()).await;
        let retry = server.post("/orders", "o-1").send().await.unwrap();
        assert_eq!(retry.status(), 409);
        assert!(retry.headers().contains_key("retry-after"));
        assert_eq!(first.await.unwrap().unwrap().status(), 201);
        assert!(is_replay(&server.post("/orders", "o-1").send().await.unwrap()));
        std::fs::remove_file(kept.effects()).unwrap();
    }
}

#[tokio::test]
async fn a_patch_is_applied_once() {
    for server in servers(&Kept::new()) {
        let url = format!("http://{}/accounts/1", server.addr());
        let patch = |key: &str, token: &str, body: &'static str| {
            let request = Client::new().patch(&url).bearer_auth(token).header("idempotency-key", key);
            request.header("content-type", "application/json-patch+json").body(body).send()
        };
        let note = r#"[{"op":"add","path":"/notes/-","value":"hi"}]"#;
        for _ in 0..3 {
            let answer = patch("a-1", "demo", note).await.unwrap();
            assert_eq!(json(answer).await["notes"], serde_json::json!(["hi"]));
        }
        let answer = patch("a-2", "demo", note).await.unwrap();
        assert_eq!(json(answer).await["notes"], serde_json::json!(["hi", "hi"]));
        let nowhere = r#"[{"op":"remove","path":"/nothing"}]"#;
        assert_eq!(patch("a-3", "demo", nowhere).await.unwrap().status(), 422);
        assert_eq!(patch("a-4", "demo", "garbage").await.unwrap().status(), 400);
        assert_eq!(patch("a-5", "demo2", note).await.unwrap().status(), 403);
        assert_eq!(patch("a-6", "nobody", note).await.unwrap().status(), 401);
    }
}

#[tokio::test]
async fn another_account_does_not_get_the_answer() {
    for server in servers(&Kept::new()) {
        let ask = |token: &str| {
            let request = Client::new().post(format!("http://{}/things", server.addr()));
            request.bearer_auth(token).header("idempotency-key", "t-1").send()
        };
        let mine = json(ask("demo").await.unwrap()).await;
        let theirs = ask("demo2").await.unwrap();
        assert!(!is_replay(&theirs));
        assert_ne!(json(theirs).await, mine);
        assert_eq!(ask("stolen").await.unwrap().status(), 401);
    }
}

#[tokio::test]
async fn the_client_pays_once_for_every_key_through_a_bad_network() {
    for server in servers(&Kept::new()) {
        let arguments = ["--server", server.addr(), "--payments", "300"];
        let output = example("payments-client").args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{output:?}");
        assert!(said.ends_with("executions per key: 1 for 300 keys\n"), "{said}");
        assert_eq!(server.booked().await.len(), 300);
    }
}

/// As in the URIs of the registry, a path after two slashes is still relative.
#[test]
fn a_uri_with_two_slashes_names_a_file_in_this_folder() {
    let folder = tempfile::tempdir().unwrap();
    for store in ["redb:a.idem", "redb://b.idem"] {
        let mut command = example("payments");
        command.args(["--listen", "127.0.0.1:0", "--store", store]).current_dir(folder.path());
        let mut child = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let output = child.stdout.take().unwrap();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(output), &mut line).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(line.starts_with("listening on "), "{store}: {line:?}");
    }
    assert!(folder.path().join("a.idem").is_file() && folder.path().join("b.idem").is_file());
}

#[test]
fn bad_arguments_are_reported() {
    for (arguments, why) in [
        (&["--colour", "red"][..], "unknown option --colour"),
        (&["--store"], "needs a value"),
        (&["--store", "mongo:x"], "unknown store \"mongo\"; known are: redb, redis"),
        (&["--store", "redb:"], "redb:FILE"),
        (&["--lease", "soon"], "payments:"),
    ] {
        refused(arguments, why);
    }
}

#[test]
fn a_file_that_is_not_the_stores_own_is_refused_and_left_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("foreign.redb");
    drop(redb::Database::create(&path).unwrap());
    let before = std::fs::read(&path).unwrap();
    let store = format!("redb:{}", path.display());
    refused(&["--store", &store], "no idem store");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}
