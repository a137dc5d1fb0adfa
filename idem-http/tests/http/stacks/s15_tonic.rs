//! A gRPC service of tonic under the layer: its status is in the trailers, and a replay has it too.

use std::convert::Infallible;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http::Request;
use http::uri::PathAndQuery;
use idem_core::ErrorKind;
use idem_core::error::Operation;
use idem_http::{Attempt, IdempotencyLayer, KeyRule};
use idem_moka::{MokaConfig, MokaStore};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::transport::Channel;
use tonic::{Code, Response, Status};
use tower::{Service, service_fn};

use crate::grpc::{self, PAY, Plain, layer, talk};
use crate::support::{App, Calls, Client, Fault, FaultyStore, Gate, Reply, Server};

const TALK: &str = "/pay.Pay/Talk";

/// Answers with the number of its run and of the attempt, or with the status that the message names.
#[derive(Clone)]
struct Pay(Calls);

impl NamedService for Pay {
    const NAME: &'static str = "pay.Pay";
}

impl UnaryService<Bytes> for Pay {
    type Response = Bytes;
    type Future = std::future::Ready<Result<Response<Bytes>, Status>>;

    fn call(&mut self, request: tonic::Request<Bytes>) -> Self::Future {
        let attempt = request.extensions().get::<Attempt>().map(Attempt::number);
        let call = self.0.add();
        std::future::ready(match &request.get_ref()[..] {
            b"unavailable" => Err(Status::unavailable("come again")),
            b"wrong" => Err(Status::invalid_argument("never")),
            _ => Ok(Response::new(Bytes::from(format!("{call} {attempt:?}")))),
        })
    }
}

impl Service<Request<tonic::body::Body>> for Pay {
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<tonic::body::Body>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move {
            Ok(match request.uri().path() {
                TALK => Grpc::new(Plain).streaming(service_fn(talk), request).await,
                _ => Grpc::new(Plain).unary(service, request).await,
            })
        })
    }
}

/// tonic's own server, with the layer added as tonic's documentation says.
async fn serve(calls: &Calls) -> Server {
    serve_under(layer(MokaStore::new(MokaConfig::default()).unwrap(), |builder| builder), calls).await
}

async fn serve_under(layer: IdempotencyLayer, calls: &Calls) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = tonic::transport::Server::builder().layer(layer).add_service(Pay(calls.clone()));
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    let serving = tokio::spawn(async move { router.serve_with_incoming(incoming).await.unwrap() });
    Server { address, serving }
}

fn request(key: &str, message: &str) -> Request<Body> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let frame = [&[0], &length[..], message.as_bytes()].concat();
    Request::post(PAY)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("idempotency-key", key)
        .body(Body::from(frame))
        .unwrap()
}

fn status(reply: &Reply) -> &str {
    let field = reply.trailers.iter().chain([&reply.headers]).find_map(|map| map.get("grpc-status"));
    field.unwrap().to_str().unwrap()
}

#[tokio::test]
async fn a_call_is_replayed_with_its_message_and_status() {
    let calls = Calls::default();
    let server = serve(&calls).await;
    let mut client = Client::http2(&server).await;
    let first = client.ask(request("k", "pay")).await;
    assert_eq!((&first.body[5..], status(&first)), (&b"1 Some(1)"[..], "0"));
    let replay = client.ask(request("k", "pay")).await;
    assert!(replay.is_replayed());
    assert_eq!(replay.content(), first.content());
    assert!(replay.trailers.is_some());
    assert_eq!(calls.count(), 1);
}

#[tokio::test]
async fn an_error_is_kept_unless_its_status_says_that_nothing_was_done() {
    let calls = Calls::default();
    let server = serve(&calls).await;
    let mut client = Client::http2(&server).await;
    for (message, code, runs) in [("wrong", "3", 1), ("unavailable", "14", 2)] {
        let before = calls.count();
        for _ in 0..2 {
            assert_eq!(status(&client.ask(request(message, message)).await), code);
        }
        assert_eq!(calls.count() - before, runs, "{message}");
    }
}

/// tonic's own client, connected to one server.
async fn client(server: &Server) -> tonic::client::Grpc<Channel> {
    let uri = format!("http://{}", server.address);
    tonic::client::Grpc::new(Channel::from_shared(uri).unwrap().connect().await.unwrap())
}

async fn call(server: &Server, key: &str, message: &'static str) -> Result<Response<Bytes>, Status> {
    grpc::call(&server.address.to_string(), key, message).await
}

fn code(status: &Status) -> &str {
    status.metadata().get("idempotency-problem").unwrap().to_str().unwrap()
}

#[tokio::test]
async fn a_client_of_tonic_gets_the_same_message_again() {
    let calls = Calls::default();
    let server = serve(&calls).await;
    let first = call(&server, "k", "pay").await.unwrap();
    let replay = call(&server, "k", "pay").await.unwrap();
    assert_eq!(replay.metadata().get("idempotency-replayed").unwrap(), "true");
    assert_eq!((first.into_inner(), replay.into_inner()), ("1 Some(1)".into(), "1 Some(1)".into()));
    // An error with its status, from the trailers.
    for _ in 0..2 {
        let error = call(&server, "wrong", "wrong").await.unwrap_err();
        assert_eq!((error.code(), error.message()), (Code::InvalidArgument, "never"));
    }
    assert_eq!(calls.count(), 2);
}

#[tokio::test]
async fn a_refusal_has_a_status_of_grpc() {
    let store = FaultyStore::new();
    let calls = Calls::default();
    let server = serve_under(layer(store.clone(), |builder| builder), &calls).await;
    call(&server, "k", "pay").await.unwrap();
    let reused = call(&server, "k", "other").await.unwrap_err();
    assert_eq!((reused.code(), code(&reused)), (Code::FailedPrecondition, "key_reused"));
    let malformed = call(&server, "\"k", "pay").await.unwrap_err();
    assert_eq!((malformed.code(), code(&malformed)), (Code::InvalidArgument, "key_malformed"));
    store.fail(Operation::Lock, Fault::Refused(ErrorKind::Full));
    let full = call(&server, "new", "pay").await.unwrap_err();
    assert_eq!((full.code(), code(&full)), (Code::Unavailable, "store_full"));
    assert_eq!(full.metadata().get("grpc-retry-pushback-ms").unwrap(), "1000");
    assert!(full.message().contains("nothing was done"), "{full}");
    store.mend();
    // While the first call is running.
    let gate = Gate::new();
    store.fail(Operation::Complete, Fault::Held(gate.clone()));
    let address = server.address.to_string();
    let first = tokio::spawn(async move { grpc::call(&address, "slow", "pay").await });
    gate.entered().await;
    let in_flight = call(&server, "slow", "pay").await.unwrap_err();
    assert_eq!((in_flight.code(), code(&in_flight)), (Code::Aborted, "in_flight"));
    gate.open();
    first.await.unwrap().unwrap();
}

/// A client must not get past the layer by a header.
#[tokio::test]
async fn where_no_method_is_named_nothing_is_a_call_of_grpc() {
    let calls = Calls::default();
    let counted = calls.clone();
    let app =
        App::with(move || async move { counted.add().to_string() }, |builder| builder.key(KeyRule::Required));
    for content_type in ["application/grpc", "application/grpcx"] {
        let without = Request::post("/").header("content-type", content_type).body(Body::empty()).unwrap();
        app.ask(without).await;
        let with = || {
            Request::post("/").header("content-type", content_type).header("idempotency-key", content_type)
        };
        for _ in 0..2 {
            app.ask(with().body(Body::empty()).unwrap()).await;
        }
    }
    assert_eq!(calls.count(), 2, "once for each key, and never without one");
}

/// Messages are answered while more may come, even if the call has a key.
#[tokio::test]
async fn a_stream_in_both_directions_goes_on_untouched() {
    let calls = Calls::default();
    let server = serve(&calls).await;
    let mut client = client(&server).await;
    let (sender, messages) = mpsc::channel(1);
    let mut request = tonic::Request::new(ReceiverStream::new(messages));
    request.metadata_mut().insert("idempotency-key", "k".parse().unwrap());
    client.ready().await.unwrap();
    let talk = client.streaming(request, PathAndQuery::from_static(TALK), Plain).await.unwrap();
    let mut answers = talk.into_inner();
    for message in ["one", "two"] {
        sender.send(Bytes::from_static(message.as_bytes())).await.unwrap();
        assert_eq!(answers.next().await.unwrap().unwrap(), message);
    }
    drop(sender);
    assert!(answers.next().await.is_none());
}

#[tokio::test]
async fn a_method_that_is_not_named_is_not_locked() {
    let calls = Calls::default();
    let store = MokaStore::new(MokaConfig::default()).unwrap();
    let unnamed = layer(store, |builder| builder.grpc_unary(["/pay.Other/*"]));
    let server = serve_under(unnamed, &calls).await;
    for _ in 0..2 {
        call(&server, "k", "pay").await.unwrap();
    }
    assert_eq!(calls.count(), 2);
}
