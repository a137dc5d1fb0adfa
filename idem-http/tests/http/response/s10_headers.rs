//! Which headers of an answer its retries get.

use http::header::{LOCATION, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue};
use idem_http::KeptHeaders;

use crate::support::{App, Reply, builder, post};

async fn handler() -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("location", "/payments/7"),
        ("www-authenticate", "Basic"),
        ("link", "<a>"),
        ("link", "<b>"),
        ("set-cookie", "session=1"),
        ("authorization", "Bearer x"),
        ("authentication-info", "x"),
        ("connection", "x-of-this-hop"),
        ("x-of-this-hop", "1"),
        ("keep-alive", "timeout=5"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("x-request-id", "7"),
        ("x-b3-traceid", "7"),
        ("date", "Thu, 01 Jan 1970 00:00:00 GMT"),
    ] {
        headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    let mut secret = HeaderValue::from_static("once");
    secret.set_sensitive(true);
    headers.append("x-secret", secret);
    headers
}

async fn first_and_replay(kept: KeptHeaders) -> (Reply, Vec<String>) {
    let app = App::with(handler, |builder| builder.kept_headers(kept));
    let first = app.ask(post("k", "")).await;
    let replay = app.ask(post("k", "")).await;
    let mut names: Vec<_> = replay.headers.keys().map(|name| name.as_str().to_owned()).collect();
    names.sort();
    names.retain(|name| !["idempotency-replayed", "content-length"].contains(&name.as_str()));
    let links: Vec<_> = replay.headers.get_all("link").iter().collect();
    assert!(links.is_empty() || links == ["<a>", "<b>"], "several values stay several: {links:?}");
    (first, names)
}

#[tokio::test]
async fn all_are_kept_but_those_of_one_connection_caller_or_trace() {
    let (first, kept) = first_and_replay(KeptHeaders::new()).await;
    assert_eq!(kept, ["link", "location", "www-authenticate"]);
    for name in ["set-cookie", "traceparent", "x-secret", "x-request-id"] {
        assert!(first.headers.contains_key(name), "the first client gets {name}");
    }
}

#[tokio::test]
async fn an_allow_list_keeps_its_own_only() {
    let (_, kept) = first_and_replay(KeptHeaders::only([LOCATION, http::header::CONNECTION])).await;
    assert_eq!(kept, ["location"]);
}

#[tokio::test]
async fn a_deny_list_and_an_extra_list_change_the_default() {
    let kept = KeptHeaders::new().also([SET_COOKIE]).without([http::header::LINK]);
    assert_eq!(first_and_replay(kept).await.1, ["location", "set-cookie", "www-authenticate"]);
}

#[tokio::test]
async fn the_layers_own_headers_are_never_kept() {
    let handler = || async { [("idempotency-replayed", "forged"), ("idempotency-not-kept", "forged")] };
    let app = App::new(handler);
    app.ask(post("k", "")).await;
    let replay = app.ask(post("k", "")).await;
    assert!(replay.is_replayed());
    assert_eq!(replay.headers.get_all("idempotency-replayed").iter().count(), 1);
    assert!(!replay.headers.contains_key("idempotency-not-kept"));
}

/// Names and values are validated when they are read back: other bytes are not an answer.
#[tokio::test]
async fn a_record_that_is_not_an_answer_is_a_problem_and_nothing_is_run() {
    use idem_core::{Outcome, StoreExt};
    use std::sync::Arc;

    let store = Arc::new(idem_moka::MokaStore::new(idem_moka::MokaConfig::default()).unwrap());
    let calls = crate::support::Calls::default();
    let counted = calls.clone();
    let app = App::over(store.clone(), move || async move { counted.add().to_string() }, |builder| builder);
    let scope = idem_core::Scope::shared();
    let header = b"\x01\x00\xC8\x00\x01\x00\x00\x00\x00\x00\x0C\x00\x05\x00\x00\x00\x01x\none1body";
    for (name, bytes) in [("empty", &b""[..]), ("newline", header), ("other", b"{\"status\":200}")] {
        let request = post(name, "");
        let (parts, _) = request.into_parts();
        let fingerprint = idem_http::FingerprintRecipe::new().fingerprint(&parts, &bytes::Bytes::new());
        let key = idem_core::Key::new(&scope, name).unwrap();
        let policy =
            idem_core::Policy::new(std::time::Duration::from_secs(30), std::time::Duration::from_hours(1));
        let work = |_| async { Ok::<_, ()>(Outcome::Value(bytes::Bytes::from_static(bytes))) };
        let _executed = store.execute_outcome(&key, &fingerprint, &policy, work).await.unwrap();
        let reply = app.ask(post(name, "")).await;
        assert_eq!(crate::support::problem_code(&reply), "record_unreadable", "{name}");
    }
    assert_eq!(calls.count(), 0);
}

#[test]
fn the_layers_own_headers_cannot_have_reserved_names() {
    let refused = |built: idem_core::Result<idem_http::IdempotencyLayer>| {
        let error = built.unwrap_err();
        assert_eq!(error.kind(), idem_core::ErrorKind::InvalidConfig);
        error.message().to_owned()
    };
    for name in ["content-length", "transfer-encoding", "date", "content-type", "trailer", "grpc-status"] {
        let name = HeaderName::from_static(name);
        let message = refused(builder().expires_header(name.clone()).build());
        assert!(message.contains("expires_header") && message.contains(name.as_str()), "{message}");
        assert!(refused(builder().replayed_header(name.clone()).build()).contains("replayed_header"));
        assert!(refused(builder().not_kept_header(name).build()).contains("not_kept_header"));
    }
    assert!(builder().expires_header(HeaderName::from_static("expires")).build().is_ok());
}

/// A handler's answer to a first request must not say that it is a replay, nor that nothing was executed: in front of
/// another layer with `not_executed_header` that would run it twice.
#[test]
fn no_two_of_the_layers_own_headers_have_the_same_name() {
    let (replayed, not_kept) =
        (HeaderName::from_static("idempotency-replayed"), HeaderName::from_static("idempotency-not-kept"));
    let mut built = Vec::new();
    for (said, builder) in [
        ("expires is replayed", builder().expires_header(replayed.clone())),
        ("expires is not_kept", builder().expires_header(not_kept.clone())),
        ("not_kept is replayed", builder().not_kept_header(replayed)),
        ("expires is NOT_EXECUTED", builder().expires_header(idem_http::NOT_EXECUTED)),
        ("replayed is NOT_EXECUTED", builder().replayed_header(idem_http::NOT_EXECUTED)),
        ("not_kept is NOT_EXECUTED", builder().not_kept_header(idem_http::NOT_EXECUTED)),
    ] {
        if builder.build().is_ok() {
            built.push(said);
        }
    }
    assert!(built.is_empty(), "{built:?}");
}
