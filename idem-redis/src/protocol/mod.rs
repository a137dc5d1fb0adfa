//! The protocol with a server: commands, replies, scripts, records, and the meaning of errors.

pub(crate) mod calls;
pub(crate) mod command;
pub(crate) mod decode;
pub(crate) mod errors;
pub(crate) mod listing;
pub(crate) mod records;
pub(crate) mod reply;
pub(crate) mod script;
pub(crate) mod write_buffer;
