//! Why an attempt of a call fails: the error replies of servers, and what each of them means for the call.

pub(crate) mod attempt_error;
pub(crate) mod cause;
pub(crate) mod error_reply;
pub(crate) mod table;
