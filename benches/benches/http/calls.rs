//! Calls one after the other, on one thread, without a socket.

use std::convert::Infallible;
use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use idem_benches::{Bar, Figure, Plan, Result};
use idem_core::Scope;
use idem_http::{IdempotencyLayer, RequestBody, RequestUri};
use idem_moka::MokaStore;
use tokio::runtime::Runtime;
use tokio::time::Instant;
use tower::util::BoxCloneService;
use tower::{Layer as _, ServiceExt as _};

type Body = Full<Bytes>;

const FEW: usize = 100;

/// Times and allocations, away from the threads that the servers use.
pub(crate) async fn figures(plan: &Plan) -> Result<Vec<Figure>> {
    let calls = if plan.rounds > 1 { 20_000 } else { 500 };
    tokio::task::spawn_blocking(move || measure(calls)).await?
}

fn measure(calls: usize) -> Result<Vec<Figure>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let layer = IdempotencyLayer::builder(Arc::new(MokaStore::new(crate::big())?), |_| Ok(Scope::shared()));
    let layered =
        BoxCloneService::new(layer.request_uri(RequestUri::Unchanged).build()?.layer(BoxCloneService::new(
            tower::service_fn(|_: Request<RequestBody<Body>>| async { Ok::<_, Infallible>(answer()) }),
        )));
    let bare = tower::service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(answer()) });
    let bare = BoxCloneService::new(bare);

    let (executed_few, _) = each(&runtime, &layered, 0..FEW);
    let (replayed_few, _) = each(&runtime, &layered, 0..FEW);
    let (executed_many, _) = each(&runtime, &layered, FEW..calls);
    let (replayed_many, replay_us) = each(&runtime, &layered, 0..calls);
    let (_, bare_us) = each(&runtime, &bare, 0..calls);
    let (what, few) = ("allocations of", "with few keys");
    Ok(vec![
        Figure::held(
            "time added in process by a replay on moka, p50",
            Some(replay_us - bare_us),
            "us",
            Bar::AtMost(5.0),
        ),
        Figure::reported(format!("{what} a first execution, {few}"), Some(executed_few), ""),
        Figure::held(
            format!("{what} a first execution, with {calls} keys"),
            Some(executed_many),
            "",
            Bar::AtMost(18.0),
        ),
        Figure::held(
            format!("{what} a first execution, with {calls} keys against few"),
            Some(executed_many / executed_few),
            "x",
            Bar::AtMost(1.0),
        ),
        Figure::held(format!("{what} a replay, {few}"), Some(replayed_few), "", Bar::AtMost(6.0)),
        Figure::held(
            format!("{what} a replay, with {calls} keys against few"),
            Some(replayed_many / replayed_few),
            "x",
            Bar::AtMost(1.0),
        ),
    ])
}

/// The median number of allocations of a call, and its median time in microseconds.
fn each<R: 'static>(
    runtime: &Runtime,
    service: &BoxCloneService<Request<Body>, R, Infallible>,
    keys: std::ops::Range<usize>,
) -> (f64, f64) {
    let (mut allocations, mut times) = (Vec::with_capacity(keys.len()), Vec::with_capacity(keys.len()));
    for key in keys {
        let (asked, service) = (request(key), service.clone());
        let counted = allocation_counter::measure(|| {
            let begun = Instant::now();
            let _ = black_box(runtime.block_on(service.oneshot(asked)));
            times.push(begun.elapsed().as_nanos());
        });
        allocations.push(counted.count_total);
    }
    allocations.sort_unstable();
    times.sort_unstable();
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    (allocations[allocations.len() / 2] as f64, times[times.len() / 2] as f64 / 1_000.0)
}

fn answer() -> Response<Body> {
    static KIBIBYTE: [u8; crate::app::BODY] = [b'x'; crate::app::BODY];
    Response::new(Full::new(Bytes::from_static(&KIBIBYTE)))
}

fn request(key: usize) -> Request<Body> {
    let mut request = Request::new(Full::new(Bytes::from_static(br#"{"cents":250}"#)));
    *request.method_mut() = http::Method::POST;
    let key = format!("\"key-{key}\"");
    if let Ok(value) = key.parse() {
        request.headers_mut().insert("idempotency-key", value);
    }
    request
}
