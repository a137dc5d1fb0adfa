//! Reading a request's body into one buffer, within bounds of bytes and time.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Buf;
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use http_body::{Body, Frame};
use http_body_util::LengthLimitError;
use pin_project_lite::pin_project;
use tokio::task::coop::consume_budget;
use tokio::time::{Instant, Sleep, sleep_until};
use tower::BoxError;

use super::budget::BodyShare;
use super::buffer::BodyBuffer;
use super::request_body::bytes_frame;
use crate::buffered_body::BufferedBody;
use crate::response::problem::{Kind, Problem};
use crate::timeout::MAX_TIMEOUT;

/// How large a body may be, and how long it may take to arrive.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyLimits {
    pub(crate) max_bytes: usize,
    pub(crate) timeout: Duration,
}

pin_project! {
    /// Reads the whole body, within its share of what all bodies may hold. Written by hand rather than as an `async
    /// fn`, to need no box: most bodies are complete at the second poll.
    ///
    /// # Cancel safety
    /// When dropped, it gives back the bytes that it holds.
    pub(crate) struct ReadBody<B> {
        #[pin]
        body: B,
        // The `Content-Length`, if there is one.
        declared: Option<u64>,
        // When the body was first pending: the time limit counts from there.
        waits_since: Option<Instant>,
        // None until the body is pending for the second time.
        #[pin]
        timer: Option<Sleep>,
        // None once the body was read.
        buffer: Option<BodyBuffer>,
        trailers: Option<Box<HeaderMap>>,
    }
}

impl<B: Body> ReadBody<B> {
    /// Must be polled with the same `limits`.
    pub(crate) fn new(
        headers: &HeaderMap,
        body: B,
        limits: &BodyLimits,
        share: BodyShare,
    ) -> Result<Self, Problem> {
        let limit = limits.max_bytes;
        let declared = declared_length(headers)?;
        let least = declared.unwrap_or(0).max(body.size_hint().lower());
        if least > limit as u64 {
            return Err(too_large(limit));
        }
        let buffer = Some(BodyBuffer::new(usize::try_from(least).unwrap_or(0), limit, share));
        Ok(Self { body, declared, waits_since: None, timer: None, buffer, trailers: None })
    }
}

impl<B> ReadBody<B>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    /// Reads on. A body that finds no room is to be sent again after `retry_after`.
    pub(crate) fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        limits: &BodyLimits,
        retry_after: Duration,
    ) -> Poll<Result<(BufferedBody, BodyShare), Problem>> {
        loop {
            match next_frame(self.as_mut().project().body, cx) {
                Poll::Ready(Some(Ok(frame))) => self.as_mut().push(frame, limits, retry_after)?,
                Poll::Ready(Some(Err(error))) => {
                    return Poll::Ready(Err(read_failed(error.into().as_ref(), limits.max_bytes)));
                }
                Poll::Ready(None) => {
                    return match self.as_mut().finish() {
                        Some(read) => Poll::Ready(read),
                        None => Poll::Pending,
                    };
                }
                Poll::Pending => {
                    return self.poll_timeout(cx, limits.timeout.min(MAX_TIMEOUT)).map(Err);
                }
            }
        }
    }
}

type NextFrame<B> = Option<Result<Frame<<B as Body>::Data>, <B as Body>::Error>>;

/// Yields now and then: a body that is always ready would otherwise occupy its thread, and never meet its time limit.
fn next_frame<B: Body>(body: Pin<&mut B>, cx: &mut Context<'_>) -> Poll<NextFrame<B>> {
    ready!(pin!(consume_budget()).poll(cx));
    body.poll_frame(cx)
}

impl<B: Body> ReadBody<B> {
    fn push(
        self: Pin<&mut Self>,
        frame: Frame<B::Data>,
        limits: &BodyLimits,
        retry_after: Duration,
    ) -> Result<(), Problem> {
        let this = self.project();
        let Some(buffer) = this.buffer else { return Ok(()) };
        match frame.into_data() {
            Ok(data) if data.remaining() > limits.max_bytes.saturating_sub(buffer.len()) => {
                Err(too_large(limits.max_bytes))
            }
            Ok(data) => {
                if buffer.push(data) {
                    Ok(())
                } else {
                    Err(no_room(retry_after))
                }
            }
            Err(frame) => {
                *this.trailers = bytes_frame(frame).into_trailers().ok().map(Box::new);
                Ok(())
            }
        }
    }

    /// The body; `None` after the first call.
    fn finish(self: Pin<&mut Self>) -> Option<Result<(BufferedBody, BodyShare), Problem>> {
        let this = self.project();
        let (data, share) = this.buffer.take()?.freeze();
        let body = BufferedBody { data, trailers: this.trailers.take() };
        let is_complete = this.declared.is_none_or(|declared| declared == body.len());
        Some(if is_complete { Ok((body, share)) } else { Err(incomplete()) })
    }

    /// Pending until the time limit. The first call sets no timer and only asks for another poll: a server hands over
    /// what it has read of a body once it has been polled, and a second poll costs less than a timer.
    fn poll_timeout(self: Pin<&mut Self>, cx: &mut Context<'_>, time: Duration) -> Poll<Problem> {
        let mut this = self.project();
        let now = Instant::now();
        let Some(since) = *this.waits_since else {
            *this.waits_since = Some(now);
            cx.waker().wake_by_ref();
            return Poll::Pending;
        };
        if this.timer.is_none() {
            this.timer.set(Some(sleep_until(since + time)));
        }
        let Some(timer) = this.timer.as_pin_mut() else { return Poll::Pending };
        // A body that used up the task's budget leaves none for the timer, which then never fires. So the clock is
        // read, too.
        if now >= timer.deadline() || timer.poll(cx).is_ready() {
            return Poll::Ready(timed_out(time));
        }
        Poll::Pending
    }
}

/// Contradictory lengths are refused here too, since not every caller is a server that refuses them by itself.
fn declared_length(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let mut values = headers.get_all(CONTENT_LENGTH).iter();
    let Some(first) = values.next() else { return Ok(None) };
    let length = first.to_str().ok().and_then(|value| value.parse().ok());
    match length {
        Some(length) if values.all(|value| value == first) => Ok(Some(length)),
        _ => Err(incomplete()),
    }
}

fn read_failed(error: &(dyn std::error::Error + 'static), limit: usize) -> Problem {
    let mut cause = Some(error);
    while let Some(error) = cause {
        // A limit outside this layer: `axum::extract::DefaultBodyLimit` or the like.
        if error.is::<LengthLimitError>() {
            return too_large(limit);
        }
        cause = error.source();
    }
    tracing::debug!(error, "a request's body broke off");
    incomplete()
}

fn timed_out(time: Duration) -> Problem {
    Problem::new(Kind::BodyTimeout, format!("the body did not arrive within {time:?}; nothing was done"))
}

fn incomplete() -> Problem {
    Problem::new(Kind::BodyIncomplete, "the body is not as long as it says; nothing was done")
}

fn no_room(retry_after: Duration) -> Problem {
    let detail = "the bodies of other requests take all the room that there is for them; nothing was done";
    Problem::new(Kind::BodiesFull, detail).retry_after(retry_after)
}

fn too_large(limit: usize) -> Problem {
    Problem::new(
        Kind::BodyTooLarge,
        format!("a request with an idempotency key may have a body of {limit} bytes at most"),
    )
}
