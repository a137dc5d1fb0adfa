//! Commands, written as RESP arrays of bulk strings, which are the same in all versions of RESP.

use std::borrow::Cow;
use std::sync::LazyLock;

use bytes::{BufMut as _, Bytes};

use crate::protocol::script::Script;
use crate::protocol::write_buffer::WriteBuffer;

/// One part of a command.
#[derive(Clone)]
pub(crate) enum Part {
    Text(&'static str),
    Bytes(Bytes),
    Number(u64),
}

/// A command: its name and its arguments.
#[derive(Clone)]
pub(crate) struct Command(Vec<Part>);

/// The request that a call sends in each of its attempts.
pub(crate) struct Request {
    /// The Redis key that the request is about.
    pub(crate) key: Bytes,
    pub(crate) payload: Payload,
}

pub(crate) enum Payload {
    Command(Command),
    /// A script for the key, with its arguments.
    Script(&'static LazyLock<Script>, Vec<Part>),
}

impl Request {
    /// The command to send. `whole_script`: whether to send the script's text, for a server that does not know its digest.
    pub(crate) fn command(&self, whole_script: bool) -> Cow<'_, Command> {
        match &self.payload {
            Payload::Command(command) => Cow::Borrowed(command),
            Payload::Script(script, arguments) => {
                Cow::Owned(Command::script(script, whole_script, self.key.clone(), arguments))
            }
        }
    }
}

impl Command {
    pub(crate) fn new(parts: impl Into<Vec<Part>>) -> Self {
        Self(parts.into())
    }

    /// Runs `script` for `key`: by its digest, or by its `whole` text for a server that does not know the digest.
    pub(crate) fn script(script: &'static Script, whole: bool, key: Bytes, arguments: &[Part]) -> Self {
        let (name, text) = if whole { ("EVAL", script.source) } else { ("EVALSHA", &*script.digest) };
        let mut parts = Vec::with_capacity(4 + arguments.len());
        parts.extend([Part::Text(name), Part::Text(text), Part::Number(1), Part::Bytes(key)]);
        parts.extend_from_slice(arguments);
        Self(parts)
    }

    /// The approximate length of the command in bytes.
    pub(crate) fn len(&self) -> usize {
        let each = |part: &Part| 16 + part.as_bytes(&mut itoa::Buffer::new()).len();
        self.0.iter().map(each).sum()
    }

    pub(crate) fn write(&self, out: &mut WriteBuffer) {
        let mut digits = itoa::Buffer::new();
        put_length(out, b'*', self.0.len());
        for part in &self.0 {
            match part {
                Part::Bytes(bytes) => {
                    put_length(out, b'$', bytes.len());
                    out.put_bytes(bytes);
                }
                part => {
                    let bytes = part.as_bytes(&mut digits);
                    put_length(out, b'$', bytes.len());
                    out.tail().put_slice(bytes);
                }
            }
            out.tail().put_slice(b"\r\n");
        }
    }
}

impl Part {
    fn as_bytes<'a>(&'a self, digits: &'a mut itoa::Buffer) -> &'a [u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Bytes(bytes) => bytes,
            Self::Number(number) => digits.format(*number).as_bytes(),
        }
    }
}

impl From<&'static str> for Part {
    fn from(text: &'static str) -> Self {
        Self::Text(text)
    }
}

impl From<Bytes> for Part {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<String> for Part {
    fn from(text: String) -> Self {
        Self::Bytes(text.into())
    }
}

impl From<u64> for Part {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

fn put_length(out: &mut WriteBuffer, kind: u8, length: usize) {
    let tail = out.tail();
    tail.put_u8(kind);
    tail.put_slice(itoa::Buffer::new().format(length).as_bytes());
    tail.put_slice(b"\r\n");
}
