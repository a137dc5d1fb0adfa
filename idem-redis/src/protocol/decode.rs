//! Reading what a server sends (RESP3, <https://redis.io/docs/latest/develop/reference/protocol-spec/>).
//!
//! In two steps. The end of the next frame is searched for as bytes arrive, so that nothing is allocated for a frame that is
//! not complete, and no length that the server announces reserves memory. Then the complete frame is read. The tests compare
//! it with another RESP3 decoder.

use bytes::{Buf as _, Bytes, BytesMut};

use crate::protocol::reply::Reply;

/// Longest line: numbers are short, but errors quote what they were sent.
const LONGEST_LINE: usize = 64 << 10;
/// Deepest nesting. The answers to what is sent here are lists of lists of lists at most.
const MOST_NESTED: usize = 16;
/// Most elements of an answer: more than any cluster's layout has.
const MOST_ELEMENTS: usize = 1 << 20;

/// What a server sends.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    /// The answer to the oldest command in flight.
    Reply(Reply),
    /// A push message: a notification, or that a subscription begins or ends.
    Push(Vec<Reply>),
}

/// The bytes are not RESP3, or exceed a limit.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Reads frames from bytes as they arrive, and keeps its place in an incomplete one.
pub(crate) struct Decoder {
    /// Most bytes of one answer.
    most_bytes: usize,
    /// Where the next element begins.
    at: usize,
    /// How many elements each incomplete list still misses.
    missing: Vec<usize>,
    elements: usize,
}

impl Decoder {
    pub(crate) fn new(most_bytes: usize) -> Self {
        Self { most_bytes, at: 0, missing: Vec::new(), elements: 0 }
    }

    /// Takes the next frame from `buffer`; `None` while it is incomplete. Complete elements are not scanned again.
    pub(crate) fn next(&mut self, buffer: &mut BytesMut) -> Result<Option<Frame>, Malformed> {
        if !self.is_whole(buffer)? {
            return if self.at.max(buffer.len()) > self.most_bytes { Err(Malformed) } else { Ok(None) };
        }
        let mut whole = buffer.split_to(self.at).freeze();
        (self.at, self.elements) = (0, 0);
        while whole.first() == Some(&b'|') {
            skip_attributes(&mut whole)?;
        }
        let is_push = whole.first() == Some(&b'>');
        Ok(Some(match read(&mut whole)? {
            Reply::Array(parts) if is_push => Frame::Push(parts),
            reply => Frame::Reply(reply),
        }))
    }

    fn is_whole(&mut self, bytes: &[u8]) -> Result<bool, Malformed> {
        loop {
            let Some((kind, line, next)) = line(bytes, self.at)? else { return Ok(false) };
            let mut opened = 0;
            match kind {
                b'+' | b'-' | b':' | b'_' | b'#' | b',' | b'(' => self.at = next,
                b'$' | b'!' | b'=' => {
                    let length = length(line)?;
                    if length > self.most_bytes {
                        return Err(Malformed);
                    }
                    let end = next + length;
                    match bytes.get(end..end + 2) {
                        Some(b"\r\n") => self.at = end + 2,
                        Some(_) => return Err(Malformed),
                        None => return Ok(false),
                    }
                }
                b'*' | b'~' | b'>' | b'%' | b'|' => {
                    // Attributes precede the element that they describe, and are no element of their own.
                    opened = elements(kind, line)? + usize::from(kind == b'|');
                    self.at = next;
                }
                _ => return Err(Malformed),
            }
            self.elements += 1;
            if self.elements > MOST_ELEMENTS || self.missing.len() > MOST_NESTED {
                return Err(Malformed);
            }
            if opened > 0 {
                self.missing.push(opened);
            } else if self.close() {
                return Ok(true);
            }
        }
    }

    /// Counts one more complete element. Whether the frame is complete with it.
    fn close(&mut self) -> bool {
        while let Some(missing) = self.missing.last_mut() {
            *missing -= 1;
            if *missing > 0 {
                return false;
            }
            self.missing.pop();
        }
        true
    }
}

/// A kind, the rest of its first line, and where the next begins.
type Line<'a> = (u8, &'a [u8], usize);

/// The first line of what begins `at`; `None` while it is incomplete.
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
    usize::try_from(number(line)?).map_err(|_| Malformed)
}

fn elements(kind: u8, line: &[u8]) -> Result<usize, Malformed> {
    let pairs = matches!(kind, b'%' | b'|');
    let elements = length(line)?.saturating_mul(if pairs { 2 } else { 1 });
    if elements > MOST_ELEMENTS { Err(Malformed) } else { Ok(elements) }
}

fn skip_attributes(whole: &mut Bytes) -> Result<(), Malformed> {
    let (kind, line, next) = line(whole, 0)?.ok_or(Malformed)?;
    let elements = elements(kind, line)?;
    whole.advance(next);
    (0..elements).try_for_each(|_| read(whole).map(drop))
}

/// Reads a complete element.
fn read(whole: &mut Bytes) -> Result<Reply, Malformed> {
    while whole.first() == Some(&b'|') {
        skip_attributes(whole)?;
    }
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
        // A verbatim string begins with three letters for its kind.
        b'=' => {
            let text = take(whole, length(&line)?)?;
            if text.get(3) != Some(&b':') {
                return Err(Malformed);
            }
            Reply::Bytes(text.slice(4..))
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
