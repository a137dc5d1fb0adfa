//! What is kept of a request's body.

/// What is kept of a request's body. The bytes of a stream cannot be kept.
use bytes::Bytes;

#[derive(Clone)]
pub(crate) enum KeptBody {
    Nothing,
    Bytes(Bytes),
    Stream,
}
