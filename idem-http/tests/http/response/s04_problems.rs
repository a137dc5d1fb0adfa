//! Every error is a problem of RFC 9457, and links to the API's own page.

use axum::body::Body;
use http::{Request, StatusCode, Uri};
use idem_core::ErrorKind;
use idem_core::error::Operation;
use idem_http::KeyRule;
use std::sync::Arc;

use crate::support::{App, Fault, FaultyStore, Gate, Reply, post, problem_code};

/// One reply of every kind that a client can bring about.
async fn problems(page: Option<&'static str>) -> Vec<Reply> {
    let store = FaultyStore::new();
    let gate = Gate::new();
    let waiting = gate.clone();
    let handler = move |body: String| async move {
        if body == "slow" {
            waiting.pass().await;
        }
        assert!(body != "panic", "as the test says");
        body
    };
    let app = App::over(Arc::new(store.clone()), handler, |builder| {
        let builder =
            builder.key(KeyRule::Required).max_body(10).store_timeout(std::time::Duration::from_secs(1));
        match page {
            Some(page) => builder.documentation(&Uri::from_static(page)),
            None => builder,
        }
    });
    let plain = |key: &str| Request::post("/").header("idempotency-key", key).body(Body::empty()).unwrap();
    let mut replies = vec![
        app.ask(Request::post("/").body(Body::empty()).unwrap()).await,
        app.ask(plain("\"")).await,
        app.ask(post("large", "more than ten")).await,
        app.ask(post("panic", "panic")).await,
        app.ask(post("panic", "panic")).await,
        app.ask(post("panic", "other")).await,
    ];
    let (_slow, during) = tokio::join!(app.ask(post("slow", "slow")), async {
        gate.entered().await;
        let during = app.ask(post("slow", "slow")).await;
        gate.open();
        during
    });
    replies.push(during);
    store.fail(Operation::Lock, Fault::Refused(ErrorKind::Full));
    replies.push(app.ask(post("down", "")).await);
    store.fail(Operation::Lock, Fault::Refused(ErrorKind::Corrupt));
    replies.push(app.ask(post("damaged", "")).await);
    replies
}

const EXPECTED: [(u16, &str); 9] = [
    (400, "key_missing"),
    (400, "key_malformed"),
    (413, "body_too_large"),
    (500, "handler_failed"),
    (409, "not_kept"),
    (422, "key_reused"),
    (409, "in_flight"),
    (503, "store_full"),
    (500, "record_unreadable"),
];

#[tokio::test]
async fn every_error_is_a_problem_with_its_members() {
    let replies = problems(None).await;
    let codes: Vec<_> = replies.iter().map(|reply| (reply.status.as_u16(), problem_code(reply))).collect();
    assert_eq!(codes, EXPECTED.map(|(status, code)| (status, code.to_owned())));
    for reply in replies {
        assert!(!reply.headers.contains_key("link"));
        assert!(reply.text().contains("\"about:blank\""), "{reply:?}");
        let title = StatusCode::canonical_reason(&reply.status).unwrap();
        assert!(reply.text().contains(title), "a blank type has the status' title: {reply:?}");
    }
}

#[tokio::test]
async fn problems_link_to_the_configured_page() {
    for (reply, (_, code)) in problems(Some("https://api.example/keys")).await.iter().zip(EXPECTED) {
        assert_eq!(reply.headers["link"], "<https://api.example/keys>; rel=\"describedby\"");
        assert!(reply.text().contains(&format!("\"https://api.example/keys#{code}\"")), "{reply:?}");
        assert_eq!(problem_code(reply), code);
    }
}

#[tokio::test]
async fn only_what_may_succeed_later_says_when() {
    for reply in problems(None).await {
        let code = problem_code(&reply);
        let expected = ["in_flight", "store_full"].contains(&code.as_str());
        assert_eq!(reply.retry_after().is_some(), expected, "{code}");
    }
}
