//! Who calls the store in a round, from this process or from another one.

pub(crate) mod caller;
pub(crate) mod inside;
pub(crate) mod load;
pub(crate) mod worker;
