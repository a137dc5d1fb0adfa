//! A gRPC service of tonic under the layer: its status is in the trailers, and a replay has it too.

use std::convert::Infallible;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::{Buf, BufMut, Bytes};
use http::Request;
use idem_http::{Attempt, IdempotencyLayer};
use tokio::net::TcpListener;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::{Response, Status};
use tower::Service;

use crate::support::{Calls, Client, Reply, Server, bare_layer};

/// Messages are plain bytes.
#[derive(Default)]
struct Plain;

impl Codec for Plain {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Plain {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for Plain {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

/// Answers how often it ran, or with the status that the message names.
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
        Box::pin(async move { Ok(Grpc::new(Plain).unary(service, request).await) })
    }
}

fn layer() -> IdempotencyLayer {
    bare_layer()
}

/// A server of tonic itself, the layer added as its documentation says.
async fn serve(calls: &Calls) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = tonic::transport::Server::builder().layer(layer()).add_service(Pay(calls.clone()));
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    let serving = tokio::spawn(async move { router.serve_with_incoming(incoming).await.unwrap() });
    Server { address, serving }
}

fn request(key: &str, message: &str) -> Request<Body> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let frame = [&[0], &length[..], message.as_bytes()].concat();
    Request::post("/pay.Pay/Pay")
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
