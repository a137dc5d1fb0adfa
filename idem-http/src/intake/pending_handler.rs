//! A handler that has not been called yet.

use http::{Request, Uri};

use crate::request::body::request_body::RequestBody;
use crate::request::key::IdempotencyKey;

/// What is needed to run a handler. It stays in one place, since each future that it moved through would reserve room
/// for it.
pub(crate) struct PendingHandler<I, B> {
    pub(crate) service: I,
    /// `None` once the service was called with it.
    pub(crate) request: Option<Request<RequestBody<B>>>,
    /// `None` once it is part of the handler's attempt.
    pub(crate) identity: Option<RequestIdentity>,
}

/// Which request of a client it is: its key, and the URI as the client sent it.
#[derive(Clone)]
pub(crate) struct RequestIdentity {
    pub(crate) key: IdempotencyKey,
    pub(crate) uri: Uri,
}
