//! What the store holds, in total and by scope, and its bounds.

pub(crate) mod held;
pub(crate) mod scope;
pub(crate) mod usage;
