//! Why an attempt of a call fails: what servers answer as errors, and what each of those means for the call.

pub(crate) mod attempt_error;
pub(crate) mod cause;
pub(crate) mod error_reply;
pub(crate) mod table;
