//! Commands as bytes that wait to be written to a connection.

use std::collections::VecDeque;

use bytes::{BufMut as _, Bytes, BytesMut};

/// From this size on, bytes are referenced instead of copied.
const LARGE: usize = 16 << 10;

/// A buffer of encoded commands. Small parts are copied into one piece, large ones are referenced.
#[derive(Default)]
pub(crate) struct WriteBuffer {
    pieces: VecDeque<Bytes>,
    tail: BytesMut,
    /// Total length of the pieces.
    bytes: usize,
    /// How many bytes the writer has taken and not written yet.
    writing: usize,
}

impl WriteBuffer {
    /// The piece to which small parts are appended.
    pub(crate) fn tail(&mut self) -> &mut BytesMut {
        &mut self.tail
    }

    pub(crate) fn put_bytes(&mut self, bytes: &Bytes) {
        if bytes.len() < LARGE {
            self.tail.put_slice(bytes);
        } else {
            self.finish_tail();
            self.bytes += bytes.len();
            self.pieces.push_back(bytes.clone());
        }
    }

    /// Turns the tail into a piece. What is appended from now on forms another one.
    fn finish_tail(&mut self) {
        if !self.tail.is_empty() {
            self.bytes += self.tail.len();
            self.pieces.push_back(self.tail.split().freeze());
        }
    }

    /// Takes out all pieces.
    pub(crate) fn take(&mut self) -> VecDeque<Bytes> {
        self.finish_tail();
        self.writing += std::mem::take(&mut self.bytes);
        std::mem::take(&mut self.pieces)
    }

    /// Records that the writer has written `bytes` of what it took.
    pub(crate) fn written(&mut self, bytes: usize) {
        self.writing = self.writing.saturating_sub(bytes);
    }

    /// How many bytes wait to be written.
    pub(crate) fn len(&self) -> usize {
        self.writing + self.bytes + self.tail.len()
    }
}
