//! What an error reply of a server means for an attempt.

use idem_core::ErrorKind;

use crate::config::address::Address;
use crate::protocol::errors::attempt_error::AttemptError;
use crate::protocol::errors::cause::Cause;
use crate::protocol::errors::table::{Becomes, Effect, Place, Row};

/// The meaning of an error reply to a command or a script.
pub(crate) fn of_reply(text: &str, server: &Address) -> AttemptError {
    let row = Row::of(text);
    let cause = || Cause::new(format!("{server} answers: {}", without_arguments(text)));
    match (row.becomes, row.effect) {
        (Becomes::Moved, _) => AttemptError::Moved { to: redirection(text, server) },
        (Becomes::Ask, _) => match redirection(text, server) {
            Some(to) => AttemptError::Ask { to },
            None => AttemptError::Later(cause()),
        },
        (Becomes::NoScript, _) => AttemptError::NoScript,
        (Becomes::Full, _) => AttemptError::Full(cause()),
        (Becomes::NoWrites, _) => AttemptError::NoWrites(cause()),
        (Becomes::Later | Becomes::Demoted, Effect::Unknown) => AttemptError::Unknown(cause()),
        (Becomes::Later | Becomes::Demoted, _) => AttemptError::Later(cause()),
        (Becomes::Refused(kind), Effect::Unknown) => AttemptError::Unclear(kind, cause()),
        (Becomes::Refused(ErrorKind::Corrupt), _) => {
            let text = without_arguments(text);
            AttemptError::refused(
                ErrorKind::Corrupt,
                format!("the key holds no record: {server} answers: {text}"),
            )
        }
        (Becomes::Refused(kind), _) => AttemptError::Refused(kind, cause()),
    }
}

/// The meaning of an error reply to `HELLO`. Only texts of the table are shown: a server that does not know a command
/// repeats its arguments, and those of `HELLO` include the password.
pub(crate) fn of_hello(text: &str, server: &Address) -> AttemptError {
    let row = Row::of(text);
    if !row.places.contains(&Place::Hello) {
        return AttemptError::Later(Cause::new(format!("{server} answers an error to HELLO: {}", row.code)));
    }
    let cause = Cause::new(format!("{server} answers {} to HELLO: {}", row.code, row.advice));
    match row.becomes {
        Becomes::Refused(kind) => AttemptError::Refused(kind, cause),
        _ => AttemptError::Later(cause),
    }
}

/// Whether an error reply shows that the server is no longer a master.
pub(crate) fn is_demotion(text: &str) -> bool {
    Row::of(text).becomes == Becomes::Demoted
}

/// Cuts off the arguments that a server repeats of a command that it does not know: they may include a caller's text.
fn without_arguments(text: &str) -> &str {
    text.split_once(", with args beginning with").map_or(text, |(command, _)| command)
}

/// The server in `MOVED 3999 127.0.0.1:6381`. Where the host is missing, it is that of the server that answers.
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
    use idem_core::error::Operation;

    use super::*;
    use crate::protocol::errors::table::{TABLE, UNLISTED};

    fn server(host: &str, port: u16) -> Address {
        Address::Tcp { host: host.to_owned(), port }
    }

    #[test]
    fn a_redirection_names_a_server_or_a_port_of_the_same_host() {
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
    fn no_error_reply_to_wait_says_that_the_write_was_not_done() {
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
    fn no_error_of_unknown_effect_says_that_nothing_was_done() {
        let here = server("h", 1);
        for row in TABLE.iter().chain([&UNLISTED]).filter(|row| row.effect == Effect::Unknown) {
            let text = format!("{} {}", row.code, row.parts.first().unwrap_or(&""));
            let error = of_reply(&text, &here).into_error(Operation::Complete, false);
            assert_eq!(error.kind(), ErrorKind::Timeout, "{text}");
        }
    }

    #[test]
    fn an_error_of_hello_shows_only_texts_of_the_table() {
        let here = server("h", 1);
        for row in TABLE.iter().chain([&UNLISTED]) {
            let text = format!("{} {} hunter2", row.code, row.parts.first().unwrap_or(&""));
            let error = of_hello(&text, &here).into_error(Operation::Open, false);
            assert!(!error.message().contains("hunter2"), "{error:?}");
        }
        assert!(!of_hello("hunter2", &here).into_error(Operation::Open, false).message().contains("hunter2"));
    }

    #[test]
    fn error_replies_become_kinds_of_errors() {
        let here = server("h", 1);
        let kind = |text: &str| of_reply(text, &here).into_error(Operation::Lock, false).kind();
        assert_eq!(kind("OOM command not allowed when used memory > 'maxmemory'."), ErrorKind::Full);
        assert_eq!(kind("WRONGTYPE Operation against a key"), ErrorKind::Corrupt);
        assert_eq!(kind("NOPERM this user has no permissions"), ErrorKind::InvalidConfig);
        assert_eq!(kind("READONLY You can't write against a read only replica."), ErrorKind::Unavailable);
        assert_eq!(kind("NOREPLICAS Not enough good replicas to write."), ErrorKind::Unavailable);
        // The effect of an error that the table lacks is unknown.
        assert_eq!(kind(""), ErrorKind::Timeout);
        assert_eq!(kind("upstream failure"), ErrorKind::Timeout);
    }
}
