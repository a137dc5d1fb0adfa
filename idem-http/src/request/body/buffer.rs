//! The bytes of one request body as they arrive, within its share of all.

use bytes::{Buf, Bytes};

use super::budget::BodyShare;

/// A body that arrives as one chunk is not copied: the head of the same request keeps the server's buffer alive anyway.
/// Otherwise all chunks, including the first, are copied into one buffer.
///
/// The buffer grows with the body: a length that is only declared reserves nothing. The capacity is at most twice what
/// has arrived, and no more than what was declared. While the buffer grows, the old one exists beside it for the time
/// of a copy.
#[derive(Debug)]
pub(crate) struct BodyBuffer {
    declared: usize,
    pub(crate) limit: usize,
    share: BodyShare,
    /// The first chunk, if it is as long as the whole body was declared to be.
    first: Bytes,
    rest: Vec<u8>,
}

impl BodyBuffer {
    pub(crate) fn new(declared: usize, limit: usize, share: BodyShare) -> Self {
        Self { declared, limit, share, first: Bytes::new(), rest: Vec::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.first.len() + self.rest.len()
    }

    /// Adds a chunk that the limit allows. False, with nothing added, when the bodies of others leave no room for it.
    #[must_use]
    pub(crate) fn push<D: Buf>(&mut self, mut chunk: D) -> bool {
        if !chunk.has_remaining() {
            return true;
        }
        let len = self.len() + chunk.remaining();
        if self.len() == 0 && len == self.declared {
            let is_granted = self.share.grow_to(len);
            if is_granted {
                self.first = chunk.copy_to_bytes(len);
            }
            return is_granted;
        }
        if len > self.rest.capacity() && !self.grow(len) {
            return false;
        }
        while chunk.has_remaining() {
            let bytes = chunk.chunk();
            self.rest.extend_from_slice(bytes);
            let len = bytes.len();
            chunk.advance(len);
        }
        true
    }

    pub(crate) fn freeze(self) -> (Bytes, BodyShare) {
        let data = if self.rest.is_empty() { self.first } else { self.rest.into() };
        (data, self.share)
    }

    /// Makes room for `len` bytes in all, and moves the chunk that seemed to be the whole body into the buffer.
    fn grow(&mut self, len: usize) -> bool {
        let doubled = self.len().saturating_mul(2).clamp(len, self.limit.max(len));
        let max = if len <= self.declared { self.declared } else { self.limit.max(len) };
        let mut capacity = doubled.min(max);
        if !self.share.grow_to(capacity) {
            // There is no room to grow ahead, so hold just what has arrived.
            capacity = len;
            if !self.share.grow_to(capacity) {
                return false;
            }
        }
        self.rest.reserve_exact(capacity - self.rest.len());
        self.rest.extend_from_slice(&std::mem::take(&mut self.first));
        true
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::sync::Arc;

    use idem_core::{Key, Scope};
    use proptest::prelude::*;

    use super::*;
    use crate::request::body::budget::BodyBudget;

    const LIMIT: usize = 1_000;

    fn new_budget() -> Arc<BodyBudget> {
        Arc::new(BodyBudget::new(LIMIT, LIMIT))
    }

    fn share(budget: &Arc<BodyBudget>) -> BodyShare {
        budget.share_of(&Key::new(&Scope::shared(), "k").unwrap())
    }

    #[test]
    fn a_declared_length_holds_nothing_before_it_comes() {
        let budget = new_budget();
        let mut buffer = BodyBuffer::new(LIMIT, LIMIT, share(&budget));
        assert!(buffer.push(&b"12345"[..]) && budget.held() == 5);
        assert!(buffer.push(&b"6"[..]) && budget.held() == 10);
    }

    /// A chunk may be a slice of a far larger buffer of the server.
    #[test]
    fn a_piece_of_a_body_keeps_nothing_alive_and_a_whole_body_is_not_copied() {
        let budget = new_budget();
        let read = Bytes::from(vec![b'x'; 100_000]);
        let piece = read.slice(10..20);
        for (declared, is_copied) in [(0, true), (11, true), (10, false)] {
            let mut buffer = BodyBuffer::new(declared, LIMIT, share(&budget));
            assert!(buffer.push(piece.clone()) && budget.held() == 10);
            let (data, _share) = buffer.freeze();
            assert_eq!((data.as_ptr() != piece.as_ptr(), &*data), (is_copied, &*piece), "{declared}");
        }
    }

    proptest! {
        #[test]
        fn what_is_held_covers_what_is_there_and_is_at_most_twice_as_much(
            pieces in proptest::collection::vec(0..200_usize, 0..30),
            declared in 0..=LIMIT,
        ) {
            let budget = new_budget();
            let mut buffer = BodyBuffer::new(declared, LIMIT, share(&budget));
            let mut expected = Vec::new();
            for (number, len) in pieces.into_iter().enumerate() {
                if buffer.len() + len > LIMIT {
                    break;
                }
                let piece = vec![u8::try_from(number).unwrap_or(0); len];
                expected.extend_from_slice(&piece);
                prop_assert!(buffer.push(&*piece));
                let (held, there) = (budget.held(), expected.len());
                prop_assert!(there <= held && held <= 2 * there, "{} for {}", held, there);
                prop_assert!(buffer.rest.capacity() <= held);
                prop_assert!(there > declared || held <= declared.max(there));
            }
            let (data, share) = buffer.freeze();
            prop_assert_eq!(data, expected);
            drop(share);
            prop_assert_eq!(budget.held(), 0);
        }
    }
}
