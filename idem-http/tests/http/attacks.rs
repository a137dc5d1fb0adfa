//! What attacks on the layer showed once.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body::{Frame, SizeHint};
use idem_core::{ManualClock, Operation, Scope, Timestamp};
use idem_http::{Answer, IdempotencyLayer, Recipe, RequestUri, Verdict};
use idem_moka::{MokaConfig, MokaStore};
use tokio::time::{sleep, timeout};
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
use tracing::Instrument;
use tracing_subscriber::layer::SubscriberExt;

use crate::support::{
    App, Calls, Fault, FaultyStore, Gate, channel_of, frames, now, post, problem_code, shared_scope,
};

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const EXPIRES: HeaderName = HeaderName::from_static("idempotency-key-expires");

fn clocked() -> (Arc<MokaStore>, ManualClock) {
    let clock = ManualClock::new(Timestamp::from_micros(1_000_000_000));
    let store = MokaStore::with_clock(MokaConfig::default(), Arc::new(clock.clone())).unwrap();
    (Arc::new(store), clock)
}

/// The verdict sees a call of gRPC twice, and only the second time how it ended.
#[tokio::test]
async fn a_call_that_is_to_be_kept_once_its_trailers_are_seen_is_kept_for_the_retention() {
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
        builder.retention(24 * HOUR).verdict(|answer: &Answer<'_>| match answer.grpc_status() {
            Some(0) => Verdict::Keep,
            _ => Verdict::KeepFor(MINUTE),
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
    clock.advance(until.duration_since(now).unwrap_or_default() + Duration::from_secs(2));
    assert!(!app.ask(post("k", "")).await.is_replayed(), "the key had ended, clients were told");
}

#[tokio::test]
async fn a_retention_longer_than_any_store_takes_still_tells_its_end() {
    let (store, _clock) = clocked();
    let app = App::over(
        store,
        || async { "answer" },
        |builder| builder.expires_header(EXPIRES).verdict(|_| Verdict::KeepFor(Duration::MAX)),
    );
    assert!(app.ask(post("k", "")).await.headers.contains_key(EXPIRES));
}

/// Its retry is told that it is not kept.
#[tokio::test]
async fn an_answer_that_the_store_does_not_keep_tells_no_end_of_keeping() {
    let store = MokaStore::new(MokaConfig { max_outcome: 1_000, ..MokaConfig::default() }).unwrap();
    let app =
        App::over(Arc::new(store), || async { "x".repeat(5_000) }, |builder| builder.expires_header(EXPIRES));
    let first = app.ask(post("k", "")).await;
    assert_eq!(problem_code(&app.ask(post("k", "")).await), "not_kept");
    assert!(!first.headers.contains_key(EXPIRES), "{first:?}");
}

#[tokio::test]
async fn an_answer_of_which_it_is_unknown_whether_it_is_kept_tells_no_end_of_keeping() {
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

#[tokio::test]
async fn one_account_leaves_room_to_the_others_whatever_the_largest_body() {
    let store = MokaStore::new(MokaConfig::default()).unwrap();
    let layer =
        IdempotencyLayer::builder(store, |parts| Ok(Scope::new(parts.headers["account"].as_bytes())?));
    // As by default with a `max_body` of 64 MiB or more.
    let layer = layer.max_body(10_000).max_bodies_bytes(10_000).build().unwrap();
    let app = axum::Router::new().route("/", axum::routing::post(|body: Bytes| async move { body }));
    let router = app.layer(layer.clone());
    let ask = |account: &str, key: &str, body: Body| {
        let mut request = post(key, body);
        request.headers_mut().insert("account", account.parse().unwrap());
        let router = router.clone();
        tokio::spawn(async move { crate::support::ask(&router, request).await })
    };
    let mut half_sent = Vec::new();
    for key in 0..100 {
        let (body, sender) = channel_of(SizeHint::with_exact(200));
        let asked = ask("flood", &key.to_string(), body);
        sender.send("0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789");
        half_sent.push((asked, sender));
        sleep(Duration::from_millis(1)).await;
    }
    let mut served = 0;
    for account in 0..8 {
        let answer = ask(&account.to_string(), "k", "x".repeat(100).into()).await.unwrap();
        served += usize::from(answer.status == StatusCode::OK);
    }
    assert!(served >= 6, "{served} of 8 while one account holds {}", layer.bodies_bytes());
}

#[tokio::test]
async fn a_body_for_which_there_is_room_is_taken_though_there_is_none_for_its_double() {
    let app = App::with(
        |body: Bytes| async move { body.len().to_string() },
        |b| b.max_body(100).max_bodies_bytes(100),
    );
    let (body, sender) = channel_of(SizeHint::with_exact(20));
    let router = app.router.clone();
    let other = tokio::spawn(async move { crate::support::ask(&router, post("other", body)).await });
    sender.send("0123456789");
    while app.layer.bodies_bytes() < 10 {
        sleep(Duration::from_millis(1)).await;
    }
    // 60 bytes of the 90 that are free, without a length known before.
    let pieces = [50, 10].map(|len| Frame::data(Bytes::from(vec![b'x'; len])));
    let answer = app.ask(post("k", frames(pieces))).await;
    assert_eq!(answer.text(), "60");
    drop((other, sender));
}

tokio::task_local! {
    static TENANT: u64;
}

/// A layer outside that sets it around the future of the answer, as `inner.call(request)` gives it.
#[tokio::test]
async fn a_scope_sees_what_the_layer_outside_sets_for_the_future_of_the_answer() {
    let seen = Arc::new(Mutex::new(None));
    let saw = Arc::clone(&seen);
    let store = MokaStore::new(MokaConfig::default()).unwrap();
    let layer = IdempotencyLayer::builder(store, move |_| {
        *saw.lock().unwrap() = TENANT.try_get().ok();
        Ok(Scope::shared())
    });
    let layer = layer.request_uri(RequestUri::Unchanged).build().unwrap();
    let handler = service_fn(|_| async { Ok::<_, std::convert::Infallible>(Response::new(Body::empty())) });
    let mut inner = ServiceBuilder::new().layer(layer).service(handler);
    let request: Request<Body> = post("k", "");
    let answer = inner.call(request);
    TENANT.scope(7, answer).await.unwrap();
    assert_eq!(*seen.lock().unwrap(), Some(7));
}

#[tokio::test]
async fn one_that_gave_up_its_turn_keeps_nobody_from_his_while_its_key_is_released() {
    let store = FaultyStore::new();
    let releasing = Gate::new();
    store.fail(Operation::Release, Fault::Held(releasing.clone()));
    let gate = Gate::new();
    let waits = gate.clone();
    let handler = service_fn(move |_| {
        let waits = waits.clone();
        async move {
            waits.pass().await;
            Ok::<_, std::convert::Infallible>(Response::new(Body::empty()))
        }
    });
    let layer = shared_scope(Arc::new(store)).request_uri(RequestUri::Unchanged);
    let layer = layer.handler_timeout(Duration::from_millis(20)).store_timeout(HOUR).build().unwrap();
    let service = ServiceBuilder::new().layer(layer).concurrency_limit(1).service(handler);
    // Without a key it is none of the layer's.
    let plain = || Request::post("/").body(Body::empty()).unwrap();
    let first = tokio::spawn(service.clone().oneshot(plain()));
    gate.entered().await;
    let gave_up = tokio::spawn(service.clone().oneshot(post("k", "")));
    releasing.entered().await;
    let third = tokio::spawn(service.clone().oneshot(plain()));
    gate.open();
    first.await.unwrap().unwrap();
    timeout(Duration::from_secs(10), gate.entered()).await.unwrap();
    gate.open();
    third.await.unwrap().unwrap();
    releasing.open();
    gave_up.await.unwrap().unwrap();
}

fn form(boundary: &str, body: &str) -> idem_core::Fingerprint {
    let kind = format!("multipart/form-data; boundary={boundary}");
    let (parts, ()) = Request::post("/").header("content-type", kind).body(()).unwrap().into_parts();
    Recipe::new().fingerprint(&parts, &Bytes::from(body.to_owned()))
}

/// axum's (multer's) first boundary may stand anywhere, not at the beginning of a line alone: it reads `cents = 100` of the
/// first and not of the second.
#[test]
fn forms_that_differ_in_what_a_boundary_within_the_preamble_begins_are_two_requests() {
    let body = |boundary: &str| {
        format!(
            "x--one\r\nContent-Disposition: form-data; name=\"cents\"\r\n\r\n100\
             \r\n--{boundary}\r\nContent-Disposition: form-data; name=\"to\"\r\n\r\nme\r\n--{boundary}--\r\n"
        )
    };
    assert_ne!(form("one", &body("one")), form("two", &body("two")));
}

/// Many readers take a line that ends with LF alone for a line (of Go, Python, PHP behind a proxy).
#[test]
fn forms_that_differ_in_what_a_boundary_after_a_bare_line_feed_parts_are_two_requests() {
    let body = |boundary: &str| {
        format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\n--one\nContent-Disposition: \
             form-data; name=\"cents\"\n\n100\r\n--{boundary}--\r\n"
        )
    };
    assert_ne!(form("one", &body("one")), form("two", &body("two")));
}

/// RFC 2046: a delimiter line is the boundary and white space; with anything else in it the line is content.
#[test]
fn forms_that_differ_in_a_line_that_only_begins_like_a_boundary_are_two_requests() {
    let body = |boundary: &str| {
        format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n\r\n--{boundary} cents\r\n\
             \r\n--{boundary}--\r\n"
        )
    };
    assert_ne!(form("one", &body("one")), form("two", &body("two")));
}

type Parents = Arc<Mutex<Vec<Option<&'static str>>>>;

/// Whose children the layer's spans are.
struct Heard(Parents);

impl<S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>>
    tracing_subscriber::Layer<S> for Heard
{
    fn on_new_span(
        &self,
        attributes: &tracing::span::Attributes<'_>,
        id: &tracing::span::Id,
        context: tracing_subscriber::layer::Context<'_, S>,
    ) {
        if attributes.metadata().name() == "idem.http" {
            let parent = context.span(id).unwrap().parent().map(|parent| parent.name());
            self.0.lock().unwrap().push(parent);
        }
    }
}

#[tokio::test]
async fn the_layers_span_is_in_the_one_that_instruments_the_future_of_the_answer() {
    let parents = Parents::default();
    let subscriber = tracing_subscriber::registry().with(Heard(Arc::clone(&parents)));
    let _default = tracing::subscriber::set_default(subscriber);
    let handler = service_fn(|_| async { Ok::<_, std::convert::Infallible>(Response::new(Body::empty())) });
    let mut inner = ServiceBuilder::new().layer(crate::support::bare_layer()).service(handler);
    let request: Request<Body> = post("k", "");
    inner.call(request).instrument(tracing::info_span!("request")).await.unwrap();
    assert_eq!(*parents.lock().unwrap(), [Some("request")]);
}
