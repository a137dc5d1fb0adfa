//! The bodies on both sides of the layer.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::body_budget::BodyShare;

/// A body that was read to its end.
#[derive(Debug, Default)]
pub(crate) struct Whole {
    pub(crate) data: Bytes,
    /// Rare, so boxed: a body moves often.
    pub(crate) trailers: Option<Box<HeaderMap>>,
}

impl Whole {
    pub(crate) fn next(&mut self) -> Option<Frame<Bytes>> {
        if !self.data.is_empty() {
            return Some(Frame::data(std::mem::take(&mut self.data)));
        }
        self.trailers.take().map(|trailers| Frame::trailers(*trailers))
    }

    pub(crate) fn is_over(&self) -> bool {
        self.data.is_empty() && self.trailers.is_none()
    }

    pub(crate) fn len(&self) -> u64 {
        self.data.len() as u64
    }

    /// Not exact with trailers: servers make a `Content-Length` of an exact one, and no trailers follow that.
    pub(crate) fn size_hint(&self) -> SizeHint {
        if self.trailers.is_none() {
            return SizeHint::with_exact(self.len());
        }
        let mut hint = SizeHint::new();
        hint.set_lower(self.len());
        hint
    }
}

pin_project! {
    /// The body that a handler gets: read to its end by the layer, or, where the layer had nothing to do with
    /// the request, untouched.
    #[derive(Debug)]
    pub struct RequestBody<B> {
        #[pin]
        kind: Kind<B>,
    }
}

pin_project! {
    #[derive(Debug)]
    #[project = Projected]
    enum Kind<B> {
        Untouched { #[pin] body: B },
        Whole { whole: Whole, share: Option<BodyShare> },
    }
}

impl<B> RequestBody<B> {
    /// A body that the layer has nothing to do with; also for tests of a handler without its layer.
    pub fn untouched(body: B) -> Self {
        Self { kind: Kind::Untouched { body } }
    }

    /// Its share is given back once somebody takes the data.
    pub(crate) fn whole(whole: Whole, share: BodyShare) -> Self {
        Self { kind: Kind::Whole { whole, share: Some(share) } }
    }
}

impl<B: Body> Body for RequestBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project().kind.project() {
            Projected::Untouched { body } => {
                body.poll_frame(cx).map(|frame| frame.map(|frame| frame.map(bytes_frame)))
            }
            Projected::Whole { whole, share } => {
                *share = None;
                Poll::Ready(whole.next().map(Ok))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Untouched { body } => body.is_end_stream(),
            Kind::Whole { whole, .. } => whole.is_over(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Untouched { body } => body.size_hint(),
            Kind::Whole { whole, .. } => whole.size_hint(),
        }
    }
}

/// Copies nothing when the data are `Bytes` already.
pub(crate) fn bytes_frame<D: Buf>(frame: Frame<D>) -> Frame<Bytes> {
    frame.map_data(|mut data| data.copy_to_bytes(data.remaining()))
}
