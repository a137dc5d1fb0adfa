//! Where a scan goes on.

use std::fmt;
use std::str::FromStr;

use arrayvec::ArrayVec;

use crate::error::{Error, ErrorKind, Operation, Result};

/// Where a scan goes on: behind what its pages have listed so far.
///
/// It belongs to the scan that gave it: go on with the same scope and the same filters; the limit may differ. Another store of
/// the same kind over the same records, in another process say, may go on with it as well. It shows as hexadecimal digits, from which it can be parsed again.
///
/// ```
/// use idem_core::scan::Cursor;
///
/// let cursor: Cursor = "6d0117".parse()?;
/// assert_eq!(cursor.to_string(), "6d0117");
/// assert!("6d011".parse::<Cursor>().is_err());
/// # Ok::<(), idem_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Cursor(ArrayVec<u8, { Cursor::MAX_LEN }>);

impl Cursor {
    /// Length of the longest cursor in bytes.
    pub const MAX_LEN: usize = 128;

    /// For those who write a store: `tag` names the kind of store, by bytes that no other kind has, and the part of it that is
    /// being scanned.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] when tag and position are longer than [`MAX_LEN`](Self::MAX_LEN).
    pub fn new(tag: [u8; 2], position: &[u8]) -> Result<Self> {
        let mut bytes = ArrayVec::new();
        let fits = bytes.try_extend_from_slice(&tag).and_then(|()| bytes.try_extend_from_slice(position));
        fits.map_err(|_| Self::invalid())?;
        Ok(Self(bytes))
    }

    /// For those who write a store: tag and position. `None` when it is too short to have a tag.
    #[must_use]
    pub fn parts(&self) -> Option<([u8; 2], &[u8])> {
        let (tag, position) = self.0.split_first_chunk()?;
        Some((*tag, position))
    }

    /// For those who write a store: the error for a cursor that is none of its own.
    #[must_use]
    pub fn invalid() -> Error {
        let message =
            "the cursor is of another kind of store or of another scope, or was altered; begin without one";
        Error::new(ErrorKind::InvalidArgument, Operation::Scan, message)
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cursor({self})")
    }
}

impl FromStr for Cursor {
    type Err = Error;

    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for what no cursor shows as.
    fn from_str(text: &str) -> Result<Self> {
        let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return Err(Self::invalid()) };
        let bytes = pairs.iter().map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?));
        let bytes: Vec<u8> =
            bytes.take(Self::MAX_LEN + 1).collect::<Option<_>>().ok_or_else(Self::invalid)?;
        let bytes = ArrayVec::try_from(&bytes[..]).map_err(|_| Self::invalid())?;
        Ok(Self(bytes))
    }
}

fn digit(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'a'..=b'f' => Some(character - b'a' + 10),
        _ => None,
    }
}
