//! How long an answer is kept, and how its client is told.

use std::sync::Arc;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use http_body::Frame;
use idem_core::clock::{ManualClock, Timestamp};
use idem_core::error::Operation;
use idem_http::{Attempt, IdempotencyLayerBuilder, KeptHeaders, ResponseHead, Verdict};
use idem_moka::{MokaConfig, MokaStore};

use crate::support::{App, Calls, Fault, FaultyStore, frames, now, post, problem_code};

const HOUR: Duration = Duration::from_hours(1);
const EXPIRES: HeaderName = HeaderName::from_static("idempotency-key-expires");

fn clocked() -> (Arc<MokaStore>, ManualClock) {
    let clock = ManualClock::new(Timestamp::from_micros(1_000_000_000));
    let store = MokaStore::with_clock(MokaConfig::default(), Arc::new(clock.clone())).unwrap();
    (Arc::new(store), clock)
}

/// An application whose handler answers with the status in the body of the request, and counts its runs.
fn app(
    calls: &Calls,
    build: impl FnOnce(IdempotencyLayerBuilder) -> IdempotencyLayerBuilder,
) -> (App, ManualClock) {
    let (store, clock) = clocked();
    let counted = calls.clone();
    let handler = move |status: String| async move {
        counted.add();
        StatusCode::from_bytes(status.as_bytes()).unwrap()
    };
    (App::over(store, handler, build), clock)
}

#[tokio::test]
async fn a_verdict_may_say_for_how_long_an_answer_is_kept() {
    let calls = Calls::default();
    let (app, clock) = app(&calls, |builder| {
        builder.retention(24 * HOUR).verdict(|answer| match answer.status() {
            StatusCode::PAYMENT_REQUIRED => Verdict::KeepFor(HOUR),
            StatusCode::CREATED => Verdict::KeepFor(48 * HOUR),
            _ => Verdict::Keep,
        })
    });
    for (key, status, hours) in [("refused", "402", 1), ("usual", "200", 24), ("paid", "201", 48)] {
        let before = calls.count();
        assert!(!app.ask(post(key, status)).await.is_replayed());
        clock.advance((HOUR * hours).saturating_sub(Duration::from_secs(1)));
        assert!(app.ask(post(key, status)).await.is_replayed(), "{key}");
        clock.advance(Duration::from_secs(2));
        assert!(!app.ask(post(key, status)).await.is_replayed(), "{key}");
        assert_eq!(calls.count() - before, 2, "{key}");
    }
}

/// The work has run: a retention that no store accepts must not leave in doubt whether the answer is kept.
#[tokio::test]
async fn a_verdict_with_a_retention_that_no_store_accepts_keeps_for_the_nearest() {
    for time in [Duration::ZERO, Duration::MAX] {
        let calls = Calls::default();
        let (app, _) = app(&calls, |builder| builder.verdict(move |_| Verdict::KeepFor(time)));
        assert_eq!(app.ask(post("k", "200")).await.status, StatusCode::OK);
        assert!(app.ask(post("k", "200")).await.is_replayed(), "at least to the end of its lease");
    }
}

#[tokio::test]
async fn clients_are_told_until_when_an_answer_is_kept_where_that_is_switched_on() {
    let calls = Calls::default();
    let (silent, _) = app(&calls, |builder| builder);
    assert!(!silent.ask(post("k", "200")).await.headers.contains_key(EXPIRES));

    // Even if no other header of an answer is kept.
    let (app, _) = app(&calls, |builder| {
        let verdict = |answer: &ResponseHead<'_>| match answer.status() {
            StatusCode::PAYMENT_REQUIRED => Verdict::KeepFor(HOUR),
            _ => answer.standard_verdict(),
        };
        builder
            .retention(24 * HOUR)
            .expires_header(EXPIRES)
            .kept_headers(KeptHeaders::only([]))
            .verdict(verdict)
    });
    for (key, status, kept_for) in [("usual", "200", 24 * HOUR), ("refused", "402", HOUR)] {
        let now = now();
        let first = app.ask(post(key, status)).await;
        let date = first.headers[EXPIRES].to_str().unwrap().to_owned();
        let expires = httpdate::parse_http_date(&date).unwrap();
        // Dates have whole seconds, and the test may have been slow.
        let expected = now + kept_for;
        assert!(expires + Duration::from_secs(1) >= expected && expires < expected + HOUR / 2, "{date}");
        let replay = app.ask(post(key, status)).await;
        assert!(replay.is_replayed());
        assert_eq!(replay.headers[EXPIRES], date, "a replay says the same");
    }
    for (key, status) in [("released", "503"), ("usual", "201")] {
        let other = app.ask(post(key, status)).await;
        assert!(!other.headers.contains_key(EXPIRES), "{} is not kept", other.status);
    }
}

#[tokio::test]
async fn a_handler_that_completes_its_key_tells_the_same_of_its_lease() {
    let handler = |attempt: Attempt| async move {
        let outcome = attempt.outcome(&http::Response::new("recorded")).unwrap();
        let lease = attempt.lease();
        let _applied = attempt.store().complete(lease, outcome, lease.retention()).await.unwrap();
        let concluded: Result<Response, ()> = attempt.conclude(Ok(idem_core::Transacted::Applied));
        concluded.map_err(|()| StatusCode::INTERNAL_SERVER_ERROR.into_response())
    };
    let app = App::with(handler, |builder| builder.expires_header(EXPIRES));
    let before = now();
    let first = app.ask(post("k", "")).await;
    let date = first.headers[EXPIRES].clone();
    let until = httpdate::parse_http_date(date.to_str().unwrap()).unwrap();
    let expected = before + 24 * HOUR;
    assert!(until + Duration::from_secs(1) >= expected && until < expected + HOUR / 2, "{date:?}");
    assert_eq!(app.ask(post("k", "")).await.headers[EXPIRES], date);
}

/// The verdict sees an answer of gRPC twice, and its status only the second time.
#[tokio::test]
async fn the_verdict_after_the_trailers_decides_for_how_long_a_call_is_kept() {
    let calls = Calls::default();
    let counted = calls.clone();
    let handler = move || async move {
        counted.add();
        let trailers = HeaderMap::from_iter([(HeaderName::from_static("grpc-status"), HeaderValue::from(0))]);
        let body = frames([Frame::data(Bytes::from_static(b"paid")), Frame::trailers(trailers)]);
        ([("content-type", "application/grpc")], body)
    };
    let (store, clock) = clocked();
    let app = App::over(store, handler, |builder| {
        // Successes for the retention, failures for a minute.
        builder.retention(24 * HOUR).verdict(|answer: &ResponseHead<'_>| match answer.grpc_status() {
            Some(0) => Verdict::Keep,
            _ => Verdict::KeepFor(Duration::from_mins(1)),
        })
    });
    app.ask(post("k", "")).await;
    clock.advance(HOUR);
    assert!(app.ask(post("k", "")).await.is_replayed());
    assert_eq!(calls.count(), 1);
}

#[tokio::test]
async fn what_clients_are_told_of_the_end_of_a_key_is_its_end() {
    let (store, clock) = clocked();
    let app = App::over(
        store,
        || async { "answer" },
        |builder| builder.expires_header(EXPIRES).verdict(|_| Verdict::KeepFor(Duration::from_secs(1))),
    );
    let now = now();
    let first = app.ask(post("k", "")).await;
    let until = httpdate::parse_http_date(first.headers[EXPIRES].to_str().unwrap()).unwrap();
    let left = until.duration_since(now).unwrap_or_default();
    clock.advance(left / 2);
    assert!(app.ask(post("k", "")).await.is_replayed(), "clients were told that it lasts longer");
    clock.advance(left / 2 + Duration::from_secs(2));
    assert!(!app.ask(post("k", "")).await.is_replayed(), "the key had ended, clients were told");
}

#[tokio::test]
async fn a_retention_longer_than_any_store_accepts_still_has_an_expiry() {
    let (store, _clock) = clocked();
    let app = App::over(
        store,
        || async { "answer" },
        |builder| builder.expires_header(EXPIRES).verdict(|_| Verdict::KeepFor(Duration::MAX)),
    );
    assert!(app.ask(post("k", "")).await.headers.contains_key(EXPIRES));
}

/// The retry is told that the answer was not kept.
#[tokio::test]
async fn an_answer_that_the_store_does_not_keep_tells_no_end_of_keeping() {
    let mut config = MokaConfig::default();
    config.max_outcome = 1_000;
    let store = MokaStore::new(config).unwrap();
    let app =
        App::over(Arc::new(store), || async { "x".repeat(5_000) }, |builder| builder.expires_header(EXPIRES));
    let first = app.ask(post("k", "")).await;
    assert_eq!(problem_code(&app.ask(post("k", "")).await), "not_kept");
    assert!(!first.headers.contains_key(EXPIRES), "{first:?}");
}

#[tokio::test]
async fn an_answer_that_may_not_be_kept_has_no_expiry() {
    let store = FaultyStore::new();
    store.fail(Operation::Complete, Fault::Refused(idem_core::ErrorKind::Unavailable));
    let app = App::over(
        Arc::new(store),
        || async { "answer" },
        |builder| builder.expires_header(EXPIRES).store_timeout(Duration::from_millis(20)),
    );
    let first = app.ask(post("k", "")).await;
    assert_eq!(first.headers["idempotency-not-kept"], "true");
    assert!(!first.headers.contains_key(EXPIRES), "{first:?}");
}
