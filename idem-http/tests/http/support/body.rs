//! Bodies for tests.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::sync::mpsc;

/// A piece of a hundred bytes.
pub(crate) const HUNDRED: &str =
    "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789";

type Polled = Poll<Option<io::Result<Frame<Bytes>>>>;

struct FnBody<F>(F, SizeHint);

impl<F: FnMut(&mut Context<'_>) -> Polled + Unpin> http_body::Body for FnBody<F> {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Polled {
        self.0(cx)
    }

    fn size_hint(&self) -> SizeHint {
        self.1
    }
}

/// A body of these frames, without a length known in advance.
pub(crate) fn frames(frames: impl IntoIterator<Item = Frame<Bytes>>) -> Body {
    let mut frames: VecDeque<_> = frames.into_iter().collect();
    Body::new(FnBody(move |_: &mut Context<'_>| Poll::Ready(frames.pop_front().map(Ok)), SizeHint::default()))
}

/// A body that repeats a piece this many times, without a length known in advance.
pub(crate) fn repeated(piece: &'static str, times: usize) -> Body {
    let mut left = times;
    let next = move |_: &mut Context<'_>| {
        let one = left.checked_sub(1).map(|rest| {
            left = rest;
            Ok(Frame::data(Bytes::from_static(piece.as_bytes())))
        });
        Poll::Ready(one)
    };
    Body::new(FnBody(next, SizeHint::default()))
}

pub(crate) struct Sender(mpsc::UnboundedSender<io::Result<Frame<Bytes>>>);

impl Sender {
    pub(crate) fn send(&self, piece: &'static str) {
        self.0.send(Ok(Frame::data(Bytes::from_static(piece.as_bytes())))).unwrap();
    }

    pub(crate) fn break_off(self) {
        self.0.send(Err(io::Error::other("as the test says"))).unwrap();
    }
}

/// A body that the test sends piece by piece.
pub(crate) fn channel() -> (Body, Sender) {
    channel_of(SizeHint::default())
}

/// [`channel`], for a body that declares its length.
pub(crate) fn channel_of(hint: SizeHint) -> (Body, Sender) {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let body = FnBody(move |cx: &mut Context<'_>| receiver.poll_recv(cx), hint);
    (Body::new(body), Sender(sender))
}
