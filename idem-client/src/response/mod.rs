//! What an answer means: whether it is final, when to try again, and where it came from.

pub(crate) mod answer;
pub(crate) mod redirect;
pub(crate) mod retry_after;
