//! Typed results: serde values as bytes, and back.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Error, ErrorKind, Operation, Result};

/// A decoded value may claim lengths up to this; more would be allocated before the bytes run out.
const DECODE_LIMIT: usize = 256 * 1024 * 1024;

/// Encodes a result for [`Outcome::Value`](crate::Outcome::Value): serde over bincode 2, standard
/// configuration.
///
/// # Errors
/// [`ErrorKind::InvalidArgument`] when `T`'s own `Serialize` fails.
///
/// ```
/// let bytes = idem_core::encode_value(&("booked", 3))?;
/// assert_eq!(idem_core::decode_value::<(String, u32)>(&bytes)?, ("booked".to_owned(), 3));
/// # Ok::<(), idem_core::Error>(())
/// ```
pub fn encode_value<T: Serialize + ?Sized>(value: &T) -> Result<Bytes> {
    bincode::serde::encode_to_vec(value, bincode::config::standard()).map(Bytes::from).map_err(|source| {
        Error::new(ErrorKind::InvalidArgument, Operation::Typed, "the result cannot be encoded")
            .with_source(source)
    })
}

/// Decodes what [`encode_value`] wrote.
///
/// # Errors
/// [`ErrorKind::Incompatible`] when the bytes are not a `T`: its type changed since they were written.
pub fn decode_value<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let config = bincode::config::standard().with_limit::<DECODE_LIMIT>();
    let incompatible = |message: &str| Error::new(ErrorKind::Incompatible, Operation::Typed, message);
    match bincode::serde::decode_from_slice(bytes, config) {
        Ok((value, read)) if read == bytes.len() => Ok(value),
        Ok(_) => Err(incompatible("the stored result is longer than its type; did the type change?")),
        Err(source) => {
            Err(incompatible("the stored result is not of this type; did the type change?")
                .with_source(source))
        }
    }
}
