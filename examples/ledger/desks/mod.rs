//! Who books: with idem, or without it.

pub(crate) mod idempotent;
pub(crate) mod naive;
