//! The answers to clients, and how a worker passes them on to the process that started it.

use std::fmt;
use std::str::FromStr;

/// The answer to one line of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) line: usize,
    pub(crate) reply: Reply,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reply {
    /// The payment is booked, under this number.
    Booked(u64),
    /// The payment was booked before, under this number.
    Replayed(u64),
    /// The key was used for another payment.
    Refused,
    /// The line is not a payment request.
    Bad,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.line;
        match self.reply {
            Reply::Booked(booking) => write!(f, "{line} booked {booking}"),
            Reply::Replayed(booking) => write!(f, "{line} replayed {booking}"),
            Reply::Refused => write!(f, "{line} refused"),
            Reply::Bad => write!(f, "{line} bad"),
        }
    }
}

impl FromStr for Answer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unknown = || format!("{text:?} is not an answer of a worker");
        let mut words = text.split_whitespace();
        let line = words.next().and_then(|word| word.parse().ok()).ok_or_else(unknown)?;
        let reply = match (words.next(), words.next().map(str::parse)) {
            (Some("booked"), Some(Ok(booking))) => Reply::Booked(booking),
            (Some("replayed"), Some(Ok(booking))) => Reply::Replayed(booking),
            (Some("refused"), None) => Reply::Refused,
            (Some("bad"), None) => Reply::Bad,
            _ => return Err(unknown()),
        };
        Ok(Self { line, reply })
    }
}
