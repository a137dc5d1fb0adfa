//! The header's value is a String of RFC 9651: a String parses to its value, anything else is 400.

use axum::body::Body;
use http::{HeaderValue, Request, StatusCode};
use idem_http::{IdempotencyKey, KeySyntax};
use proptest::prelude::*;

use crate::support::{App, Calls, Reply, Server, problem_code};

/// An application that answers with the key that its handler was given.
fn strict(calls: &Calls) -> App {
    let calls = calls.clone();
    let handler = move |key: IdempotencyKey| async move {
        calls.add();
        key.as_str().to_owned()
    };
    App::with(handler, |builder| builder.syntax(KeySyntax::Strict))
}

async fn ask(app: &App, lines: &[&[u8]]) -> Reply {
    let mut request = Request::post("/").body(Body::empty()).unwrap();
    for line in lines {
        request.headers_mut().append("idempotency-key", HeaderValue::from_bytes(line).unwrap());
    }
    app.ask(request).await
}

#[tokio::test]
async fn quotes_and_escapes_are_removed_on_the_wire() {
    let server = Server::start(strict(&Calls::default()).router).await;
    let raw = server.raw().await;
    let answer = raw.exchange(&[br#"Idempotency-Key: "a\"b\\c d""#], b"").await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with(r#"a"b\c d"#), "{answer}");
}

#[tokio::test]
async fn parameters_are_accepted_and_ignored() {
    let calls = Calls::default();
    let app = strict(&calls);
    let with = ask(&app, &[br#""key-1";v=1;note="x";flag"#]).await;
    let without = ask(&app, &[br#""key-1""#]).await;
    assert_eq!((with.text(), without.text()), ("key-1", "key-1"));
    assert!(without.is_replayed());
    assert_eq!(ask(&app, &[br#""key-1";v="#]).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn field_lines_are_joined_first_and_two_strings_fail() {
    let calls = Calls::default();
    let server = Server::start(strict(&calls).router).await;
    let two: [&[u8]; 2] = [br#"Idempotency-Key: "a""#, br#"Idempotency-Key: "b""#];
    let answer = server.raw().await.exchange(&two, b"").await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    let halves: [&[u8]; 2] = [br#"Idempotency-Key: "a"#, br#"Idempotency-Key: b""#];
    let answer = server.raw().await.exchange(&halves, b"").await;
    assert!(answer.ends_with("a, b"), "{answer}");
    assert_eq!(calls.count(), 1);
}

#[tokio::test]
async fn a_value_that_is_not_a_string_is_400_and_runs_nothing() {
    let calls = Calls::default();
    let app = strict(&calls);
    let none: [&[u8]; 14] = [
        b"",
        b"  ",
        b"token",
        b"8e03978e-40d5-43dd-bc93-6894a57f9324",
        b"42",
        b"?1",
        b":YWJj:",
        b"@1659578233",
        b"%\"a\"",
        br#"("a")"#,
        br#""a", "b""#,
        br#""a"#,
        b"\"\xC3\xB6\"",
        br#""""#,
    ];
    for value in none {
        let reply = ask(&app, &[value]).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{}", value.escape_ascii());
        assert_eq!(problem_code(&reply), "key_malformed");
    }
    assert_eq!(calls.count(), 0);
}

#[tokio::test]
async fn a_key_has_255_characters_at_most() {
    let calls = Calls::default();
    let app = strict(&calls);
    let key = |len: usize| format!("\"{}\"", "k".repeat(len)).into_bytes();
    assert_eq!(ask(&app, &[&key(255)]).await.status, StatusCode::OK);
    assert_eq!(ask(&app, &[&key(256)]).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(calls.count(), 1);
}

/// A plain second implementation of section 4.2.5 of RFC 9651: the value of a String with nothing after it.
fn string_of(field: &[u8]) -> Option<String> {
    let field = field.trim_ascii_start();
    let mut bytes = field.strip_prefix(b"\"")?.iter();
    let mut value = String::new();
    loop {
        match bytes.next()? {
            b'"' => break,
            b'\\' => match bytes.next()? {
                escaped @ (b'"' | b'\\') => value.push(char::from(*escaped)),
                _ => return None,
            },
            plain @ 0x20..=0x7E => value.push(char::from(*plain)),
            _ => return None,
        }
    }
    bytes.all(|byte| *byte == b' ').then_some(value)
}

fn in_runtime<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(work)
}

proptest! {
    #[test]
    fn every_string_parses_to_its_value(value in "[ -~]{1,255}", spaces in 0_usize..3) {
        let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
        let field = format!("{0}\"{quoted}\"{0}", " ".repeat(spaces));
        let reply = in_runtime(ask(&strict(&Calls::default()), &[field.as_bytes()]));
        prop_assert_eq!(reply.status, StatusCode::OK);
        prop_assert_eq!(reply.text(), value);
    }

    /// Drawn from few characters, so that about every second field is nearly a String.
    #[test]
    fn everything_else_is_400(
        inside in proptest::collection::vec(
            prop::sample::select(vec![b'"', b'\\', b'a', b' ', b',', b'7', b':', b'(', 0x80, 0xFF]), 0..12,
        ),
        open in any::<bool>(),
        close in any::<bool>(),
    ) {
        let quote = |present: bool| if present { &b"\""[..] } else { b"" };
        let field = [quote(open), &inside, quote(close)].concat();
        let calls = Calls::default();
        let reply = in_runtime(ask(&strict(&calls), &[&field]));
        if let Some(value) = string_of(&field).filter(|value| !value.is_empty()) { prop_assert_eq!(reply.text(), value) } else {
            prop_assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{}", field.escape_ascii());
            prop_assert_eq!(calls.count(), 0);
        }
    }
}
