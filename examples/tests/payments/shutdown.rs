//! A shutdown waits for running handlers.

use std::time::Duration;

use crate::process::{Kept, eventually, is_replay};

#[tokio::test]
async fn a_shutdown_waits_for_a_running_handler_and_its_answer_is_kept() {
    let kept = Kept::new();
    let server = kept.server(&["--pause", "300ms"]);
    let order = tokio::spawn(server.post("/orders", "o-1").send());
    eventually(async || kept.happened().len() == 1).await;
    server.terminate();
    assert_eq!(order.await.unwrap().unwrap().status(), 201);
    let (said, well) = server.end();
    assert!(well && said.ends_with("shutting down\ndone\n"), "{said}");

    let server = kept.server(&[]);
    assert!(is_replay(&server.post("/orders", "o-1").send().await.unwrap()));
}

#[tokio::test]
async fn a_shutdown_waits_for_a_handler_whose_client_is_gone() {
    let kept = Kept::new();
    let server = kept.server(&["--pause", "500ms"]);
    let order = server.post("/orders", "o-1").timeout(Duration::from_millis(150)).send().await;
    assert!(order.unwrap_err().is_timeout());
    // The connection is closed by a task of this runtime, which the lines below block; the server then notices.
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert_eq!(kept.happened(), ["o-1 reserve happened"]);
    server.terminate();
    let (said, well) = server.end();
    assert!(well && said.ends_with("done\n"), "{said}");
    assert_eq!(kept.happened().last().unwrap(), "o-1 mail saved");

    let server = kept.server(&[]);
    assert!(is_replay(&server.post("/orders", "o-1").send().await.unwrap()));
}
