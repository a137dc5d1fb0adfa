//! The body of a request or of an answer, read into memory.

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};

/// A body that was read to its end.
#[derive(Debug, Default)]
pub(crate) struct BufferedBody {
    pub(crate) data: Bytes,
    /// Boxed because trailers are rare and a body is moved often.
    pub(crate) trailers: Option<Box<HeaderMap>>,
}

impl BufferedBody {
    pub(crate) fn next_frame(&mut self) -> Option<Frame<Bytes>> {
        if !self.data.is_empty() {
            return Some(Frame::data(std::mem::take(&mut self.data)));
        }
        self.trailers.take().map(|trailers| Frame::trailers(*trailers))
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        self.data.is_empty() && self.trailers.is_none()
    }

    pub(crate) fn len(&self) -> u64 {
        self.data.len() as u64
    }

    /// Not exact with trailers: servers turn an exact hint into a `Content-Length`, after which no trailers are sent.
    pub(crate) fn size_hint(&self) -> SizeHint {
        if self.trailers.is_none() {
            return SizeHint::with_exact(self.len());
        }
        let mut hint = SizeHint::new();
        hint.set_lower(self.len());
        hint
    }
}
