//! Commands in the form in which they are written to a connection.

use std::collections::VecDeque;

use bytes::{BufMut as _, Bytes, BytesMut};

/// From this size on bytes are referenced and not copied.
const LARGE: usize = 16 << 10;

/// Commands as they are written: small parts are copied into one piece, large ones are referenced.
#[derive(Default)]
pub(crate) struct WriteBuffer {
    pieces: VecDeque<Bytes>,
    tail: BytesMut,
    /// Bytes of the pieces.
    bytes: usize,
    /// Bytes that the writer has taken, and not written yet.
    writing: usize,
}

impl WriteBuffer {
    /// The piece that small parts are appended to.
    pub(crate) fn tail(&mut self) -> &mut BytesMut {
        &mut self.tail
    }

    pub(crate) fn put_bytes(&mut self, bytes: &Bytes) {
        if bytes.len() < LARGE {
            self.tail.put_slice(bytes);
        } else {
            self.close();
            self.bytes += bytes.len();
            self.pieces.push_back(bytes.clone());
        }
    }

    /// Ends the tail's piece. What is appended from now on forms another one.
    fn close(&mut self) {
        if !self.tail.is_empty() {
            self.bytes += self.tail.len();
            self.pieces.push_back(self.tail.split().freeze());
        }
    }

    pub(crate) fn take(&mut self) -> VecDeque<Bytes> {
        self.close();
        self.writing += std::mem::take(&mut self.bytes);
        std::mem::take(&mut self.pieces)
    }

    /// The writer has written `bytes` of what it took.
    pub(crate) fn written(&mut self, bytes: usize) {
        self.writing = self.writing.saturating_sub(bytes);
    }

    /// How many bytes wait to be written.
    pub(crate) fn len(&self) -> usize {
        self.writing + self.bytes + self.tail.len()
    }
}
