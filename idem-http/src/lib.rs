//! The Idempotency-Key header for any tower stack.
