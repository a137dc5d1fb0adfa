//! The URI of a request as its client sent it.
//!
//! Two routes must never look the same to the layer. Routers that nest others hand on a URI without its prefix. So the
//! layer reads the original URI from the request's extensions, or [`RequestUri::Unchanged`] says that nothing changes
//! the URI.

use std::task::{Context, Poll};

use http::{Extensions, Request, Uri};
use tower_layer::Layer;
use tower_service::Service;

use crate::response::problem::{Kind, Problem};

/// Where an [`IdempotencyLayer`](crate::IdempotencyLayer) finds the URI of a request as its client sent it.
///
/// The URI is part of what a key is for: two routes that differ in nothing but a prefix, which a router takes off
/// before the layer sees the request, must not get each other's answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestUri {
    /// In the request's extensions, where something outside keeps it: an axum router of the version that the feature
    /// `axum` names, or an [`OriginalUriLayer`], with any router. A request whose URI nothing has kept is answered with
    /// 500, and nothing runs.
    Original,
    /// In the request itself: nothing changes the URI between the server and the layer. For a layer around a whole
    /// router, or in front of a service without one.
    Unchanged,
}

/// Keeps the URI of each request before routers inside change it. Stands outermost, for an
/// [`IdempotencyLayer`](crate::IdempotencyLayer) anywhere inside.
///
/// An axum router does the same by itself, when it is of the version that the feature `axum` names.
///
/// ```
/// use std::convert::Infallible;
/// use std::sync::Arc;
///
/// use bytes::Bytes;
/// use http::{Request, Response};
/// use http_body_util::Full;
/// use idem_core::{Scope, Store};
/// use idem_http::{IdempotencyLayer, OriginalUriLayer, RequestBody, RequestUri};
/// use tower::{Service, ServiceBuilder};
///
/// async fn handle<B>(_: Request<RequestBody<B>>) -> Result<Response<Full<Bytes>>, Infallible> {
///     Ok(Response::new(Full::from("done")))
/// }
///
/// /// Takes `/v1` off, as a router would.
/// fn strip<B>(mut request: Request<B>) -> Request<B> {
///     if let Some(path) = request.uri().path().strip_prefix("/v1").and_then(|path| path.parse().ok()) {
///         *request.uri_mut() = path;
///     }
///     request
/// }
///
/// fn service<B>(store: Arc<dyn Store>) -> idem_core::Result<impl Service<Request<B>>>
/// where
///     B: http_body::Body<Data = Bytes> + Send + 'static,
///     B::Error: std::error::Error + Send + Sync + 'static,
/// {
///     let idempotency = IdempotencyLayer::builder(store, |_| Ok(Scope::shared()))
///         .request_uri(RequestUri::Original)
///         .build()?;
///     Ok(ServiceBuilder::new()
///         .layer(OriginalUriLayer::new())
///         .map_request(strip)
///         .layer(idempotency)
///         .service_fn(handle))
/// }
/// # let _ = service::<Full<Bytes>>;
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct OriginalUriLayer(());

/// The service that an [`OriginalUriLayer`] makes around another.
#[derive(Debug, Clone)]
pub struct OriginalUriService<I> {
    inner: I,
}

/// The URI as the client sent it, in a request's extensions.
#[derive(Clone)]
struct StoredUri(Uri);

impl OriginalUriLayer {
    /// The layer.
    #[must_use]
    pub fn new() -> Self {
        Self(())
    }
}

impl<I> Layer<I> for OriginalUriLayer {
    type Service = OriginalUriService<I>;

    fn layer(&self, inner: I) -> OriginalUriService<I> {
        OriginalUriService { inner }
    }
}

impl<I: Service<Request<B>>, B> Service<Request<B>> for OriginalUriService<I> {
    type Response = I::Response;
    type Error = I::Error;
    type Future = I::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), I::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> I::Future {
        // The outermost such layer keeps the URI, since no router came before it.
        if request.extensions().get::<StoredUri>().is_none() {
            // An axum router outside may have kept the URI before.
            let uri = original_uri(request.extensions()).unwrap_or(request.uri()).clone();
            request.extensions_mut().insert(StoredUri(uri));
        }
        self.inner.call(request)
    }
}

/// The URI of a request as its client sent it, where an [`OriginalUriLayer`] or axum's router kept it.
///
/// Meant for a scope that depends on the route: the URI that a nested router sees lacks the prefix.
#[must_use]
pub fn original_uri(extensions: &Extensions) -> Option<&Uri> {
    let stored = extensions.get::<StoredUri>().map(|stored| &stored.0);
    #[cfg(feature = "axum")]
    let stored = stored.or_else(|| extensions.get::<axum::extract::OriginalUri>().map(|stored| &stored.0));
    stored
}

impl RequestUri {
    /// The default. There is none without the feature `axum`.
    pub(crate) fn default_choice() -> Option<Self> {
        cfg!(feature = "axum").then_some(Self::Original)
    }

    /// The URI of a request as its client sent it; `own` is the URI that the request has now.
    pub(crate) fn of<'a>(self, extensions: &'a Extensions, own: &'a Uri) -> Result<&'a Uri, Problem> {
        match self {
            Self::Unchanged => Ok(own),
            Self::Original => original_uri(extensions).ok_or_else(route_unknown),
        }
    }
}

#[cold]
fn route_unknown() -> Problem {
    tracing::error!(
        "the idempotency layer cannot see which route a request is for: say request_uri(RequestUri::Unchanged) when \
         nothing outside it changes URIs, or put an OriginalUriLayer outermost"
    );
    Problem::new(Kind::RouteUnknown, "the server could not tell which route this idempotency key is for")
}
