//! Reading a request's body into one buffer, within bounds of bytes and time.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use http_body::{Body, Frame};
use http_body_util::LengthLimitError;
use pin_project_lite::pin_project;
use tokio::task::coop::consume_budget;
use tokio::time::{Instant, Sleep, sleep_until};
use tower::BoxError;

use crate::body::{Whole, bytes_frame};
use crate::patience::YEAR;
use crate::problem::{Kind, Problem};

pin_project! {
    /// Comes to the whole body. By hand, so that it needs no box: most bodies are there at the second look.
    pub(crate) struct ReadBody<B> {
        #[pin]
        body: B,
        // Bytes that the request says its body has.
        declared: Option<u64>,
        limit: usize,
        time: Duration,
        // None until something must be waited for.
        #[pin]
        timer: Option<Sleep>,
        // A body of one piece, or nothing once there is a buffer.
        read: Whole,
        buffer: BytesMut,
    }
}

impl<B: Body> ReadBody<B> {
    /// Of `limit` bytes at most, that arrive within `time`.
    pub(crate) fn new(headers: &HeaderMap, body: B, limit: usize, time: Duration) -> Result<Self, Problem> {
        let declared = declared_length(headers)?;
        if declared.unwrap_or(0).max(body.size_hint().lower()) > limit as u64 {
            return Err(too_large(limit));
        }
        let (read, buffer) = (Whole::default(), BytesMut::new());
        Ok(Self { body, declared, limit, time: time.min(YEAR), timer: None, read, buffer })
    }
}

impl<B> Future for ReadBody<B>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    type Output = Result<Whole, Problem>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            match next_frame(self.as_mut().project().body, cx) {
                Poll::Ready(Some(Ok(frame))) => self.as_mut().take(frame)?,
                Poll::Ready(Some(Err(error))) => {
                    return Poll::Ready(Err(broken(error.into().as_ref(), self.limit)));
                }
                Poll::Ready(None) => return Poll::Ready(self.whole()),
                Poll::Pending => return self.wait(cx).map(Err),
            }
        }
    }
}

/// A body that is always ready must not keep its thread, or it would never meet its time limit.
fn next_frame<B: Body>(
    body: Pin<&mut B>,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
    ready!(pin!(consume_budget()).poll(cx));
    body.poll_frame(cx)
}

impl<B: Body> ReadBody<B> {
    fn take(self: Pin<&mut Self>, frame: Frame<B::Data>) -> Result<(), Problem> {
        let this = self.project();
        match frame.into_data() {
            Ok(data) if data.remaining() > *this.limit - this.read.data.len() - this.buffer.len() => {
                Err(too_large(*this.limit))
            }
            Ok(data) => {
                let least = this.declared.unwrap_or(0).max(this.body.size_hint().lower());
                append(&mut this.read.data, this.buffer, data, least);
                Ok(())
            }
            Err(frame) => {
                this.read.trailers = bytes_frame(frame).into_trailers().ok();
                Ok(())
            }
        }
    }

    fn whole(self: Pin<&mut Self>) -> Result<Whole, Problem> {
        let this = self.project();
        let mut whole = std::mem::take(this.read);
        if !this.buffer.is_empty() {
            whole.data = std::mem::take(this.buffer).freeze();
        }
        if this.declared.is_some_and(|declared| declared != whole.len()) {
            return Err(incomplete());
        }
        Ok(whole)
    }

    /// Waits for the end of its time.
    fn wait(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Problem> {
        let mut this = self.project();
        let now = Instant::now();
        if this.timer.is_none() {
            this.timer.set(Some(sleep_until(now + *this.time)));
        }
        let Some(timer) = this.timer.as_pin_mut() else { return Poll::Pending };
        // What gave way without waiting for anything never lets a timer tell.
        if now >= timer.deadline() || timer.poll(cx).is_ready() {
            return Poll::Ready(late(*this.time));
        }
        Poll::Pending
    }
}

/// A body of one piece stays where it is; from the second on they go into one buffer of the declared size.
fn append<D: Buf>(first: &mut Bytes, buffer: &mut BytesMut, mut data: D, least: u64) {
    if first.is_empty() && buffer.is_empty() {
        *first = data.copy_to_bytes(data.remaining());
        return;
    }
    if buffer.is_empty() {
        let least = usize::try_from(least).unwrap_or(0);
        buffer.reserve(least.max(first.len() + data.remaining()));
        buffer.extend_from_slice(first);
        *first = Bytes::new();
    }
    while data.has_remaining() {
        let piece = data.chunk();
        buffer.extend_from_slice(piece);
        let len = piece.len();
        data.advance(len);
    }
}

/// A server refuses contradictory lengths by itself; in front of other callers this does.
fn declared_length(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let mut values = headers.get_all(CONTENT_LENGTH).iter();
    let Some(first) = values.next() else { return Ok(None) };
    let length = first.to_str().ok().and_then(|value| value.parse().ok());
    match length {
        Some(length) if values.all(|value| value == first) => Ok(Some(length)),
        _ => Err(incomplete()),
    }
}

fn broken(error: &(dyn std::error::Error + 'static), limit: usize) -> Problem {
    let mut cause = Some(error);
    while let Some(error) = cause {
        // A limit of the server outside this layer, `axum::extract::DefaultBodyLimit` or the like.
        if error.is::<LengthLimitError>() {
            return too_large(limit);
        }
        cause = error.source();
    }
    tracing::debug!(error, "a request's body broke off");
    incomplete()
}

fn late(time: Duration) -> Problem {
    Problem::new(Kind::BodyTimeout, format!("the body did not arrive within {time:?}; nothing was done"))
}

fn incomplete() -> Problem {
    Problem::new(Kind::BodyIncomplete, "the body is not as long as it says; nothing was done")
}

fn too_large(limit: usize) -> Problem {
    Problem::new(
        Kind::BodyTooLarge,
        format!("a request with an idempotency key may have a body of {limit} bytes at most"),
    )
}
