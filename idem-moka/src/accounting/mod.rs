//! What is held, in all and by scope, and how much may be.

pub(crate) mod held;
pub(crate) mod scope;
pub(crate) mod usage;
