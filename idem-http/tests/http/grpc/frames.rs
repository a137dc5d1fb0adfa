//! Fuzz targets for the frames of gRPC, in calls and in answers: nothing panics, nothing runs twice, and a retry gets
//! what the first call got. `scripts/fuzz` gives each target a million inputs.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::Frame;
use idem_core::{Key, Scope, Store};
use idem_moka::{MokaConfig, MokaStore};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::TestRunner;
use tokio::runtime::Runtime;
use tower::{Layer, Service, ServiceExt as _, service_fn};

use super::pay::{PAY, Pay, layer};
use crate::support::{Calls, Reply, frames};

/// Runs a target on as many inputs as `IDEM_FUZZ_INPUTS` says.
fn runner() -> TestRunner {
    let inputs = std::env::var("IDEM_FUZZ_INPUTS").map(|number| number.parse().unwrap());
    TestRunner::new(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(inputs.unwrap_or(10_000))
    })
}

/// The bytes of a body, and where they are cut into pieces.
type Pieces = (Vec<u8>, Vec<Index>);

fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let flag = prop_oneof![6 => Just(0), 1 => Just(1), 1 => any::<u8>()];
    // How far the declared length is off.
    let more = prop_oneof![6 => Just(0), 1 => -3..4_i64, 1 => Just(1 << 31)];
    (flag, more, vec(any::<u8>(), 0..20)).prop_map(|(flag, more, message)| {
        let len = u32::try_from((i64::try_from(message.len()).unwrap() + more).max(0)).unwrap();
        [&[flag], &len.to_be_bytes()[..], &message].concat()
    })
}

fn any_body() -> impl Strategy<Value = Pieces> {
    let bytes = prop_oneof![
        8 => vec(any_frame(), 0..3).prop_map(|frames| frames.concat()),
        1 => vec(any::<u8>(), 0..20),
    ];
    (bytes, vec(any::<Index>(), 0..4))
}

fn any_trailers() -> impl Strategy<Value = Option<HeaderMap>> {
    prop::option::of(vec(("(x-a|x-b|grpc-message|grpc-status)", "([0-9]{1,2}|[!-~]{0,6})"), 0..3).prop_map(
        |fields| {
            let mut trailers = HeaderMap::new();
            for (name, value) in fields {
                trailers
                    .append(http::HeaderName::try_from(name).unwrap(), HeaderValue::try_from(value).unwrap());
            }
            trailers
        },
    ))
}

fn any_content_type() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        6 => Just("application/grpc"),
        2 => Just("application/grpc+proto"),
        1 => Just("application/grpc;a=b"),
        1 => Just("application/grpcx"),
        1 => Just("application/grpc-web"),
        1 => Just(""),
    ]
}

fn body((bytes, cuts): &Pieces, trailers: Option<&HeaderMap>) -> Body {
    let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    cuts.sort_unstable();
    let ends = cuts.iter().copied().chain([bytes.len()]);
    let begins = [0].into_iter().chain(cuts.iter().copied());
    let pieces = begins.zip(ends).map(|(begin, end)| Frame::data(Bytes::copy_from_slice(&bytes[begin..end])));
    let all: Vec<_> = pieces.chain(trailers.cloned().map(Frame::trailers)).collect();
    frames(all)
}

fn request(content_type: &'static str, body: Body) -> Request<Body> {
    let request = Request::post(PAY).header("content-type", content_type).header("te", "trailers");
    request.header("idempotency-key", "k").body(body).unwrap()
}

/// The two answers to one request that is sent twice, after which its key is free again.
fn twice<S, B>(
    runtime: &Runtime,
    store: &MokaStore,
    service: &S,
    request: impl Fn() -> Request<Body>,
) -> [Reply; 2]
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible> + Clone,
    B: http_body::Body<Data = Bytes>,
    B::Error: std::fmt::Debug,
{
    runtime.block_on(async {
        let first = Reply::read(service.clone().oneshot(request()).await.unwrap()).await;
        let retry = Reply::read(service.clone().oneshot(request()).await.unwrap()).await;
        store.remove(&Key::new(&Scope::shared(), "k").unwrap(), true).await.unwrap();
        [first, retry]
    })
}

fn status(reply: &Reply) -> Option<&HeaderValue> {
    let all = [Some(&reply.headers), reply.trailers.as_ref()];
    all.into_iter().flatten().find_map(|map| map.get("grpc-status"))
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn any_frames_of_a_call_run_it_at_most_once_and_every_retry_is_answered_alike() {
    let (runtime, calls) = (runtime(), Calls::default());
    let store = MokaStore::new(MokaConfig::default()).unwrap();
    let counted = calls.clone();
    let witness = move |_: &str, _| {
        counted.add();
    };
    let pay = Pay { name: "fuzzed".into(), witness: Arc::new(witness) };
    let service = layer(store.clone(), |builder| builder).layer(pay.map_request(to_tonic));
    let input = (any_content_type(), any_body(), any_trailers());
    let run = runner().run(&input, |(content_type, pieces, trailers)| {
        let before = calls.count();
        let [first, retry] =
            twice(&runtime, &store, &service, || request(content_type, body(&pieces, trailers.as_ref())));
        let executed = calls.count() - before;
        prop_assert!(status(&first).is_some(), "{:?}", first);
        prop_assert!(retry.is_replayed() && !first.is_replayed(), "{:?}", retry);
        prop_assert_eq!(retry.content(), first.content());
        prop_assert!(executed <= 1, "{}", executed);
        // One whole message, and nothing else.
        let bytes = &pieces.0;
        let is_whole = bytes.split_first_chunk().is_some_and(|([flag, len @ ..], message): (&[u8; 5], _)| {
            *flag == 0 && usize::try_from(u32::from_be_bytes(*len)) == Ok(message.len())
        });
        if is_whole {
            prop_assert_eq!(executed, 1);
        }
        Ok(())
    });
    run.unwrap();
    assert!(calls.count() > 0, "some of the inputs must be calls");
}

#[test]
fn any_frames_of_an_answer_are_kept_as_they_came() {
    type Answer = (Pieces, Option<HeaderMap>);
    let (runtime, calls) = (runtime(), Calls::default());
    let store = MokaStore::new(MokaConfig::default()).unwrap();
    let answer: Arc<std::sync::Mutex<Option<Answer>>> = Arc::default();
    let handler = {
        let (calls, answer) = (calls.clone(), Arc::clone(&answer));
        service_fn(move |_: Request<_>| {
            calls.add();
            let answer = answer.lock().unwrap();
            let (pieces, trailers) = answer.as_ref().unwrap();
            let response = Response::builder().header("content-type", "application/grpc");
            let response = response.body(body(pieces, trailers.as_ref())).unwrap();
            async { Ok::<_, Infallible>(response) }
        })
    };
    let service = layer(store.clone(), |builder| builder)
        .layer(handler.map_request(|request: Request<idem_http::RequestBody<Body>>| request));
    let run = runner().run(&(any_body(), any_trailers()), |(pieces, trailers)| {
        *answer.lock().unwrap() = Some((pieces.clone(), trailers.clone()));
        let before = calls.count();
        let [first, retry] = twice(&runtime, &store, &service, || request("application/grpc", Body::empty()));
        prop_assert_eq!(&first.body[..], &pieces.0[..]);
        prop_assert_eq!(retry.content(), first.content());
        let status = status(&first).and_then(|status| status.to_str().ok()?.parse::<u32>().ok());
        let says_not_executed = matches!(status, Some(8 | 14));
        prop_assert_eq!(calls.count() - before, 1 + usize::from(says_not_executed));
        prop_assert_eq!(retry.is_replayed(), !says_not_executed);
        // No trailers and empty ones are the same.
        let trailers = trailers.filter(|trailers| !trailers.is_empty());
        prop_assert_eq!(first.trailers.filter(|trailers| !trailers.is_empty()), trailers);
        Ok(())
    });
    run.unwrap();
}

fn to_tonic(request: Request<idem_http::RequestBody<Body>>) -> Request<tonic::body::Body> {
    request.map(tonic::body::Body::new)
}
