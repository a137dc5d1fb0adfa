//! What an answer means: whether it is final, when to come back, and where it came from.

pub(crate) mod answer;
pub(crate) mod redirect;
pub(crate) mod retry_after;
