//! The callers' side of a store: it starts the store, reads, and sends the rest to the writer.

pub(crate) mod calls;
mod reads;
pub(crate) mod start;
