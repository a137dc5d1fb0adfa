//! A service of tonic with a method of each kind, and metadata of its own in the trailers.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Request};
use http_body_util::BodyExt;
use idem_core::{Scope, Store};
use idem_http::{Attempt, IdempotencyLayer, IdempotencyLayerBuilder, RequestUri};
use tokio::net::TcpListener;
use tokio_stream::{Stream, StreamExt as _};
use tonic::metadata::MetadataMap;
use tonic::server::{Grpc, NamedService};
use tonic::transport::Channel;
use tonic::{Code, Response, Status, Streaming};
use tower::{Service, service_fn};

use super::Plain;

/// The unary method, which the layer locks.
pub(crate) const PAY: &str = "/pay.Pay/Pay";
/// Answers the letters of its message, one by one.
const SPELL: &str = "/pay.Pay/Spell";
/// Answers all of its messages as one.
const JOIN: &str = "/pay.Pay/Join";

/// The `google.rpc.Status` with which `wrong` is answered, of the same status and message.
pub(crate) const DETAILS: &[u8] = b"\x08\x03\x12\x0Fnever: 100 % \xC3\xA4";

/// Called for each execution, with the message and the number of the attempt.
pub(crate) type Witness = Arc<dyn Fn(&str, u64) + Send + Sync>;

/// What `name` answers depends on the message: `wrong` is an error, and `hang` is never answered in its first attempt.
#[derive(Clone)]
pub(crate) struct Pay {
    pub(crate) name: Arc<str>,
    pub(crate) witness: Witness,
}

/// A layer that locks [`PAY`].
pub(crate) fn layer(
    store: impl Store + 'static,
    options: impl FnOnce(IdempotencyLayerBuilder) -> IdempotencyLayerBuilder,
) -> IdempotencyLayer {
    let builder = IdempotencyLayer::builder(store, |_| Ok(Scope::shared()));
    options(builder.request_uri(RequestUri::Unchanged).grpc_unary([PAY])).build().unwrap()
}

/// Serves until it is dropped: tonic's own server, the layer added as its documentation says.
pub(crate) async fn serve(listener: TcpListener, layer: IdempotencyLayer, pay: Pay) {
    let router = tonic::transport::Server::builder().layer(layer).add_service(pay);
    router.serve_with_incoming(tonic::transport::server::TcpIncoming::from(listener)).await.unwrap();
}

/// Calls [`PAY`] under this key, by tonic's own client.
pub(crate) async fn call(address: &str, key: &str, message: &'static str) -> Result<Response<Bytes>, Status> {
    let channel = Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
    let mut client = tonic::client::Grpc::new(channel);
    let mut request = tonic::Request::new(Bytes::from_static(message.as_bytes()));
    request.metadata_mut().insert("idempotency-key", key.parse().unwrap());
    client.ready().await.unwrap();
    client.unary(request, PathAndQuery::from_static(PAY), Plain).await
}

impl NamedService for Pay {
    const NAME: &'static str = "pay.Pay";
}

impl Pay {
    async fn pay(self, request: tonic::Request<Bytes>) -> Result<Response<Bytes>, Status> {
        let attempt = request.extensions().get::<Attempt>().map_or(0, |attempt| attempt.number().into());
        let message = String::from_utf8_lossy(request.get_ref()).into_owned();
        (self.witness)(&message, attempt);
        match &*message {
            "hang" if attempt == 1 => std::future::pending().await,
            "wrong" => {
                let mut metadata = MetadataMap::new();
                metadata.insert("x-served-by", self.name.parse().unwrap());
                metadata.insert_bin("x-proof-bin", tonic::metadata::MetadataValue::from_bytes(b"\0\xFF"));
                let details = Bytes::from_static(DETAILS);
                Err(Status::with_details_and_metadata(
                    Code::InvalidArgument,
                    "never: 100 % ä",
                    details,
                    metadata,
                ))
            }
            _ => {
                let mut response = Response::new(Bytes::from(format!("{message} by attempt {attempt}")));
                response.metadata_mut().insert("x-served-by", self.name.parse().unwrap());
                Ok(response)
            }
        }
    }
}

async fn spell(
    request: tonic::Request<Bytes>,
) -> Result<Response<impl Stream<Item = Result<Bytes, Status>>>, Status> {
    let letters: Vec<_> = request.get_ref().iter().map(|letter| Ok(Bytes::from(vec![*letter]))).collect();
    Ok(Response::new(tokio_stream::iter(letters)))
}

async fn join(request: tonic::Request<Streaming<Bytes>>) -> Result<Response<Bytes>, Status> {
    let mut messages = request.into_inner();
    let mut all = Vec::new();
    while let Some(message) = messages.next().await {
        all.extend_from_slice(&message?);
    }
    Ok(Response::new(all.into()))
}

/// Answers each message at once, while more may come.
pub(crate) async fn talk(
    request: tonic::Request<Streaming<Bytes>>,
) -> Result<Response<impl Stream<Item = Result<Bytes, Status>>>, Status> {
    Ok(Response::new(request.into_inner()))
}

impl Service<Request<tonic::body::Body>> for Pay {
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<tonic::body::Body>) -> Self::Future {
        let pay = self.clone();
        Box::pin(async move {
            let mut grpc = Grpc::new(Plain);
            let response = match request.uri().path() {
                PAY => grpc.unary(service_fn(|request| pay.clone().pay(request)), request).await,
                SPELL => grpc.server_streaming(service_fn(spell), request).await,
                JOIN => grpc.client_streaming(service_fn(join), request).await,
                _ => grpc.streaming(service_fn(talk), request).await,
            };
            Ok(response.map(|body| {
                tonic::body::Body::new(body.map_frame(|mut frame| {
                    if let Some(trailers) = frame.trailers_mut() {
                        trailers.insert(HeaderName::from_static("x-cost"), HeaderValue::from_static("7"));
                    }
                    frame
                }))
            }))
        })
    }
}
