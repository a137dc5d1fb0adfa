//! Why a command got no answer, and what that means for the call behind it. What the errors of servers mean is in `table.rs`.

#[cfg(test)]
mod provoked;
mod table;

use std::fmt;
use std::sync::Arc;

use idem_core::error::Operation;
use idem_core::{Error, ErrorKind};

use crate::Address;
use table::{Becomes, Effect, Place, Row};

/// Why one try of a call got no answer.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// Another server has the slot. Nothing was done.
    Moved { to: Option<Address> },
    /// Another server is getting the slot, and has this key already, or none has. Nothing was done.
    Ask { to: Address },
    /// The server does not know the script. Nothing was done.
    NoScript,
    /// The server's memory is full. Nothing was done.
    Full(Cause),
    /// The server takes no writes: its disk fails (`MISCONF`), or it has too few replicas (`NOREPLICAS`). Nothing was done.
    NoWrites(Cause),
    /// Nothing was done, and soon it may be.
    Later(Cause),
    /// It may have been done, or may still be.
    Unknown(Cause),
    /// The same, and the call's own time is over.
    OutOfTime,
    /// Nothing was done, and nothing will be until somebody does something about it.
    Refused(ErrorKind, Cause),
    /// The same, but that it may have been done, in whole or in part.
    Unclear(ErrorKind, Cause),
}

type Source = Arc<dyn std::error::Error + Send + Sync>;

/// What a server or the system said.
#[derive(Clone)]
pub(crate) struct Cause {
    message: Arc<str>,
    source: Option<Source>,
}

impl Cause {
    pub(crate) fn new(message: impl Into<Arc<str>>) -> Self {
        Self { message: message.into(), source: None }
    }

    pub(crate) fn of(message: String, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { message: message.into(), source: Some(source.into().into()) }
    }

    #[cfg(feature = "tls")]
    pub(crate) fn source(&self) -> Option<&(dyn std::error::Error + Send + Sync + 'static)> {
        self.source.as_deref()
    }

    /// This as the reason for something larger.
    #[cfg(feature = "tls")]
    pub(crate) fn within(self, message: &str) -> Self {
        Self { message: format!("{message}: {}", self.message).into(), ..self }
    }

    pub(crate) fn into_error(self, kind: ErrorKind, operation: Operation) -> Error {
        let error = Error::new(kind, operation, format!("redis: {}", self.message));
        match self.source {
            Some(source) => error.with_source(source),
            None => error,
        }
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Fault {
    pub(crate) fn refused(kind: ErrorKind, message: impl Into<Arc<str>>) -> Self {
        Self::Refused(kind, Cause::new(message))
    }

    /// This as the answer to a `WAIT`: the write before it was answered, so nothing of what the server says here means that it
    /// was not done. What may be known elsewhere soon is sent again; what will not be known is the caller's.
    pub(crate) fn of_wait(self) -> Self {
        match self {
            Self::Refused(_, cause) | Self::Unclear(_, cause) | Self::Full(cause) | Self::NoWrites(cause) => {
                Self::Refused(ErrorKind::Timeout, cause)
            }
            Self::Later(cause) => Self::Unknown(cause),
            Self::Moved { .. } | Self::Ask { .. } | Self::NoScript => {
                Self::Unknown(Cause::new("the server did not wait for its replicas"))
            }
            Self::Unknown(_) | Self::OutOfTime => self,
        }
    }

    /// This as the answer to a question, which changes nothing that anybody could mind.
    pub(crate) fn of_question(self) -> Self {
        if let Self::Unclear(kind, cause) = self { Self::Refused(kind, cause) } else { self }
    }

    /// What a call that ends with this fault tells its caller; `unsure`: whether an earlier try may have been done.
    pub(crate) fn into_error(self, operation: Operation, unsure: bool) -> Error {
        let (kind, cause) = match self {
            Self::Full(cause) => (ErrorKind::Full, cause),
            Self::Refused(kind, cause) => (kind, cause),
            Self::Unclear(_, cause) | Self::Unknown(cause) => (ErrorKind::Timeout, cause),
            Self::OutOfTime => (ErrorKind::Timeout, Cause::new("no answer in time")),
            Self::Later(cause) | Self::NoWrites(cause) => (ErrorKind::Unavailable, cause),
            Self::Moved { to: Some(to) } | Self::Ask { to } => {
                (ErrorKind::Unavailable, Cause::new(format!("the key's slot is moving to {to}")))
            }
            Self::Moved { to: None } => (ErrorKind::Unavailable, Cause::new("the key's slot is moving")),
            Self::NoScript => (ErrorKind::Unavailable, Cause::new("the server forgets its scripts")),
        };
        let kind = if unsure { ErrorKind::Timeout } else { kind };
        cause.into_error(kind, operation)
    }
}

/// What an error means that a server answers to a command or a script.
pub(crate) fn of_reply(text: &str, server: &Address) -> Fault {
    let row = Row::of(text);
    let cause = || Cause::new(format!("{server} answers: {}", without_arguments(text)));
    match (row.becomes, row.effect) {
        (Becomes::Moved, _) => Fault::Moved { to: redirection(text, server) },
        (Becomes::Ask, _) => match redirection(text, server) {
            Some(to) => Fault::Ask { to },
            None => Fault::Later(cause()),
        },
        (Becomes::NoScript, _) => Fault::NoScript,
        (Becomes::Full, _) => Fault::Full(cause()),
        (Becomes::NoWrites, _) => Fault::NoWrites(cause()),
        (Becomes::Later | Becomes::Demoted, Effect::Unknown) => Fault::Unknown(cause()),
        (Becomes::Later | Becomes::Demoted, _) => Fault::Later(cause()),
        (Becomes::Refused(kind), Effect::Unknown) => Fault::Unclear(kind, cause()),
        (Becomes::Refused(ErrorKind::Corrupt), _) => {
            let text = without_arguments(text);
            Fault::refused(ErrorKind::Corrupt, format!("the key holds no record: {server} answers: {text}"))
        }
        (Becomes::Refused(kind), _) => Fault::Refused(kind, cause()),
    }
}

/// What an error means that a server answers to `HELLO`. Nothing of it is shown that the table does not have: a server that
/// does not know a command repeats its arguments, here the password.
pub(crate) fn of_hello(text: &str, server: &Address) -> Fault {
    let row = Row::of(text);
    if !row.places.contains(&Place::Hello) {
        return Fault::Later(Cause::new(format!("{server} answers an error to HELLO: {}", row.code)));
    }
    let cause = Cause::new(format!("{server} answers {} to HELLO: {}", row.code, row.advice));
    match row.becomes {
        Becomes::Refused(kind) => Fault::Refused(kind, cause),
        _ => Fault::Later(cause),
    }
}

/// Whether an error tells that the server is no master any more.
pub(crate) fn tells_demotion(text: &str) -> bool {
    Row::of(text).becomes == Becomes::Demoted
}

/// A server that does not know a command repeats what it was sent, in which may be a caller's text.
fn without_arguments(text: &str) -> &str {
    text.split_once(", with args beginning with").map_or(text, |(command, _)| command)
}

/// The server in `MOVED 3999 127.0.0.1:6381`; without a host it is that of the one who answers.
fn redirection(text: &str, server: &Address) -> Option<Address> {
    let (host, port) = text.split(' ').nth(2)?.rsplit_once(':')?;
    let port = port.parse().ok()?;
    match (host, server) {
        ("?", _) | ("", Address::Unix(_)) => None,
        ("", Address::Tcp { host, .. }) => Some(Address::Tcp { host: host.clone(), port }),
        (host, _) => Some(Address::Tcp { host: host.to_owned(), port }),
    }
}

#[cfg(test)]
mod tests {
    use super::table::{TABLE, UNLISTED};
    use super::*;

    fn server(host: &str, port: u16) -> Address {
        Address::Tcp { host: host.to_owned(), port }
    }

    #[test]
    fn a_redirection_names_a_server_or_a_port_of_the_same() {
        let here = server("10.0.0.1", 7000);
        for (text, to) in [
            ("MOVED 3999 10.0.0.2:7001", Some(server("10.0.0.2", 7001))),
            ("MOVED 3999 :7001", Some(server("10.0.0.1", 7001))),
            ("MOVED 3999 ::1:7001", Some(server("::1", 7001))),
            ("MOVED 3999 ?:7001", None),
            ("MOVED 3999", None),
            ("MOVED 3999 host:port", None),
        ] {
            assert_eq!(redirection(text, &here), to, "{text}");
        }
    }

    #[test]
    fn an_unknown_effect_outlives_a_later_refusal() {
        let error = Fault::Later(Cause::new("down")).into_error(Operation::Lock, true);
        assert_eq!(error.kind(), ErrorKind::Timeout);
        let error = Fault::Later(Cause::new("down")).into_error(Operation::Lock, false);
        assert_eq!(error.kind(), ErrorKind::Unavailable);
    }

    #[test]
    fn no_error_to_a_wait_says_that_the_write_was_not_done() {
        let here = server("h", 1);
        for row in TABLE.iter().chain([&UNLISTED]) {
            let text = format!("{} {} 1 h:2", row.code, row.parts.first().unwrap_or(&""));
            for unsure in [false, true] {
                let error = of_reply(&text, &here).of_wait().into_error(Operation::Lock, unsure);
                assert_eq!(error.kind(), ErrorKind::Timeout, "{text}");
            }
        }
    }

    #[test]
    fn no_error_to_what_may_have_been_done_says_that_it_was_not() {
        let here = server("h", 1);
        for row in TABLE.iter().chain([&UNLISTED]).filter(|row| row.effect == Effect::Unknown) {
            let text = format!("{} {}", row.code, row.parts.first().unwrap_or(&""));
            let error = of_reply(&text, &here).into_error(Operation::Complete, false);
            assert_eq!(error.kind(), ErrorKind::Timeout, "{text}");
        }
    }

    #[test]
    fn nothing_of_a_refused_hello_is_shown_but_what_the_table_says() {
        let here = server("h", 1);
        for row in TABLE.iter().chain([&UNLISTED]) {
            let text = format!("{} {} hunter2", row.code, row.parts.first().unwrap_or(&""));
            let error = of_hello(&text, &here).into_error(Operation::Open, false);
            assert!(!error.message().contains("hunter2"), "{error:?}");
        }
        assert!(!of_hello("hunter2", &here).into_error(Operation::Open, false).message().contains("hunter2"));
    }

    #[test]
    fn replies_have_their_kinds() {
        let here = server("h", 1);
        let kind = |text: &str| of_reply(text, &here).into_error(Operation::Lock, false).kind();
        assert_eq!(kind("OOM command not allowed when used memory > 'maxmemory'."), ErrorKind::Full);
        assert_eq!(kind("WRONGTYPE Operation against a key"), ErrorKind::Corrupt);
        assert_eq!(kind("NOPERM this user has no permissions"), ErrorKind::InvalidConfig);
        assert_eq!(kind("READONLY You can't write against a read only replica."), ErrorKind::Unavailable);
        assert_eq!(kind("NOREPLICAS Not enough good replicas to write."), ErrorKind::Unavailable);
        // Of what is not foreseen nothing is known.
        assert_eq!(kind(""), ErrorKind::Timeout);
        assert_eq!(kind("upstream failure"), ErrorKind::Timeout);
    }
}
