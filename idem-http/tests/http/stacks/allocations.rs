//! What a replay allocates: little more than its headers, whatever the body and however many keys there are.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use idem_http::{Idempotency, RequestBody, RequestUri};
use idem_moka::{MokaConfig, MokaStore};
use tower::{Layer, ServiceExt};

use crate::support::shared_scope;

type Service = tower::util::BoxCloneService<
    Request<RequestBody<Full<Bytes>>>,
    Response<Full<Bytes>>,
    std::convert::Infallible,
>;

/// A handler that answers with a body of this length and some headers.
fn service(body: usize) -> Idempotency<Service> {
    let mut config = MokaConfig::default();
    config.max_bytes = 1 << 30;
    let layer = shared_scope(Arc::new(MokaStore::new(config).unwrap()));
    let layer = layer.request_uri(RequestUri::Unchanged).build().unwrap();
    let body = Bytes::from(vec![b'x'; body]);
    layer.layer(Service::new(tower::service_fn(move |_request| {
        let answer = Response::builder().header("content-type", "application/json").header("x-own", "1");
        let response = answer.body(Full::new(body.clone())).unwrap();
        async move { Ok(response) }
    })))
}

fn request(key: usize) -> Request<Full<Bytes>> {
    let request = Request::post("/payments").header("idempotency-key", format!("\"key-{key}\""));
    request.body(Full::new(Bytes::from_static(b"{\"cents\":100}"))).unwrap()
}

/// The allocations of one call and their bytes: the fewest over several calls, since the store cleans up at times.
macro_rules! fewest {
    ($runtime:expr, $service:expr, $keys:expr, replayed: $replayed:expr) => {{
        let mut fewest = (u64::MAX, u64::MAX);
        for key in $keys {
            let request = request(key);
            let service = $service.clone();
            let measured = allocation_counter::measure(|| {
                let response = $runtime.block_on(service.oneshot(request)).unwrap();
                assert_eq!(response.headers().contains_key("idempotency-replayed"), $replayed);
            });
            fewest = fewest.min((measured.count_total, measured.bytes_total));
        }
        fewest
    }};
}

#[test]
fn a_replay_allocates_little_more_than_its_headers_and_no_body() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let mut replays = Vec::new();
    for body in [1 << 10, 1 << 19] {
        let service = service(body);
        let executed = fewest!(runtime, service, 0..20, replayed: false);
        let replayed = fewest!(runtime, service, 0..20, replayed: true);
        println!("a body of {body} bytes: executed {executed:?}, replayed {replayed:?} (allocations, bytes)");
        assert!(replayed.0 <= 10, "{replayed:?}");
        assert!(replayed.1 < 8 << 10, "{replayed:?}");
        assert!(executed.1 < 2 * body as u64 + (16 << 10), "one copy into the record: {executed:?}");
        replays.push(replayed);
    }
    assert_eq!(replays[0].0, replays[1].0);
    // Only the digits of the length differ.
    assert!(replays[0].1.abs_diff(replays[1].1) < 16, "the body is shared, not copied: {replays:?}");
}

#[test]
fn a_replay_allocates_the_same_among_ten_thousand_keys() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let service = service(100);
    let _first = fewest!(runtime, service, 0..20, replayed: false);
    let among_few = fewest!(runtime, service, 0..20, replayed: true);
    let _more = fewest!(runtime, service, 20..10_000, replayed: false);
    let among_many = fewest!(runtime, service, 0..20, replayed: true);
    assert_eq!(among_few, among_many);
}
