//! The content type of gRPC.

use http::header::{CONTENT_TYPE, HeaderMap};

/// Whether these are the headers of a call of gRPC, or of its answer. False for gRPC-Web, whose trailers are in the body.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    let rest = headers.get(CONTENT_TYPE).and_then(|value| value.as_bytes().strip_prefix(b"application/grpc"));
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}
