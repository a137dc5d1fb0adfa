//! What identifies one request, and one attempt at it.

pub(crate) mod digest;
mod fingerprint;
mod key;
pub(crate) mod random;
mod token;

pub use fingerprint::{Fingerprint, FingerprintBuilder};
pub use key::{Key, Scope};
pub use token::{Owner, Token};
