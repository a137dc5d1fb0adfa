//! The bytes of one request body as they arrive, within its share of all.

use bytes::{Buf, Bytes};

use crate::bodies::Share;

/// A body of one piece stays where it is; from the second on they go into one buffer.
///
/// That one grows as the body does: a length that is only declared holds nothing. It is at most twice as long as what has
/// come, and no longer than what was declared. While it grows the old one stands beside it, for the time of a copy.
#[derive(Debug)]
pub(crate) struct Buffer {
    declared: usize,
    pub(crate) limit: usize,
    share: Share,
    first: Bytes,
    rest: Vec<u8>,
}

impl Buffer {
    pub(crate) fn new(declared: usize, limit: usize, share: Share) -> Self {
        Self { declared, limit, share, first: Bytes::new(), rest: Vec::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.first.len() + self.rest.len()
    }

    /// Takes a piece that the limit allows. False, and nothing is taken, when the bodies of others leave no room for it.
    #[must_use]
    pub(crate) fn push<D: Buf>(&mut self, mut piece: D) -> bool {
        if !piece.has_remaining() {
            return true;
        }
        let len = self.len() + piece.remaining();
        if len == piece.remaining() {
            let is_granted = self.share.grow_to(len);
            if is_granted {
                self.first = piece.copy_to_bytes(len);
            }
            return is_granted;
        }
        if len > self.rest.capacity() && !self.grow(len) {
            return false;
        }
        while piece.has_remaining() {
            let chunk = piece.chunk();
            self.rest.extend_from_slice(chunk);
            let len = chunk.len();
            piece.advance(len);
        }
        true
    }

    pub(crate) fn freeze(self) -> (Bytes, Share) {
        let data = if self.rest.is_empty() { self.first } else { self.rest.into() };
        (data, self.share)
    }

    /// Makes room for `len` bytes in all, and moves the first piece there.
    fn grow(&mut self, len: usize) -> bool {
        let doubled = self.len().saturating_mul(2).clamp(len, self.limit.max(len));
        let most = if len <= self.declared { self.declared } else { self.limit.max(len) };
        let capacity = doubled.min(most);
        if !self.share.grow_to(capacity) {
            return false;
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
    use crate::bodies::Bodies;

    const LIMIT: usize = 1_000;

    fn bodies() -> Arc<Bodies> {
        Arc::new(Bodies::new(LIMIT, LIMIT).unwrap())
    }

    fn share(bodies: &Arc<Bodies>) -> Share {
        bodies.share_of(&Key::new(&Scope::shared(), "k").unwrap())
    }

    #[test]
    fn a_declared_length_holds_nothing_before_it_comes() {
        let bodies = bodies();
        let mut buffer = Buffer::new(LIMIT, LIMIT, share(&bodies));
        assert!(buffer.push(&b"12345"[..]) && bodies.held() == 5);
        assert!(buffer.push(&b"6"[..]) && bodies.held() == 10);
    }

    proptest! {
        #[test]
        fn what_is_held_covers_what_is_there_and_is_at_most_twice_as_much(
            pieces in proptest::collection::vec(0..200_usize, 0..30),
            declared in 0..=LIMIT,
        ) {
            let bodies = bodies();
            let mut buffer = Buffer::new(declared, LIMIT, share(&bodies));
            let mut expected = Vec::new();
            for (number, len) in pieces.into_iter().enumerate() {
                if buffer.len() + len > LIMIT {
                    break;
                }
                let piece = vec![u8::try_from(number).unwrap_or(0); len];
                expected.extend_from_slice(&piece);
                prop_assert!(buffer.push(&*piece));
                let (held, there) = (bodies.held(), expected.len());
                prop_assert!(there <= held && held <= 2 * there, "{} for {}", held, there);
                prop_assert!(buffer.rest.capacity() <= held);
                prop_assert!(there > declared || held <= declared.max(there));
            }
            let (data, share) = buffer.freeze();
            prop_assert_eq!(data, expected);
            drop(share);
            prop_assert_eq!(bodies.held(), 0);
        }
    }
}
