//! Options for reading requests.

use std::time::Duration;

use http::Method;
use http::header::HeaderName;

use super::layer_builder::IdempotencyLayerBuilder;
use crate::options::KeyRule;
use crate::request::fingerprint::recipe::FingerprintRecipe;
use crate::request::key::KeySyntax;
use crate::request::original_uri::RequestUri;
use crate::request::unary_methods::UnaryMethods;

impl IdempotencyLayerBuilder {
    /// Whether a request may come without a key. Default: [`KeyRule::Optional`].
    pub fn key(mut self, rule: KeyRule) -> Self {
        self.options.key = rule;
        self
    }

    /// The methods that the layer acts on; requests with other methods go to their handlers unchanged, whatever headers
    /// they have. Default: `POST` and `PATCH`.
    pub fn methods(mut self, methods: impl IntoIterator<Item = Method>) -> Self {
        self.options.methods = methods.into_iter().collect();
        self
    }

    /// The unary methods of gRPC that the layer acts on: `/pay.Pay/Charge`, or `/pay.Pay/*` for all of a service. Calls
    /// of other methods then go to their handlers unchanged, since they may be streams; the first one with a key is
    /// logged. Default: none, and every call with a key is taken for a unary one.
    pub fn grpc_unary(mut self, methods: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.options.grpc_unary = UnaryMethods::new(methods.into_iter().map(Into::into).collect());
        self
    }

    /// The headers that may hold the key. A request with two of them is answered with 400. Default:
    /// `Idempotency-Key`.
    pub fn key_headers(mut self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        self.options.key_headers = names.into_iter().collect();
        self
    }

    /// How the value of the header is read. Default: [`KeySyntax::Lenient`].
    pub fn syntax(mut self, syntax: KeySyntax) -> Self {
        self.options.syntax = syntax;
        self
    }

    /// Where the layer finds the URI as the client sent it. Default: [`RequestUri::Original`] with the feature `axum`;
    /// without it there is no default, and the application has to choose.
    pub fn request_uri(mut self, uri: RequestUri) -> Self {
        self.options.request_uri = Some(uri);
        self
    }

    /// How the fingerprint of a request is made. Default: [`FingerprintRecipe::new`].
    pub fn fingerprint(mut self, recipe: FingerprintRecipe) -> Self {
        self.options.recipe = recipe;
        self
    }

    /// The largest body of a request with a key, in bytes. A longer one is answered with 413. Default: 1 MiB.
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.options.body.max_bytes = bytes;
        self
    }

    /// The bytes that the bodies of all requests with a key may take at one time, for this layer and its clones. A body
    /// takes what has arrived of it, half-sent or whole: while it arrives, while its request waits for the store, for
    /// another request with its key or for a limit inside, and until its handler takes it or the request ends
    /// otherwise. A request whose body finds no room is answered with 503 and `Retry-After`, and is not executed; what
    /// it held is free at once. Default: 64 MiB, or twice [`max_body`](IdempotencyLayerBuilder::max_body) where that is
    /// more.
    ///
    /// The bound holds however many bodies are half-sent. Not counted are the copy of a body whose buffer is just
    /// growing, and the buffers that the server reads into, which the head of a request keeps alive as long as the
    /// request.
    ///
    /// A sender that stalls holds its bytes for [`body_timeout`](IdempotencyLayerBuilder::body_timeout) at most. One
    /// scope may take nine times what is still free, and always one body of `max_body`, so that its flood leaves a
    /// tenth to the others. The shared scope may take all. What a handler has taken is not counted: limit how many run
    /// inside.
    pub fn max_bodies_bytes(mut self, bytes: usize) -> Self {
        self.options.max_bodies_bytes = Some(bytes);
        self
    }

    /// How long the body may take to arrive, from the moment the layer first waits for it. After that the request is
    /// answered with 408. Default: 30 s.
    pub fn body_timeout(mut self, time: Duration) -> Self {
        self.options.body.timeout = time;
        self
    }
}
