//! Decodes what a server sends (RESP3, <https://redis.io/docs/latest/develop/reference/protocol-spec/>).
//!
//! Decoding has two steps. As bytes arrive, the end of the next frame is searched for, so that nothing is allocated for an
//! incomplete frame, and no length that the server announces reserves memory. Then the complete frame is read. The tests
//! compare this decoder with another one.

use bytes::{Buf as _, Bytes, BytesMut};

use crate::protocol::reply::Reply;

/// Length of a line, in bytes. Numbers are short, but errors quote what they were sent.
const MAX_LINE: usize = 64 << 10;
/// Depth of nesting. The answers to this crate's commands are lists of lists of lists at most.
const MAX_DEPTH: usize = 16;
/// Number of elements of an answer: more than the layout of any cluster has.
const MAX_ELEMENTS: usize = 1 << 20;

/// One message of a server.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    /// The answer to the oldest command in flight.
    Reply(Reply),
    /// A push message: a notification, or the begin or end of a subscription.
    Push(Vec<Reply>),
}

/// The bytes are not RESP3, or exceed a limit.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Reads frames from bytes as they arrive, and keeps its place in an incomplete one.
pub(crate) struct Decoder {
    /// Largest answer in bytes.
    max_bytes: usize,
    /// Where the next element begins.
    at: usize,
    /// How many elements each incomplete list still lacks.
    missing: Vec<usize>,
    elements: usize,
}

impl Decoder {
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self { max_bytes, at: 0, missing: Vec::new(), elements: 0 }
    }

    /// Takes the next frame from `buffer`; `None` while it is incomplete. Complete elements are not scanned again.
    pub(crate) fn next(&mut self, buffer: &mut BytesMut) -> Result<Option<Frame>, Malformed> {
        if !self.is_whole(buffer)? {
            return if self.at.max(buffer.len()) > self.max_bytes { Err(Malformed) } else { Ok(None) };
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
                    if length > self.max_bytes {
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
                    // Attributes precede the element that they describe, and do not count as an element themselves.
                    opened = elements(kind, line)? + usize::from(kind == b'|');
                    self.at = next;
                }
                _ => return Err(Malformed),
            }
            self.elements += 1;
            if self.elements > MAX_ELEMENTS || self.missing.len() > MAX_DEPTH {
                return Err(Malformed);
            }
            if opened > 0 {
                self.missing.push(opened);
            } else if self.close() {
                return Ok(true);
            }
        }
    }

    /// Counts one more complete element. Returns whether it completes the frame.
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

/// The type byte of an element, the rest of its first line, and where that line ends.
type Line<'a> = (u8, &'a [u8], usize);

/// The first line of the element that begins `at`; `None` while the line is incomplete.
fn line(bytes: &[u8], at: usize) -> Result<Option<Line<'_>>, Malformed> {
    let Some((kind, rest)) = bytes.get(at..).and_then(<[u8]>::split_first) else { return Ok(None) };
    let Some(length) = rest.iter().take(MAX_LINE).position(|byte| *byte == b'\r') else {
        return if rest.len() < MAX_LINE { Ok(None) } else { Err(Malformed) };
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
    if elements > MAX_ELEMENTS { Err(Malformed) } else { Ok(elements) }
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
        // A verbatim string begins with three letters for its format, and a colon.
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
