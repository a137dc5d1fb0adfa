//! Reading an answer's body into memory, within bounds of bytes and time. A body that exceeds them loses nothing.

use std::pin::Pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt;
use idem_core::UnavailableReason;

use crate::buffered_body::BufferedBody;
use crate::timeout::LazyTimeout;

/// What was read of a body.
pub(crate) enum Captured<B: Body> {
    /// The body was read to its end.
    Whole(BufferedBody),
    /// The body cannot be kept: what was read of it, and the rest as it comes.
    PartlyRead(PartlyReadBody<B>, UnavailableReason),
}

/// A body of which the beginning has been read.
pub(crate) struct PartlyReadBody<B: Body> {
    /// In order; the second is the chunk that exceeded the limit.
    pub(crate) read: [Bytes; 2],
    /// The error with which the body broke off, if it did.
    pub(crate) error: Option<B::Error>,
    pub(crate) rest: Pin<Box<B>>,
}

/// Reads `body`, up to `limit` bytes and for `time`.
pub(crate) async fn capture<B: Body<Data = Bytes>>(
    mut body: Pin<Box<B>>,
    limit: usize,
    time: Duration,
) -> Captured<B> {
    let partly_read = |read: [Bytes; 2], error, rest, reason| {
        Captured::PartlyRead(PartlyReadBody { read, error, rest }, reason)
    };
    if body.size_hint().lower() > limit as u64 {
        return partly_read([Bytes::new(), Bytes::new()], None, body, UnavailableReason::TooLarge);
    }
    let mut timeout = LazyTimeout::new(time);
    let mut chunks = Chunks::default();
    loop {
        let Some(frame) = timeout.run(body.frame()).await else {
            return partly_read([chunks.freeze(), Bytes::new()], None, body, UnavailableReason::Streamed);
        };
        let frame = match frame {
            None => return Captured::Whole(BufferedBody { data: chunks.freeze(), trailers: None }),
            Some(Ok(frame)) => frame,
            Some(Err(error)) => {
                return partly_read(
                    [chunks.freeze(), Bytes::new()],
                    Some(error),
                    body,
                    UnavailableReason::Other,
                );
            }
        };
        match frame.into_data() {
            Ok(data) if data.len() > limit - chunks.len() => {
                return partly_read([chunks.freeze(), data], None, body, UnavailableReason::TooLarge);
            }
            Ok(data) => chunks.push(data),
            // Nothing follows the trailers.
            Err(frame) => {
                let trailers = frame.into_trailers().ok().filter(|trailers| !trailers.is_empty());
                return Captured::Whole(BufferedBody {
                    data: chunks.freeze(),
                    trailers: trailers.map(Box::new),
                });
            }
        }
    }
}

/// A single chunk is not copied; several go into one buffer.
#[derive(Default)]
struct Chunks {
    first: Bytes,
    buffer: BytesMut,
}

impl Chunks {
    fn len(&self) -> usize {
        self.first.len() + self.buffer.len()
    }

    fn push(&mut self, chunk: Bytes) {
        if self.len() == 0 {
            self.first = chunk;
            return;
        }
        if self.buffer.is_empty() {
            self.buffer.reserve(self.first.len() + chunk.len());
            self.buffer.extend_from_slice(&std::mem::take(&mut self.first));
        }
        self.buffer.extend_from_slice(&chunk);
    }

    fn freeze(self) -> Bytes {
        if self.buffer.is_empty() { self.first } else { self.buffer.freeze() }
    }
}
