//! What is kept of a request's body.

use bytes::Bytes;

#[derive(Clone)]
pub(crate) enum KeptBody {
    Nothing,
    Bytes(Bytes),
    Stream,
}
