//! Typed results: serde values as bytes, and back.
//!
//! A format byte, then MessagePack with struct fields by name. The encoding describes itself, so serde's attributes
//! and a deploy that adds, removes or reorders fields cannot change what a replay reads: see
//! `docs/adr/0015-typed-results-describe-themselves.md`.

use bytes::Bytes;
use rmp_serde::decode::Error as DecodeError;
use rmp_serde::encode::Error as EncodeError;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Operation, Result};
use crate::record::UnavailableReason;

/// MessagePack never uses this byte, so bytes that begin otherwise are known to be no typed result.
const FORMAT: u8 = 0xC1;

/// The longest encoded result.
const MAX_TYPED: usize = 64 << 20;

/// How deeply a result may be nested. Each level takes stack, more than a kilobyte in a debug build, and a task's
/// thread has 2 MiB. `serde_json` has the same limit.
const MAX_DEPTH: usize = 128;

/// Room that most results fit in. Encoding them allocates this once, and shrinks it at the end.
const USUAL: usize = 256;

/// Encodes a result for [`Outcome::Value`](crate::Outcome::Value): MessagePack with named fields, behind a format
/// byte.
///
/// Encoding alone does not say that the value can be read back: serde has types that write what they do not read.
/// [`execute`](crate::StoreExt::execute) reads each result back before it answers.
///
/// # Errors
/// [`ErrorKind::InvalidArgument`] when `T`'s own `Serialize` fails, [`ErrorKind::TooLarge`] when the result
/// has more than 64 MiB. The message shows nothing of the value.
///
/// ```
/// let bytes = idem_core::typed::encode_value(&("booked", 3_u32))?;
/// assert_eq!(idem_core::typed::decode_value::<(String, u32)>(&bytes)?, ("booked".to_owned(), 3));
/// # Ok::<(), idem_core::Error>(())
/// ```
pub fn encode_value<T: Serialize + ?Sized>(value: &T) -> Result<Bytes> {
    let mut encoded = Vec::with_capacity(USUAL);
    encoded.push(FORMAT);
    // The human-readable forms of types such as `IpAddr`: serde reads back what it buffers for `flatten`, `untagged`
    // and `tag` in no other form, whatever wrote it (https://github.com/serde-rs/serde/issues/2172).
    let mut serializer = rmp_serde::Serializer::new(&mut encoded).with_struct_map().with_human_readable();
    value.serialize(&mut serializer).map_err(|error| {
        let message = format!("the result cannot be encoded: {}", why_not_written(&error));
        Error::new(ErrorKind::InvalidArgument, Operation::Typed, message)
    })?;
    if encoded.len() > MAX_TYPED {
        let message = format!("the result has {} bytes, a typed one at most {MAX_TYPED}", encoded.len());
        return Err(Error::new(ErrorKind::TooLarge, Operation::Typed, message));
    }
    // The bytes are kept for hours, so the spare capacity is given back.
    Ok(Bytes::from(encoded.into_boxed_slice()))
}

/// Decodes what [`encode_value`] wrote.
///
/// Fields are found by name: reordered ones are read as they were, unknown ones are passed over unless `T` denies them,
/// and missing ones take their default where `T` has one. The elements of a tuple have no names: two of the same type
/// that a deploy swaps are read swapped.
///
/// # Errors
/// [`ErrorKind::Incompatible`] when the bytes are not a `T`: its type changed since they were written. The message
/// shows nothing of the bytes.
pub fn decode_value<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    if bytes.len() > MAX_TYPED {
        return Err(incompatible("the stored result is longer than any typed one"));
    }
    let Some((&FORMAT, encoded)) = bytes.split_first() else {
        return Err(incompatible(
            "the stored result is in no format of typed results that this version reads",
        ));
    };
    let mut deserializer = rmp_serde::Deserializer::from_read_ref(encoded).with_human_readable();
    deserializer.set_max_depth(MAX_DEPTH);
    let value = T::deserialize(&mut deserializer).map_err(|error| {
        let reason = reason(&error);
        incompatible(format!("the stored result is not of this type ({reason}); did the type change?"))
    })?;
    // Refuses bytes after the value: reading one more must find the end.
    match serde::de::IgnoredAny::deserialize(&mut deserializer) {
        Err(DecodeError::InvalidMarkerRead(end)) if end.kind() == std::io::ErrorKind::UnexpectedEof => {
            Ok(value)
        }
        _ => Err(incompatible("the stored result is longer than its type; did the type change?")),
    }
}

/// A result as every replay will show it, and its bytes; or the result as it is, and why no replay can show it.
pub(crate) fn kept<T: Serialize + DeserializeOwned>(
    value: T,
) -> (T, Result<Bytes, (UnavailableReason, Error)>) {
    let encoded = match encode_value(&value) {
        Ok(encoded) => encoded,
        Err(error) if error.kind() == ErrorKind::TooLarge => {
            return (value, Err((UnavailableReason::TooLarge, error)));
        }
        Err(error) => return (value, Err((UnavailableReason::NotEncodable, error))),
    };
    match decode_value(&encoded) {
        Ok(as_replayed) => (as_replayed, Ok(encoded)),
        Err(error) => (value, Err((UnavailableReason::NotEncodable, error))),
    }
}

/// Why a value could not be written. Shows nothing of the value, which the type's own message may repeat.
fn why_not_written(error: &EncodeError) -> &'static str {
    match error {
        EncodeError::Syntax(_) => "its own `Serialize` refused it",
        EncodeError::UnknownLength => "a sequence or map in it does not say how long it is",
        EncodeError::DepthLimitExceeded => "it is nested too deeply",
        EncodeError::InvalidDataModel(what) => what,
        EncodeError::InvalidValueWrite(_) => "MessagePack has no form for it",
    }
}

/// Why a value could not be read. Shows nothing of what was read, which serde's own messages repeat.
fn reason(error: &DecodeError) -> String {
    match error {
        DecodeError::Syntax(message) | DecodeError::Uncategorized(message) => match message.split('`').nth(1)
        {
            // This name comes from the type.
            Some(field) if message.starts_with("missing field `") => format!("missing field `{field}`"),
            // These names come from the bytes.
            Some(_) if message.starts_with("unknown variant `") => {
                "it is a variant that this type does not have".to_owned()
            }
            Some(_) if message.starts_with("unknown field `") => {
                "it has a field that this type does not have".to_owned()
            }
            _ => "another type was written".to_owned(),
        },
        DecodeError::DepthLimitExceeded => "it is nested too deeply".to_owned(),
        DecodeError::InvalidMarkerRead(_) | DecodeError::InvalidDataRead(_) => "it is cut short".to_owned(),
        _ => "another type was written".to_owned(),
    }
}

fn incompatible(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Incompatible, Operation::Typed, message)
}
