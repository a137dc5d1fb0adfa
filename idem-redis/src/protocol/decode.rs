//! Reading what a server sends (RESP3, <https://redis.io/docs/latest/develop/reference/protocol-spec/>).
//!
//! In two steps: the end of what comes next is found first, so that nothing is kept of what has not come whole, and no
//! number that the server names reserves memory. The tests hold it to another reader of the same.

use bytes::{Buf as _, Bytes, BytesMut};

use crate::protocol::reply::Reply;

/// What Redis itself takes as one value, unless told otherwise.
const MOST_BYTES: usize = 512 << 20;
/// Numbers, and errors with what they quote.
const LONGEST_LINE: usize = 64 << 10;
/// What a server is asked here is answered by lists of lists of lists at most.
const MOST_NESTED: u32 = 16;

/// What a server sends.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    /// The answer to the command whose turn it is.
    Reply(Reply),
    /// What was not asked for: a notification, or that notifications begin or end.
    Push(Vec<Reply>),
}

/// What comes is not RESP3, or beyond what is taken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Takes what comes next from `buffer`; none when it has not come whole.
pub(crate) fn next(buffer: &mut BytesMut) -> Result<Option<Frame>, Malformed> {
    let Some(end) = end(buffer, 0, 0)? else {
        let beyond = buffer.len() > MOST_BYTES + (MOST_BYTES >> 4);
        return if beyond { Err(Malformed) } else { Ok(None) };
    };
    let mut whole = buffer.split_to(end).freeze();
    let is_push = whole.first() == Some(&b'>');
    Ok(Some(match read(&mut whole)? {
        Reply::Array(parts) if is_push => Frame::Push(parts),
        reply => Frame::Reply(reply),
    }))
}

/// Where what begins `at` ends; none when that has not come yet.
fn end(bytes: &[u8], at: usize, nested: u32) -> Result<Option<usize>, Malformed> {
    if nested > MOST_NESTED {
        return Err(Malformed);
    }
    let Some((kind, line, mut end_at)) = line(bytes, at)? else { return Ok(None) };
    match kind {
        b'+' | b'-' | b':' | b'_' | b'#' | b',' | b'(' => Ok(Some(end_at)),
        b'$' | b'!' | b'=' => {
            let end_at = end_at + length(line)? + 2;
            Ok((bytes.len() >= end_at).then_some(end_at))
        }
        b'*' | b'~' | b'>' | b'%' | b'|' => {
            // Attributes stand before what they are about.
            let more = usize::from(kind == b'|');
            for _ in 0..elements(kind, line)? + more {
                let Some(next) = end(bytes, end_at, nested + 1)? else { return Ok(None) };
                end_at = next;
            }
            Ok(Some(end_at))
        }
        _ => Err(Malformed),
    }
}

/// A kind, the rest of its first line, and where the next begins.
type Line<'a> = (u8, &'a [u8], usize);

/// The first line of what begins `at`; none when it has not come.
fn line(bytes: &[u8], at: usize) -> Result<Option<Line<'_>>, Malformed> {
    let Some((kind, rest)) = bytes.get(at..).and_then(<[u8]>::split_first) else { return Ok(None) };
    let Some(length) = rest.iter().take(LONGEST_LINE).position(|byte| *byte == b'\r') else {
        return if rest.len() < LONGEST_LINE { Ok(None) } else { Err(Malformed) };
    };
    match rest.get(length + 1) {
        Some(b'\n') => Ok(Some((*kind, &rest[..length], at + 1 + length + 2))),
        Some(_) => Err(Malformed),
        None => Ok(None),
    }
}

fn number(line: &[u8]) -> Result<i64, Malformed> {
    std::str::from_utf8(line).ok().and_then(|line| line.parse().ok()).ok_or(Malformed)
}

fn length(line: &[u8]) -> Result<usize, Malformed> {
    usize::try_from(number(line)?).ok().filter(|length| *length <= MOST_BYTES).ok_or(Malformed)
}

fn elements(kind: u8, line: &[u8]) -> Result<usize, Malformed> {
    let pairs = matches!(kind, b'%' | b'|');
    Ok(length(line)? * if pairs { 2 } else { 1 })
}

/// Reads what has come whole.
fn read(whole: &mut Bytes) -> Result<Reply, Malformed> {
    let (kind, line, next) = line(whole, 0)?.ok_or(Malformed)?;
    let line = whole.slice_ref(line);
    whole.advance(next);
    Ok(match kind {
        b'+' | b',' | b'(' => Reply::Bytes(line),
        b'-' => Reply::Error(line),
        b':' => Reply::Integer(number(&line)?),
        b'_' => Reply::Null,
        b'#' => Reply::Integer(i64::from(&line[..] == b"t")),
        b'$' => Reply::Bytes(take(whole, length(&line)?)?),
        b'!' => Reply::Error(take(whole, length(&line)?)?),
        // Three letters say what kind of text it is.
        b'=' => {
            let text = take(whole, length(&line)?)?;
            if text.get(3) != Some(&b':') {
                return Err(Malformed);
            }
            Reply::Bytes(text.slice(4..))
        }
        b'|' => {
            for _ in 0..elements(kind, &line)? {
                read(whole)?;
            }
            read(whole)?
        }
        b'*' | b'~' | b'>' | b'%' => {
            Reply::Array((0..elements(kind, &line)?).map(|_| read(whole)).collect::<Result<_, _>>()?)
        }
        _ => return Err(Malformed),
    })
}

fn take(whole: &mut Bytes, length: usize) -> Result<Bytes, Malformed> {
    if whole.len() < length + 2 {
        return Err(Malformed);
    }
    let taken = whole.split_to(length);
    whole.advance(2);
    Ok(taken)
}
