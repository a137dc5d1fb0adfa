//! Typed results: serde values as bytes, and back.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Error, ErrorKind, Operation, Result};

/// The longest encoded result: what is kept must be readable within the decoder's highest limit.
const MAX_TYPED: usize = 64 << 20;

/// Memory that a decoder may claim per encoded byte: the widest number, a `u128`, may take one byte.
/// A length read from bytes of another type is then refused before anything is allocated for it.
const CLAIM_PER_BYTE: usize = 16;

/// Encodes a result for [`Outcome::Value`](crate::Outcome::Value): serde over bincode 2, standard
/// configuration.
///
/// # Errors
/// [`ErrorKind::InvalidArgument`] when `T`'s own `Serialize` fails, [`ErrorKind::TooLarge`] when the result
/// has more than 64 MiB.
///
/// ```
/// let bytes = idem_core::encode_value(&("booked", 3_u32))?;
/// assert_eq!(idem_core::decode_value::<(String, u32)>(&bytes)?, ("booked".to_owned(), 3));
/// # Ok::<(), idem_core::Error>(())
/// ```
pub fn encode_value<T: Serialize + ?Sized>(value: &T) -> Result<Bytes> {
    let encoded = bincode::serde::encode_to_vec(value, bincode::config::standard()).map_err(|source| {
        Error::new(ErrorKind::InvalidArgument, Operation::Typed, "the result cannot be encoded")
            .with_source(source)
    })?;
    if encoded.len() > MAX_TYPED {
        let message = format!("the result has {} bytes, a typed one at most {MAX_TYPED}", encoded.len());
        return Err(Error::new(ErrorKind::TooLarge, Operation::Typed, message));
    }
    Ok(Bytes::from(encoded))
}

/// Decodes what [`encode_value`] wrote.
///
/// # Errors
/// [`ErrorKind::Incompatible`] when the bytes are not a `T`: its type changed since they were written.
pub fn decode_value<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    const SMALL: usize = 64 << 10;
    const MEDIUM: usize = 2 << 20;
    if bytes.len() <= SMALL {
        decode_within::<T, { SMALL * CLAIM_PER_BYTE }>(bytes)
    } else if bytes.len() <= MEDIUM {
        decode_within::<T, { MEDIUM * CLAIM_PER_BYTE }>(bytes)
    } else if bytes.len() <= MAX_TYPED {
        decode_within::<T, { MAX_TYPED * CLAIM_PER_BYTE }>(bytes)
    } else {
        Err(incompatible("the stored result is longer than any typed one"))
    }
}

/// The limit is part of the decoder's type, so there is one decoder for each order of magnitude.
fn decode_within<T: DeserializeOwned, const LIMIT: usize>(bytes: &[u8]) -> Result<T> {
    let config = bincode::config::standard().with_limit::<LIMIT>();
    match bincode::serde::decode_from_slice(bytes, config) {
        Ok((value, read)) if read == bytes.len() => Ok(value),
        Ok(_) => Err(incompatible("the stored result is longer than its type; did the type change?")),
        Err(source) => {
            Err(incompatible("the stored result is not of this type; did the type change?")
                .with_source(source))
        }
    }
}

fn incompatible(message: &str) -> Error {
    Error::new(ErrorKind::Incompatible, Operation::Typed, message)
}
