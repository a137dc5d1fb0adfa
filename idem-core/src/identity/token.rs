//! The identity of a holder: the owner that the caller makes, and the fencing token that the store gives.

use std::fmt;

use super::digest::ShortDigest;
use super::random::owner_bytes;
use crate::error::Result;

/// 128 random bits that a *caller* makes once per lock attempt.
///
/// Because the caller makes the owner, a `lock` whose answer was lost can be sent again and is the same `lock`. Two
/// attempts that may both run must never share an owner.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Owner([u8; 16]);

impl Owner {
    /// A fresh owner, of random bytes that the operating system gave within the last millisecond.
    ///
    /// Owners also differ between the copies of a forked process or of a machine whose snapshot was restored twice,
    /// unless both copies make one within a millisecond of the copying and at the same reading of the clock.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) when the operating system gives no randomness.
    pub fn random() -> Result<Self> {
        owner_bytes().map(Self)
    }

    /// An owner from its bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Owner({})", ShortDigest(&self.0))
    }
}

/// A fencing token: both parts must be equal to hold a lease.
///
/// `sequence` rises from attempt to attempt on one key (a hybrid clock: the later of the previous one plus 1 and the
/// store's time in microseconds), and across the removal of its record where the store has
/// [`strict_sequence`](crate::Capabilities::strict_sequence). Pass the sequence along with every effect on a downstream
/// system that can refuse a lower number than it has seen: a holder that stalled past its lease then does no harm
/// there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Token {
    /// Orders the attempts on one key.
    pub sequence: u64,
    /// Who made the attempt.
    pub owner: Owner,
}
