//! What can be told of a record without reading its outcome or checkpoint.

use std::time::Duration;

use super::{ChecksumScope, HEADER_LEN, Header, corrupt, header_of, reason_of, split};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::identity::Key;
use crate::scan::{Stage, Summary};

/// Length of the part of a record that [`summarize_head`] needs: the header, and the first two bytes of the body.
pub const HEAD_LEN: usize = HEADER_LEN + 2;

/// A summary of what is kept for `key`, without copying its outcome or checkpoint. The checksum is compared.
///
/// # Errors
/// Those of [`decode`](super::decode).
pub fn summarize(key: &Key, bytes: &[u8], checksum_scope: ChecksumScope) -> Result<Summary> {
    let (header, body) = split(key, bytes, checksum_scope)?;
    summary(&header, body)
}

/// A summary of a record of which only the first [`HEAD_LEN`] bytes are at hand. Nothing can be compared with the checksum.
///
/// # Errors
/// [`Corrupt`](crate::ErrorKind::Corrupt) for bytes that no record begins with,
/// [`Incompatible`](crate::ErrorKind::Incompatible) for a newer version.
pub fn summarize_head(head: &[u8]) -> Result<Summary> {
    let (header, body) = header_of(head)?;
    summary(&header, body)
}

fn summary(header: &Header, body: &[u8]) -> Result<Summary> {
    let (first, second) = (Timestamp::from_micros(header.first), header.second);
    // The number of the body's variant, and what follows it. Each is one byte in the encoding of small numbers.
    let (stage, expires_at) = match (header.state, body.first_chunk()) {
        (locked @ (1 | 2), Some([0, has_checkpoint @ (0 | 1)])) => {
            let checkpoint_step = (*has_checkpoint == 1).then_some(header.step);
            let stage = Stage::Unfinished { held: locked == 1, lease_until: first, checkpoint_step };
            (stage, first + Duration::from_micros(second))
        }
        (3, Some([1, _])) => {
            (Stage::Completed { completed_at: first, unavailable: None }, Timestamp::from_micros(second))
        }
        (3, Some([2, code])) => {
            let unavailable = Some(reason_of(*code));
            (Stage::Completed { completed_at: first, unavailable }, Timestamp::from_micros(second))
        }
        (other, _) => return Err(corrupt(format!("state {other} does not go with its body"))),
    };
    let token = header.token();
    Ok(Summary { fingerprint: header.fingerprint, token, attempt: header.attempt, expires_at, stage })
}
