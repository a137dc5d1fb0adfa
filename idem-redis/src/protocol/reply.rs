//! The answers of a server.

use bytes::Bytes;

/// An answer. All string types of RESP3 are one variant here, and so are all its list types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    Null,
    Integer(i64),
    Bytes(Bytes),
    /// An array, or a map as alternating keys and values.
    Array(Vec<Reply>),
    Error(Bytes),
}

impl Reply {
    pub(crate) fn bytes(&self) -> Option<&Bytes> {
        if let Self::Bytes(bytes) = self { Some(bytes) } else { None }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    /// A field of an `INFO` answer.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.text()?.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
    }

    pub(crate) fn integer(&self) -> Option<i64> {
        if let Self::Integer(number) = self { Some(*number) } else { None }
    }

    pub(crate) fn array(&self) -> Option<&[Reply]> {
        if let Self::Array(parts) = self { Some(parts) } else { None }
    }

    /// The answer to `TIME`, in microseconds since 1970.
    pub(crate) fn time_micros(&self) -> Option<u64> {
        let [seconds, micros] = self.array()? else { return None };
        let number = |part: &Reply| part.text()?.parse::<u64>().ok();
        number(seconds)?.checked_mul(1_000_000)?.checked_add(number(micros)?)
    }
}

/// A script's answer: a word, alone or followed by values.
pub(crate) struct ScriptReply<'a> {
    pub(crate) word: &'a [u8],
    parts: &'a [Reply],
}

impl<'a> ScriptReply<'a> {
    pub(crate) fn of(reply: &'a Reply) -> Self {
        let (word, parts) = match reply {
            Reply::Array(parts) => match parts.split_first() {
                Some((word, parts)) => (word.bytes(), parts),
                None => (None, &[][..]),
            },
            word => (word.bytes(), &[][..]),
        };
        Self { word: word.map_or(&b""[..], |word| word), parts }
    }

    pub(crate) fn number(&self, at: usize) -> Option<i64> {
        self.parts.get(at)?.integer()
    }

    pub(crate) fn bytes(&self, at: usize) -> Option<&'a Bytes> {
        self.parts.get(at)?.bytes()
    }
}
