//! The body that a handler gets.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::budget::BodyShare;
use crate::buffered_body::BufferedBody;

pin_project! {
    /// The body that a handler gets: read to its end by the layer, or untouched if the layer does not act on the request.
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
        Buffered { buffered: BufferedBody, share: Option<BodyShare> },
    }
}

impl<B> RequestBody<B> {
    /// A body that the layer has not read; also for tests of a handler without its layer.
    pub fn untouched(body: B) -> Self {
        Self { kind: Kind::Untouched { body } }
    }

    /// A body that the layer has read. Its share is given back once somebody takes the data.
    pub(crate) fn buffered(buffered: BufferedBody, share: BodyShare) -> Self {
        Self { kind: Kind::Buffered { buffered, share: Some(share) } }
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
            Projected::Buffered { buffered, share } => {
                *share = None;
                Poll::Ready(buffered.next_frame().map(Ok))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Untouched { body } => body.is_end_stream(),
            Kind::Buffered { buffered, .. } => buffered.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Untouched { body } => body.size_hint(),
            Kind::Buffered { buffered, .. } => buffered.size_hint(),
        }
    }
}

/// Copies nothing when the data are `Bytes` already.
pub(crate) fn bytes_frame<D: Buf>(frame: Frame<D>) -> Frame<Bytes> {
    frame.map_data(|mut data| data.copy_to_bytes(data.remaining()))
}
