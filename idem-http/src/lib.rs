//! The `Idempotency-Key` header for any tower stack: **for one key, one execution, and the same answer for every
//! retry.**
//!
//! A client that lost an answer sends its request again. With a key in the header `Idempotency-Key` the
//! [`IdempotencyLayer`] runs its handler once and gives every retry the first answer: the behaviour of the IETF draft
//! [draft-ietf-httpapi-idempotency-key-header]. It works on any [`Store`](idem_core::Store): in memory, in a file, on a
//! Redis cluster.
//!
//! | a request with a key | is answered with |
//! |---|---|
//! | the first one | its handler's answer |
//! | a retry after that | the same status, headers, body and trailers, and `Idempotency-Replayed: true` |
//! | a retry while the first one runs | 409 with `Retry-After`, or, by policy, the answer once it is there |
//! | another request with the same key | 422 |
//! | a malformed key, or a required one that is missing | 400 |
//! | any, while the store is down | 503 with `Retry-After`: nothing runs without a lock |
//! | one whose body finds no room beside the bodies of others | 503 with `Retry-After` |
//!
//! Every refusal is a [problem] of RFC 9457, or has a status of gRPC (see below). Requests without a key, and methods
//! other than `POST` and `PATCH`, go to their handlers unchanged.
//!
//! [draft-ietf-httpapi-idempotency-key-header]: https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
//!
//! # axum
//! ```
//! use std::sync::Arc;
//!
//! use axum::extract::Request;
//! use axum::http::StatusCode;
//! use axum::middleware::{Next, from_fn};
//! use axum::response::Response;
//! use axum::{Router, routing::post};
//! use idem_core::{Scope, Store};
//! use idem_http::{IdempotencyLayer, scope_from};
//! use idem_moka::{MokaConfig, MokaStore};
//!
//! #[derive(Clone)]
//! struct Account(u64);
//!
//! /// Stands outside the layer, so that a replay is authenticated as its first request was.
//! async fn authenticate(mut request: Request, next: Next) -> Result<Response, StatusCode> {
//!     let token = request.headers().get("authorization").ok_or(StatusCode::UNAUTHORIZED)?;
//!     let account = if token == "Bearer demo" { Account(1) } else { return Err(StatusCode::UNAUTHORIZED) };
//!     request.extensions_mut().insert(account);
//!     Ok(next.run(request).await)
//! }
//!
//! fn app(store: Arc<dyn Store>) -> idem_core::Result<Router> {
//!     let scope = scope_from(|account: &Account| Scope::new(format!("account:{}", account.0)));
//!     let idempotency = IdempotencyLayer::builder(store, scope).build()?;
//!     // The layer that is added last stands outermost.
//!     Ok(Router::new()
//!         .route("/payments", post(|| async { (StatusCode::CREATED, "paid") }))
//!         .route_layer(idempotency)
//!         .layer(from_fn(authenticate)))
//! }
//!
//! # fn main() -> idem_core::Result<()> {
//! let app = app(Arc::new(MokaStore::new(MokaConfig::default())?))?;
//! # let _ = app;
//! # Ok(())
//! # }
//! ```
//!
//! With the feature `axum`, [`Attempt`] and [`IdempotencyKey`] are extractors.
//!
//! # Any tower service
//! The inner service takes requests with a [`RequestBody`] around the body that the server gives; its answers may
//! have any body of [`Bytes`](bytes::Bytes).
//!
//! ```
//! use std::convert::Infallible;
//! use std::sync::Arc;
//!
//! use bytes::Bytes;
//! use http::{Request, Response};
//! use http_body_util::Full;
//! use idem_core::{Scope, Store};
//! use idem_http::{IdempotencyLayer, RequestBody, RequestUri};
//! use tower::{Service, ServiceBuilder};
//!
//! async fn handle<B>(request: Request<RequestBody<B>>) -> Result<Response<Full<Bytes>>, Infallible> {
//!     Ok(Response::new(Full::from(format!("{} done", request.uri().path()))))
//! }
//!
//! fn service<B>(
//!     store: Arc<dyn Store>,
//! ) -> idem_core::Result<impl Service<Request<B>, Error = Infallible> + Clone>
//! where
//!     B: http_body::Body<Data = Bytes, Error = hyper::Error> + Send + 'static,
//! {
//!     // There is one tenant, and no router outside that removes prefixes. Both must be stated.
//!     let idempotency = IdempotencyLayer::builder(store, |_| Ok(Scope::shared()))
//!         .request_uri(RequestUri::Unchanged)
//!         .build()?;
//!     Ok(ServiceBuilder::new().layer(idempotency).service_fn(handle))
//! }
//! # let _ = service::<hyper::body::Incoming>;
//! ```
//!
//! # Routes
//! The URI as the client sent it is part of the request that a key stands for. Routers that nest others remove its
//! prefix, so the layer reads the URI from where it was kept: by axum's own router of the version that the feature
//! `axum` names, or by an [`OriginalUriLayer`] outside of any router. Where no router stands outside the layer, say
//! [`RequestUri::Unchanged`]. Where the layer cannot know the URI of a request with a key it answers 500 and runs
//! nothing. Without the feature `axum`, `build` fails until one of them is chosen.
//!
//! A request inside a request, such as a part of a batch, has an attempt of its own when it has a key or a URI of its
//! own, whatever extensions it was given; one without a key is part of the attempt around it.
//!
//! # gRPC
//! Once [`IdempotencyLayerBuilder::grpc_unary`] names unary methods, the layer acts on these, trailers and all, and
//! every other call of gRPC goes to its handler unchanged, since HTTP does not tell a unary call from a stream. A
//! refusal is a Trailers-Only answer: `ABORTED` while the first call runs, `FAILED_PRECONDITION` for a key that was
//! used for another call or whose answer was not kept, `INVALID_ARGUMENT` for a malformed key, `UNAVAILABLE` while the
//! store cannot answer, with `grpc-retry-pushback-ms` where it helps to ask again, and the problem's code as
//! `idempotency-problem`. The same is in `grpc-status-details-bin`, for clients that read `google.rpc.Status`: an
//! `ErrorInfo` with the code in capitals and the domain `idem-http`, and a `RetryInfo` where it helps to ask again.
//!
//! # Scopes and authentication
//! Clients choose their keys, so two of them may choose the same one, by chance or to read each other's answers. The
//! scope keeps them apart: make it from what was *authenticated* (an account, a tenant), never from a header that the
//! client can write, and add the route when one key may serve two routes. Whoever has the scope, the key and the same
//! request gets the answer. So a replay shows the answer only to those who could have made the request.
//!
//! The layer therefore stands inside authentication and authorisation, and a retry passes both again. Where rights were
//! revoked meanwhile, the retry gets no replay. `docs/where-the-layer-stands.md` of the repository has the whole
//! order: CORS, compression and tracing outside, limits of concurrency inside, and what each does the other way round.
//!
//! Not everything in an answer is for every retry. [`KeptHeaders`] leaves out cookies and credentials, and values
//! [marked sensitive](http::HeaderValue::set_sensitive). A handler gets `Accept-Encoding: identity` whatever coding its
//! client accepts, so compression belongs outside. A body that must not be stored gets [`Verdict::DoNotKeep`].
//!
//! # Lease and retention
//! The [lease](IdempotencyLayerBuilder::lease) is how long a handler may be silent before a retry may run the request
//! again. It is renewed while the handler runs, so it does not limit how long a handler may take. It is the time for
//! which a key stays blocked when the server dies: seconds to a minute. A handler that blocks its thread also blocks
//! the renewals. Renewals extend the lease until [`renew_for`](IdempotencyLayerBuilder::renew_for) after the handler
//! began and no longer, so from then on a retry may run the request again.
//!
//! The [retention](IdempotencyLayerBuilder::retention) is how long an answer is replayed. Choose it longer than any
//! client retries: after it the same key is a new request.
//!
//! # Effects that cannot be undone
//! When the server dies in a handler, its lease ends and a retry runs the handler again: nobody knows how far it had
//! come. The handler's effects have to allow for that, in one of these ways, the strongest first:
//!
//! - In one transaction: on redb `complete_with`, on PostgreSQL `complete_and_commit` commits the application's own data
//!   and the completion together. [`Attempt::outcome`] makes the outcome, [`Attempt::conclude`] the handler's answer.
//! - In steps: [`Attempt::save`] keeps a checkpoint after each, and the next attempt continues from it. A step that was
//!   running may happen twice, so it needs a key of its own downstream, made from [`Attempt::key`] and the step: that
//!   key is the same in every attempt.
//! - Fenced: [`Attempt::token`] rises with every attempt; a system that remembers the highest token can refuse a late
//!   holder.
//!
//! A client that goes away cancels nothing: the handler runs to its end and its answer is kept. A shutdown waits for
//! [`running`](IdempotencyLayer::running) handlers. A handler that panicked is not run again by default
//! ([`WhenHandlerFails`]).
//!
//! # What is kept, and what is not
//! A key is released only where somebody says that nothing ran, since running a handler twice is the worse mistake. By
//! default these say so:
//! - 429 and 503, and `RESOURCE_EXHAUSTED` and `UNAVAILABLE` of gRPC: a handler that answers them after an effect needs a
//!   [verdict](IdempotencyLayerBuilder::verdict) of its own;
//! - a handler that marks its answer as [`NotExecuted`];
//! - the inner service, by an error of its readiness, or by tower's `load_shed` before it waited for anything;
//! - an axum router: the layer takes an answer for the router's own when it has no body and no `Content-Type`, waited
//!   for nothing, and is 405, or 404 where no route fits (`nest_service` included). A handler that answers one of these
//!   after an effect gives it a body.
//!
//! Every other answer is kept, also a handler's 401, 403 or 404: a retry gets it again, even if rights or data have
//! changed meanwhile, until the client takes a new key. [`IdempotencyLayerBuilder::release_on`] releases the keys of
//! some statuses. An answer that is too long, takes too long, or changes the protocol reaches its client whole; a retry
//! is told that it was not kept, and the handler does not run again.
//!
//! # Memory
//! The layer reads the whole body of a request with a key, of up to [`max_body`](IdempotencyLayerBuilder::max_body)
//! bytes, within [`body_timeout`](IdempotencyLayerBuilder::body_timeout). All bodies that it holds take at most
//! [`max_bodies_bytes`](IdempotencyLayerBuilder::max_bodies_bytes) together, however many are half-sent or wait. An
//! answer takes up to [`max_response`](IdempotencyLayerBuilder::max_response) of memory until it is kept. A limit of
//! concurrency inside bounds how many answers there are at a time.
//!
//! # Guide
//! `docs/guide/` of the repository has a page on each of these: ten minutes, scopes, lease and retention, results,
//! effects; beside it, where the layer stands.
//!
//! # Features
//! - `axum`: the extractors, and the URI that axum's routers keep.
//! - `canonical-json`: `FingerprintRecipe::canonical_json`.
//! - `metrics`: counts of the [answers](metrics), and those of the store.

#[cfg(feature = "axum")]
mod axum;
mod buffered_body;
mod builder;
mod execution;
mod future;
#[cfg(test)]
mod fuzz;
mod intake;
mod layer;
pub mod metrics;
mod options;
mod request;
mod response;
mod running;
mod service;
mod shared;
mod timeout;

#[cfg(feature = "axum")]
pub use axum::AttemptMissing;
pub use builder::layer_builder::IdempotencyLayerBuilder;
pub use execution::attempt::Attempt;
pub use future::ResponseFuture;
pub use layer::IdempotencyLayer;
pub use options::{Detached, KeyRule, WhenHandlerFails, WhenInFlight, WhenNotRecorded, WhenStoreFails};
pub use request::body::request_body::RequestBody;
pub use request::fingerprint::recipe::FingerprintRecipe;
pub use request::key::{IdempotencyKey, KeySyntax};
pub use request::original_uri::{OriginalUriLayer, OriginalUriService, RequestUri, original_uri};
pub use request::scope::{ScopeError, scope_from};
pub use response::body::ResponseBody;
pub use response::kept_headers::KeptHeaders;
pub use response::outcome::NotKept;
pub use response::problem;
pub use response::stored::{NotStoredByTheLayer, StoredResponse};
pub use response::verdict::{InDoubt, NOT_EXECUTED, NotExecuted, ResponseHead, Verdict};
pub use running::Running;
pub use service::Idempotency;
