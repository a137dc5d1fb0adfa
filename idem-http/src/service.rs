//! The service: which requests it acts on.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower::{BoxError, ServiceExt};
use tower_service::Service;

use crate::execution::attempt::{Attempt, NoAttempt};
use crate::future::ResponseFuture;
use crate::intake::unread::UnreadRequest;
use crate::options::KeyRule;
use crate::request::body::request_body::RequestBody;
use crate::request::key;
use crate::response::body::ResponseBody;
use crate::response::grpc::content_type::is_grpc;
use crate::response::problem::{Kind, Problem};
use crate::shared::Shared;

/// The service that an [`IdempotencyLayer`](crate::IdempotencyLayer) makes around another.
#[derive(Clone)]
pub struct Idempotency<I> {
    inner: I,
    shared: Arc<Shared>,
}

impl<I> Idempotency<I> {
    pub(crate) fn new(inner: I, shared: Arc<Shared>) -> Self {
        Self { inner, shared }
    }

    /// The service inside.
    pub fn inner(&self) -> &I {
        &self.inner
    }
}

impl<I, B, RB> Service<Request<B>> for Idempotency<I>
where
    I: Service<Request<RequestBody<B>>, Response = Response<RB>> + Clone + Send + 'static,
    I::Future: Send + 'static,
    I::Error: Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError> + Send,
    RB: Body<Data = Bytes> + Send + 'static,
    RB::Error: Send,
{
    type Response = Response<ResponseBody<RB>>;
    type Error = I::Error;
    type Future = ResponseFuture<I, B, RB, I::Error>;

    /// Always ready: a replay needs nothing of the inner service, which is asked once the key is locked.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), I::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let options = &self.shared.options;
        if !options.methods.contains(request.method()) {
            return self.untouched(request);
        }
        let is_grpc = is_grpc(request.headers());
        if is_grpc && options.grpc_unary.are_named() {
            let uri = self.shared.request_uri.of(request.extensions(), request.uri());
            let path = uri.as_ref().map_or(request.uri().path(), |uri| uri.path());
            if !options.grpc_unary.contains(path) {
                if options.key_headers.iter().any(|name| request.headers().contains_key(name)) {
                    options.grpc_unary.warn_of_unnamed(path);
                }
                return self.untouched(request);
            }
        }
        let attempt = request.extensions().get::<Attempt>();
        let problem = match key::read(request.headers(), &options.key_headers, options.syntax) {
            Ok(Some(key)) => match self.shared.request_uri.of(request.extensions(), request.uri()) {
                Ok(uri) => {
                    // A layer around this one has locked the key, and keeps the answer.
                    if attempt.is_some_and(|attempt| attempt.is_of(&key, uri)) {
                        return self.untouched(request);
                    }
                    let (shared, service) = (Arc::clone(&self.shared), self.inner.clone());
                    let unread = UnreadRequest { shared, service, request, key, is_grpc };
                    return ResponseFuture::unread(unread);
                }
                Err(problem) => problem,
            },
            // A request without a key of its own is part of the attempt around it.
            Ok(None) if attempt.is_some() => return self.untouched(request),
            Ok(None) if options.key == KeyRule::Optional => {
                // Only axum's extractors read it.
                if cfg!(feature = "axum") {
                    request.extensions_mut().insert(NoAttempt::WithoutKey);
                }
                return self.untouched(request);
            }
            Ok(None) => {
                let name = options.key_headers.first().map_or("", |name| name.as_str());
                Problem::new(Kind::KeyMissing, format!("this operation needs the header {name}"))
            }
            Err(error) => Problem::new(Kind::KeyMalformed, error.to_string()),
        };
        ResponseFuture::ready(options.replies.refuse_as(&problem, is_grpc))
    }
}

impl<I> Idempotency<I> {
    fn untouched<B, RB>(&self, request: Request<B>) -> ResponseFuture<I, B, RB, I::Error>
    where
        I: Service<Request<RequestBody<B>>, Response = Response<RB>> + Clone,
        RB: Body,
    {
        ResponseFuture::untouched(self.inner.clone().oneshot(request.map(RequestBody::untouched)))
    }
}

impl<I: fmt::Debug> fmt::Debug for Idempotency<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Idempotency").field("inner", &self.inner).finish_non_exhaustive()
    }
}
