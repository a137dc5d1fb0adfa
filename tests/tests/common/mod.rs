//! What the tests of this package share.

pub(crate) mod map_store;
