//! Fuzz targets of what clients and stores send: the header of a key, a stored answer, the message of a refusal.
//!
//! No input may cause a panic, and what is read is what was written. `scripts/fuzz` gives each target a million inputs.
//! The targets for the frames of gRPC are in `tests/http/grpc/frames.rs`.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use idem_core::{Key, Scope};
use percent_encoding::percent_decode;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::buffered_body::BufferedBody;
use crate::request::key::{KeySyntax, read};
use crate::response::codec::{decode, encode};
use crate::response::grpc::refusal::refusal;
use crate::response::kept_headers::KeptHeaders;
use crate::response::problem::{Kind, Problem};

/// How many inputs each target gets.
fn inputs() -> ProptestConfig {
    let inputs = std::env::var("IDEM_FUZZ_INPUTS").map(|number| number.parse().unwrap());
    ProptestConfig { max_shrink_iters: 10_000, ..ProptestConfig::with_cases(inputs.unwrap_or(10_000)) }
}

fn any_line() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        // Any bytes that a header may hold.
        vec(prop_oneof![0x20..=0x7E_u8, 0x80..=0xFF_u8, Just(b'\t')], 0..40),
        // Mostly characters that structure a field.
        vec(prop::sample::select(&b"\"\\;,=: ()*?@a1-.\t\x80"[..]), 0..20),
        // A String of RFC 9651 with parameters, as some clients send them.
        "[ \t]{0,2}\"([ !#-\\[\\]-~]|\\\\[\"\\\\]){0,40}\"[ ]{0,2}(;[a-z*]{1,3}(=(\"[a-z]\"|[0-9]{1,16}|\\?1))?){0,3}[ ]{0,2}"
            .prop_map(String::into_bytes),
        // A bare key.
        "[!#-+\\--:<-~]{1,40}".prop_map(String::into_bytes),
        // About the longest key, and the longest field, that is allowed.
        (prop_oneof![250..260_usize, 4_090..4_100_usize], any::<bool>()).prop_map(|(len, is_quoted)| {
            let key = vec![b'k'; len];
            if is_quoted { [b"\"", &key[..], b"\""].concat() } else { key }
        }),
    ]
}

/// The key as a String of RFC 9651.
fn quoted(key: &str) -> Vec<u8> {
    format!("\"{}\"", key.replace('\\', "\\\\").replace('"', "\\\"")).into_bytes()
}

fn key_of(lines: &[Vec<u8>], syntax: KeySyntax) -> Result<Option<String>, String> {
    let name = HeaderName::from_static("idempotency-key");
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append(&name, HeaderValue::from_bytes(line).unwrap());
    }
    let key = read(&headers, &[name], syntax).map_err(|error| error.to_string())?;
    Ok(key.map(|key| key.as_str().to_owned()))
}

/// The stored bytes of an answer.
fn any_answer() -> impl Strategy<Value = Bytes> {
    let fields = || vec(("x-[a-z0-9-]{0,8}", "[!-~]{0,12}"), 0..5);
    let map = |fields: Vec<(String, String)>| {
        let fields = fields
            .into_iter()
            .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap()));
        let mut map = HeaderMap::<HeaderValue>::new();
        fields.for_each(|(name, value)| {
            map.append(name, value);
        });
        map
    };
    (100..1_000_u16, fields(), fields(), vec(any::<u8>(), 0..40)).prop_map(
        move |(status, headers, trailers, body)| {
            let status = StatusCode::from_u16(status).unwrap();
            encode(status, &map(headers), &body, Some(&map(trailers)), &KeptHeaders::new()).unwrap()
        },
    )
}

/// Damage to stored bytes.
#[derive(Debug, Clone)]
enum Damage {
    Altered(Index, u8),
    Inserted(Index, u8),
    Removed(Index),
    CutOff(Index),
}

fn any_damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        4 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Damage::Altered(at, byte)),
        1 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Damage::Inserted(at, byte)),
        1 => any::<Index>().prop_map(Damage::Removed),
        1 => any::<Index>().prop_map(Damage::CutOff),
    ]
}

fn damaged(bytes: &Bytes, all: Vec<Damage>) -> Bytes {
    let mut bytes = bytes.to_vec();
    for damage in all {
        match damage {
            _ if bytes.is_empty() => {}
            Damage::Altered(at, byte) => *at.get_mut(&mut bytes) = byte,
            Damage::Inserted(at, byte) => bytes.insert(at.index(bytes.len()), byte),
            Damage::Removed(at) => {
                bytes.remove(at.index(bytes.len()));
            }
            Damage::CutOff(at) => bytes.truncate(at.index(bytes.len())),
        }
    }
    bytes.into()
}

/// An answer that was read is the same after it is written and read again.
fn is_stable(answer: &Response<BufferedBody>) -> Result<(), TestCaseError> {
    let BufferedBody { data, trailers } = answer.body();
    let names = answer.headers().keys().chain(trailers.iter().flat_map(|trailers| trailers.keys()));
    let kept = KeptHeaders::only(names.cloned()).also(answer.headers().keys().cloned());
    let bytes = encode(answer.status(), answer.headers(), data, trailers.as_deref(), &kept).unwrap();
    let again = decode(bytes).unwrap();
    // Damage may have changed a name into one that is never kept.
    let of = |map: &HeaderMap| {
        let kept = kept.of(map);
        kept.iter().map(|(name, value)| ((*name).clone(), (*value).clone())).collect::<Vec<_>>()
    };
    prop_assert_eq!(again.status(), answer.status());
    prop_assert_eq!(&again.body().data, data);
    prop_assert_eq!(of(again.headers()), of(answer.headers()));
    let no_trailers = HeaderMap::new();
    let trailers = trailers.as_deref().unwrap_or(&no_trailers);
    prop_assert_eq!(of(again.body().trailers.as_deref().unwrap_or(&no_trailers)), of(trailers));
    Ok(())
}

proptest! {
    #![proptest_config(inputs())]

    #[test]
    fn any_header_of_a_key_is_read_as_it_was_meant_or_refused(lines in vec(any_line(), 0..4)) {
        let (strict, lenient) = (key_of(&lines, KeySyntax::Strict), key_of(&lines, KeySyntax::Lenient));
        prop_assert_eq!(strict == Ok(None), lines.is_empty());
        if strict.is_ok() {
            prop_assert_eq!(&lenient, &strict);
        }
        if let Ok(Some(key)) = lenient {
            prop_assert!(key.bytes().all(|byte| (0x20..=0x7E).contains(&byte)), "{:?}", key);
            let is_one = Key::new(&Scope::shared(), &*key).is_ok();
            prop_assert_eq!(is_one, (1..=255).contains(&key.len()));
            if quoted(&key).len() <= 4_096 {
                prop_assert_eq!(key_of(&[quoted(&key)], KeySyntax::Strict), Ok(Some(key.clone())));
            }
            if strict.is_err() {
                // Only a bare key is left: on one line, and whole.
                prop_assert_eq!(lines[0].trim_ascii(), key.as_bytes());
                prop_assert_eq!(lines.len(), 1);
            }
        }
    }

    #[test]
    fn any_key_is_read_as_it_was_written(key in "[ -~]{0,255}") {
        for syntax in [KeySyntax::Strict, KeySyntax::Lenient] {
            prop_assert_eq!(key_of(&[quoted(&key)], syntax), Ok(Some(key.clone())));
        }
    }

    #[test]
    fn any_stored_answer_is_read_or_refused(
        bytes in prop_oneof![
            4 => (any_answer(), vec(any_damage(), 0..4)).prop_map(|(bytes, damage)| damaged(&bytes, damage)),
            1 => vec(any::<u8>(), 0..80).prop_map(Bytes::from),
            1 => vec(any::<u8>(), 0..80).prop_map(|rest| [&[1][..], &rest].concat().into()),
        ],
    ) {
        if let Ok(answer) = decode(bytes) {
            is_stable(&answer)?;
        }
    }

    /// The application chooses the detail of a refused scope, so it may be any text.
    #[test]
    fn any_refusal_of_grpc_says_what_it_was_given(detail in prop_oneof!["\\PC{0,60}", any::<String>()], status in 400..600_u16) {
        let kind = Kind::Scope(StatusCode::from_u16(status).unwrap());
        let response = refusal(&Problem::new(kind, detail.clone()));
        let message = response.headers()["grpc-message"].as_bytes();
        prop_assert!(message.iter().all(|byte| matches!(byte, 0x20..=0x7E)));
        prop_assert_eq!(percent_decode(message).decode_utf8().unwrap(), detail);
        prop_assert!(response.headers().contains_key("grpc-status-details-bin"));
    }
}
