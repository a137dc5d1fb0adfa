//! The callers' side of a store: reads where they are asked for, the rest by the writer.

pub(crate) mod calls;
mod reads;
pub(crate) mod start;
