//! The callers of the store in a round, in this process or in another one.

pub(crate) mod caller;
pub(crate) mod inside;
pub(crate) mod load;
pub(crate) mod worker;
