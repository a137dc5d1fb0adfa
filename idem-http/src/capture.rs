//! Reading an answer's body into memory, within bounds of bytes and time, and losing none of it beyond them.

use std::pin::Pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt;
use idem_core::UnavailableReason;

use crate::body::Whole;
use crate::patience::Patience;

/// What became of a body.
pub(crate) enum Captured<B: Body> {
    /// It is here.
    Whole(Whole),
    /// It is more than may be kept: what was read of it, and the rest as it comes.
    Partly(Partly<B>, UnavailableReason),
}

/// A body of which the beginning has been read.
pub(crate) struct Partly<B: Body> {
    /// In order; the last one is the piece that went over the bound.
    pub(crate) read: [Bytes; 2],
    /// How it broke off, if it did.
    pub(crate) broken: Option<B::Error>,
    pub(crate) rest: Pin<Box<B>>,
}

/// Reads `body`, up to `limit` bytes and for `time`.
pub(crate) async fn capture<B: Body<Data = Bytes>>(
    mut body: Pin<Box<B>>,
    limit: usize,
    time: Duration,
) -> Captured<B> {
    let partly =
        |read: [Bytes; 2], broken, rest, reason| Captured::Partly(Partly { read, broken, rest }, reason);
    if body.size_hint().lower() > limit as u64 {
        return partly([Bytes::new(), Bytes::new()], None, body, UnavailableReason::TooLarge);
    }
    let mut patience = Patience::new(time);
    let mut pieces = Pieces::default();
    loop {
        let Some(frame) = patience.wait(body.frame()).await else {
            return partly([pieces.freeze(), Bytes::new()], None, body, UnavailableReason::Streamed);
        };
        let frame = match frame {
            None => return Captured::Whole(Whole { data: pieces.freeze(), trailers: None }),
            Some(Ok(frame)) => frame,
            Some(Err(error)) => {
                return partly([pieces.freeze(), Bytes::new()], Some(error), body, UnavailableReason::Other);
            }
        };
        match frame.into_data() {
            Ok(data) if data.len() > limit - pieces.len() => {
                return partly([pieces.freeze(), data], None, body, UnavailableReason::TooLarge);
            }
            Ok(data) => pieces.push(data),
            // Nothing follows the trailers.
            Err(frame) => {
                let trailers = frame.into_trailers().ok().filter(|trailers| !trailers.is_empty());
                return Captured::Whole(Whole { data: pieces.freeze(), trailers: trailers.map(Box::new) });
            }
        }
    }
}

/// One piece stays where it is; more of them go into one buffer.
#[derive(Default)]
struct Pieces {
    first: Bytes,
    buffer: BytesMut,
}

impl Pieces {
    fn len(&self) -> usize {
        self.first.len() + self.buffer.len()
    }

    fn push(&mut self, piece: Bytes) {
        if self.len() == 0 {
            self.first = piece;
            return;
        }
        if self.buffer.is_empty() {
            self.buffer.reserve(self.first.len() + piece.len());
            self.buffer.extend_from_slice(&std::mem::take(&mut self.first));
        }
        self.buffer.extend_from_slice(&piece);
    }

    fn freeze(self) -> Bytes {
        if self.buffer.is_empty() { self.first } else { self.buffer.freeze() }
    }
}
