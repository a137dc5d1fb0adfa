//! The requests of `scan`, and the meaning of their answers.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::{BufMut as _, Bytes, BytesMut};
use idem_core::clock::Timestamp;
use idem_core::error::Operation;
use idem_core::scan::Summary;
use idem_core::{Error, Result, Scope};

use crate::protocol::calls::unexpected;
use crate::protocol::command::{Command, Payload, Request};
use crate::protocol::records;
use crate::protocol::reply::Reply;
use crate::protocol::script;

/// The pattern of the Redis keys of a scope, or of all of them.
pub(crate) fn pattern(prefix: &str, scope: Option<&[u8; Scope::PREFIX_LEN]>) -> Bytes {
    let mut pattern = BytesMut::with_capacity(2 * prefix.len() + 24);
    for byte in prefix.bytes() {
        if b"*?[]\\^".contains(&byte) {
            pattern.put_u8(b'\\');
        }
        pattern.put_u8(byte);
    }
    if let Some(scope) = scope {
        pattern.extend_from_slice(URL_SAFE_NO_PAD.encode(scope).as_bytes());
    }
    pattern.put_u8(b'*');
    pattern.freeze()
}

/// Some keys from `cursor` on, which the server process of that id gave.
pub(crate) fn page(cursor: u64, process: Bytes, pattern: Bytes, count: usize) -> Request {
    let script = script::PAGE.source;
    // It names no key, so that any server runs it on its own ones.
    let arguments = [cursor.to_string().into(), process.into(), pattern.into(), (count as u64).into()];
    let mut parts = vec!["EVAL".into(), script.into(), 0.into()];
    parts.extend(arguments);
    Request { key: Bytes::new(), payload: Payload::Command(Command::new(parts)) }
}

/// The answer to [`page`]: the id of the process, where to go on (0: this was all), and the keys.
pub(crate) fn read_page(reply: &Reply) -> Result<(Bytes, u64, Vec<Bytes>)> {
    let read = || {
        let [process, cursor, keys] = reply.array()? else { return None };
        let keys = keys.array()?.iter().map(|key| key.bytes().cloned());
        Some((process.bytes()?.clone(), cursor.text()?.parse().ok()?, keys.collect::<Option<_>>()?))
    };
    read().ok_or_else(no_sense)
}

pub(crate) fn summary(redis_key: &Bytes) -> Request {
    Request { key: redis_key.clone(), payload: Payload::Script(&script::SUMMARY, Vec::new()) }
}

/// What is on record.
pub(crate) struct Found {
    /// Length of the value.
    pub(crate) bytes: u64,
    pub(crate) as_of: Timestamp,
    pub(crate) summary: Option<Summary>,
}

/// The answer to [`summary`]; `None`: nothing is on record.
///
/// # Errors
/// [`Unavailable`](idem_core::ErrorKind::Unavailable) for an answer that makes no sense.
pub(crate) fn read_summary(reply: &Reply) -> Result<Option<Found>> {
    let Some([head, Reply::Integer(length), Reply::Integer(life), time]) = reply.array() else {
        return Err(no_sense());
    };
    let (Some(head), Some(now)) = (head.bytes(), time.time_micros()) else { return Err(no_sense()) };
    let length = u64::try_from(*length).map_err(|_| no_sense())?;
    // An empty value is a key that is gone.
    if length == 0 || (length == head.len() as u64 && records::is_forgotten(head)) {
        return Ok(None);
    }
    let as_of = Timestamp::from_micros(now);
    Ok(Some(Found { bytes: length, as_of, summary: records::summarize_at(head, *life, as_of).ok() }))
}

/// A query certainly changed nothing.
fn no_sense() -> Error {
    unexpected(Operation::Get).during(Operation::Scan)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_stands_for_itself_in_a_pattern() {
        assert_eq!(&pattern("idem:", None)[..], b"idem:*");
        assert_eq!(&pattern("a*b[c]?\\:", None)[..], br"a\*b\[c\]\?\\:*");
        assert_eq!(&pattern("idem:", Some(&[0; 16]))[..], b"idem:AAAAAAAAAAAAAAAAAAAAAA*");
    }
}
