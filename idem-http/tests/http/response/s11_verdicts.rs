//! Which answers are kept, and what becomes of a key whose handler gave none.

use std::time::Duration;

use axum::Extension;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use http_body::Frame;
use http_body_util::Full;
use idem_http::{NOT_EXECUTED, NotExecuted, RequestBody, RequestUri, Verdict, WhenHandlerFails};
use tower::{Layer, ServiceExt};

use crate::support::{App, Calls, Client, Server, frames, post, problem_code};

/// How often a handler runs when its request is sent twice, and the status of both answers.
async fn twice(answer: impl Fn() -> Response + Clone + Send + Sync + 'static) -> (usize, [StatusCode; 2]) {
    let calls = Calls::default();
    let counted = calls.clone();
    let app = App::new(move || async move {
        counted.add();
        answer()
    });
    let first = app.ask(post("k", "")).await;
    assert!(!first.headers.contains_key(NOT_EXECUTED), "the mark is for the layer");
    let second = app.ask(post("k", "")).await;
    (calls.count(), [first.status, second.status])
}

#[tokio::test]
async fn everything_is_kept_but_429_and_503() {
    for status in [200, 201, 302, 400, 401, 404, 409, 422, 500, 502, 504] {
        let status = StatusCode::from_u16(status).unwrap();
        assert_eq!(twice(move || status.into_response()).await, (1, [status; 2]));
    }
    for status in [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE] {
        assert_eq!(twice(move || status.into_response()).await, (2, [status; 2]));
    }
}

#[tokio::test]
async fn what_the_handler_marks_as_not_executed_releases_the_key() {
    let by_extension = || (StatusCode::LOCKED, Extension(NotExecuted)).into_response();
    assert_eq!(twice(by_extension).await, (2, [StatusCode::LOCKED; 2]));
    // As a part of an answer, which an error type can add.
    let by_part = || (StatusCode::LOCKED, NotExecuted, "come again").into_response();
    assert_eq!(twice(by_part).await, (2, [StatusCode::LOCKED; 2]));
}

/// A proxying handler passes on the headers of other servers, which must not be able to make a request run twice.
#[tokio::test]
async fn a_header_says_that_nothing_was_executed_only_where_it_is_obeyed() {
    for (is_obeyed, runs) in [(false, 1), (true, 2)] {
        let calls = Calls::default();
        let counted = calls.clone();
        let handler = move || async move {
            counted.add();
            (StatusCode::CREATED, [(NOT_EXECUTED, "1")])
        };
        let app = App::with(handler, |builder| builder.not_executed_header(is_obeyed));
        let first = app.ask(post("k", "")).await;
        assert_eq!(first.headers.contains_key(NOT_EXECUTED), !is_obeyed);
        let second = app.ask(post("k", "")).await;
        assert_eq!((calls.count(), second.is_replayed()), (runs, !is_obeyed));
        assert!(!second.is_replayed() || !second.headers.contains_key(NOT_EXECUTED));
    }
}

#[tokio::test]
async fn answers_of_a_status_that_says_so_release_the_key() {
    for (status, runs) in [(StatusCode::FORBIDDEN, 2), (StatusCode::NOT_FOUND, 1)] {
        let calls = Calls::default();
        let counted = calls.clone();
        let handler = move || async move {
            counted.add();
            status
        };
        let app = App::with(handler, |builder| {
            builder.release_on([StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN])
        });
        app.ask(post("k", "")).await;
        assert_eq!(app.ask(post("k", "")).await.status, status);
        assert_eq!(calls.count(), runs, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_takes_too_long_is_dropped_and_not_run_again() {
    let calls = Calls::default();
    let counted = calls.clone();
    let handler = move || async move {
        counted.add();
        std::future::pending::<()>().await;
    };
    let app = App::with(handler, |builder| builder.handler_timeout(Duration::from_secs(5)));
    let first = app.ask(post("k", "")).await;
    assert_eq!(
        (first.status, problem_code(&first).as_str()),
        (StatusCode::GATEWAY_TIMEOUT, "handler_timeout")
    );
    let second = app.ask(post("k", "")).await;
    assert_eq!((second.status, problem_code(&second).as_str()), (StatusCode::CONFLICT, "not_kept"));
    assert_eq!((calls.count(), app.layer.running().count()), (1, 0));
}

#[tokio::test]
async fn a_stream_of_events_is_neither_buffered_nor_kept() {
    for stream in ["text/event-stream", "Text/Event-Stream; charset=utf-8", "application/x-ndjson"] {
        let events = move || ([("content-type", stream)], "data: 1\n\n").into_response();
        assert_eq!(twice(events).await, (1, [StatusCode::OK, StatusCode::CONFLICT]), "{stream}");
    }
}

#[tokio::test]
async fn a_retry_is_told_why_an_answer_was_not_kept() {
    let app = App::with(
        |body: String| async move {
            if body == "stream" { crate::support::repeated("x", 3) } else { body.into() }
        },
        |builder| builder.verdict(|_| Verdict::DoNotKeep),
    );
    for (body, reason) in [("stream", "streamed"), ("secret", "the result was not kept")] {
        app.ask(post(body, body)).await;
        let retry = app.ask(post(body, body)).await;
        assert_eq!(problem_code(&retry), "not_kept");
        assert!(retry.text().contains(reason), "{retry:?}");
    }
}

#[tokio::test]
async fn a_custom_verdict_decides() {
    let calls = Calls::default();
    let counted = calls.clone();
    let handler = move |body: String| async move {
        counted.add();
        StatusCode::from_bytes(body.as_bytes()).unwrap()
    };
    let app = App::with(handler, |builder| {
        builder.verdict(|answer| match answer.status() {
            StatusCode::OK => Verdict::Keep,
            StatusCode::CREATED => Verdict::DoNotKeep,
            _ => Verdict::Release,
        })
    });
    for (status, runs, second) in [("200", 1, 200), ("201", 1, 409), ("400", 2, 400)] {
        let before = calls.count();
        app.ask(post(status, status)).await;
        let reply = app.ask(post(status, status)).await;
        assert_eq!((calls.count() - before, reply.status.as_u16()), (runs, second), "{status}");
    }
}

/// An answer of gRPC: HTTP status 200, and the call's own status in the trailers.
fn grpc(code: u32) -> Response {
    let status = HeaderValue::from(code);
    let trailers = HeaderMap::from_iter([(HeaderName::from_static("grpc-status"), status)]);
    let body = frames([Frame::data(Bytes::from_static(b"\0\0\0\0\0")), Frame::trailers(trailers)]);
    ([("content-type", "application/grpc+proto")], body).into_response()
}

#[tokio::test]
async fn for_grpc_the_status_in_the_trailers_decides() {
    for (code, runs) in [(0, 1), (3, 1), (13, 1), (8, 2), (14, 2)] {
        assert_eq!(twice(move || grpc(code)).await.0, runs, "grpc-status {code} in trailers");
        let trailers_only = move || {
            let headers =
                [("content-type", "application/grpc".to_owned()), ("grpc-status", code.to_string())];
            headers.into_response()
        };
        assert_eq!(twice(trailers_only).await.0, runs, "grpc-status {code} in headers");
    }
    // Digits alone: a client does not read these as 8 or 14 either.
    for no_code in ["+8", " 14x", "-0", ""] {
        let answer = move || [("content-type", "application/grpc"), ("grpc-status", no_code)].into_response();
        assert_eq!(twice(answer).await.0, 1, "{no_code:?}");
    }
    let no_grpc = || [("grpc-status", "14")].into_response();
    assert_eq!(twice(no_grpc).await.0, 1);
}

async fn panics(when: Option<WhenHandlerFails>) -> (usize, [(u16, String); 2]) {
    let calls = Calls::default();
    let counted = calls.clone();
    let handler = move || async move {
        assert!(counted.add() > 1_000, "as the test says");
    };
    let app = App::with(handler, |builder| match when {
        Some(when) => builder.when_handler_panics(when),
        None => builder,
    });
    let server = Server::start(app.router).await;
    let mut client = Client::http1(&server).await;
    let [first, second] = [client.ask(post("k", "")).await, client.ask(post("k", "")).await];
    (calls.count(), [first, second].map(|reply| (reply.status.as_u16(), problem_code(&reply))))
}

#[tokio::test]
async fn a_panic_is_500_and_the_key_is_kept_or_released() {
    let failed = (500, "handler_failed".to_owned());
    let not_kept = (409, "not_kept".to_owned());
    assert_eq!(panics(None).await, (1, [failed.clone(), not_kept]));
    assert_eq!(panics(Some(WhenHandlerFails::Release)).await, (2, [failed.clone(), failed]));
}

#[tokio::test]
async fn a_panic_in_the_applications_verdict_counts_as_one_of_the_handler() {
    let calls = Calls::default();
    let counted = calls.clone();
    let handler = move || async move { counted.add().to_string() };
    let app = App::with(handler, |builder| builder.verdict(|_| panic!("as the test says")));
    assert_eq!(problem_code(&app.ask(post("k", "")).await), "handler_failed");
    assert_eq!(problem_code(&app.ask(post("k", "")).await), "not_kept");
    assert_eq!(calls.count(), 1);
}

#[tokio::test]
async fn the_error_of_a_failing_service_is_passed_on_and_its_key_is_kept_or_released() {
    for (when, runs) in [(WhenHandlerFails::Keep, 1), (WhenHandlerFails::Release, 2)] {
        let calls = Calls::default();
        let counted = calls.clone();
        let service = tower::service_fn(move |_request: Request<RequestBody<Full<Bytes>>>| {
            counted.add();
            async { Err::<http::Response<Full<Bytes>>, _>("out of order") }
        });
        let app = App::with(
            || async {},
            |builder| builder.when_service_fails(when).request_uri(RequestUri::Unchanged),
        );
        let service = app.layer.layer(service);
        let request = || post("k", "").map(|_| Full::<Bytes>::default());
        assert_eq!(service.clone().oneshot(request()).await.unwrap_err(), "out of order");
        let second = service.oneshot(request()).await;
        if when == WhenHandlerFails::Keep {
            assert_eq!(second.unwrap().status(), StatusCode::CONFLICT);
        } else {
            assert_eq!(second.unwrap_err(), "out of order");
        }
        assert_eq!(calls.count(), runs);
    }
}

#[tokio::test(start_paused = true)]
async fn a_released_key_is_free_at_once() {
    let calls = Calls::default();
    let counted = calls.clone();
    let handler = move || async move {
        match counted.add() {
            1 => StatusCode::SERVICE_UNAVAILABLE.into_response(),
            _ => "now".into_response(),
        }
    };
    let app = App::with(handler, |builder| builder.lease(Duration::from_hours(1)));
    app.ask(post("k", "")).await;
    assert_eq!(app.ask(post("k", "")).await.text(), "now");
}
