//! What a request asks for, as a fingerprint.

#[cfg(feature = "canonical-json")]
mod canonical;
mod multipart;
pub(crate) mod recipe;
