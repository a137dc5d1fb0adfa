//! Fuzz tests of what a server may send: nothing panics, and the decoder reads what was encoded.
//!
//! The decoder is compared with that of the crate `redis-protocol`. Each test gets
//! 10,000 inputs, or the number in `IDEM_FUZZ_INPUTS`; `scripts/fuzz` sets that to a million.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::{Bytes, BytesMut};
use idem_core::{Key, Scope};
use proptest::collection::vec;
use proptest::prelude::*;
use redis_protocol::resp3::decode::complete::decode_range;
use redis_protocol::resp3::types::RangeFrame;

use crate::protocol::decode::{Decoder, Frame, Malformed};
use crate::protocol::errors::error_reply::{of_hello, of_reply};
use crate::protocol::reply::{Reply, ScriptReply};
use crate::protocol::{calls, records};
use crate::topology::cluster::view::View;

/// How many inputs each test gets.
fn inputs() -> ProptestConfig {
    let inputs = std::env::var("IDEM_FUZZ_INPUTS").map(|number| number.parse().unwrap());
    ProptestConfig { max_shrink_iters: 10_000, ..ProptestConfig::with_cases(inputs.unwrap_or(10_000)) }
}

const MAX_BYTES: usize = 1 << 20;

fn next(buffer: &mut BytesMut) -> Result<Option<Frame>, Malformed> {
    Decoder::new(MAX_BYTES).next(buffer)
}

/// The bytes of a reply, and the reply that must be decoded from them.
type Encoded = (Vec<u8>, Reply);

fn line(kind: char, text: &str) -> Vec<u8> {
    format!("{kind}{text}\r\n").into_bytes()
}

fn sized(kind: char, bytes: &[u8]) -> Vec<u8> {
    [&line(kind, &bytes.len().to_string()), bytes, b"\r\n"].concat()
}

fn reply() -> impl Strategy<Value = Encoded> {
    let text = "[ -~]{0,20}";
    let single = prop_oneof![
        Just((b"_\r\n".to_vec(), Reply::Null)),
        any::<i64>().prop_map(|number| (line(':', &number.to_string()), Reply::Integer(number))),
        any::<bool>().prop_map(|set| (line('#', if set { "t" } else { "f" }), Reply::Integer(set.into()))),
        text.prop_map(|text| (line('+', &text), Reply::Bytes(text.into()))),
        text.prop_map(|text| (line('-', &text), Reply::Error(text.into()))),
        "-?[1-9][0-9]{0,30}".prop_map(|text| (line('(', &text), Reply::Bytes(text.into()))),
        vec(any::<u8>(), 0..40).prop_map(|bytes| (sized('$', &bytes), Reply::Bytes(bytes.into()))),
        text.prop_map(|text| (sized('!', text.as_bytes()), Reply::Error(text.into()))),
        text.prop_map(|text| (sized('=', format!("txt:{text}").as_bytes()), Reply::Bytes(text.into()))),
    ];
    single.prop_recursive(3, 24, 6, |part| {
        vec(part, 0..6).prop_map(|parts| {
            let (written, replies): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
            ([line('*', &written.len().to_string()), written.concat()].concat(), Reply::Array(replies))
        })
    })
}

/// Bytes that resemble what a server sends.
fn garbage() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        3 => reply().prop_map(|(written, _)| written),
        2 => "[-+:_#,($!=*~>%|HELO?. a-z0-9]{1,12}(\r\n)?".prop_map(String::into_bytes),
        1 => "[$*>%|=!]-?[0-9]{1,20}\r\n".prop_map(String::into_bytes),
        1 => vec(any::<u8>(), 0..12),
    ];
    (vec(piece, 1..6), any::<prop::sample::Index>(), any::<Option<u8>>()).prop_map(|(pieces, at, changed)| {
        let mut all = pieces.concat();
        if let (Some(changed), false) = (changed, all.is_empty()) {
            let at = at.index(all.len());
            all[at] = changed;
        }
        all
    })
}

/// The reply for what the other decoder has read; `None` for frames that this crate reads differently on purpose.
fn converted(frame: &RangeFrame, bytes: &Bytes) -> Option<Reply> {
    let slice = |range: &(usize, usize)| bytes.slice(range.0..range.1);
    Some(match frame {
        RangeFrame::Null => Reply::Null,
        RangeFrame::Number { data, .. } => Reply::Integer(*data),
        RangeFrame::Boolean { data, .. } => Reply::Integer((*data).into()),
        RangeFrame::SimpleString { data, .. }
        | RangeFrame::BlobString { data, .. }
        | RangeFrame::BigNumber { data, .. }
        | RangeFrame::VerbatimString { data, .. } => Reply::Bytes(slice(data)),
        RangeFrame::SimpleError { data, .. } | RangeFrame::BlobError { data, .. } => {
            Reply::Error(slice(data))
        }
        RangeFrame::Array { data, .. } | RangeFrame::Push { data, .. } => {
            Reply::Array(data.iter().map(|part| converted(part, bytes)).collect::<Option<_>>()?)
        }
        _ => return None,
    })
}

proptest! {
    #![proptest_config(inputs())]

    #[test]
    fn frames_are_decoded_however_the_bytes_are_split(
        frames in vec((reply(), any::<bool>()), 1..5),
        lengths in vec(1..40_usize, 1..8),
    ) {
        let (mut written, mut expected) = (Vec::new(), Vec::new());
        for ((bytes, reply), is_push) in frames {
            match reply {
                Reply::Array(parts) if is_push => {
                    written.push(b'>');
                    written.extend_from_slice(&bytes[1..]);
                    expected.push(Frame::Push(parts));
                }
                reply => {
                    written.extend_from_slice(&bytes);
                    expected.push(Frame::Reply(reply));
                }
            }
        }
        let (mut buffer, mut read, mut rest) = (BytesMut::new(), Vec::new(), &written[..]);
        let mut decoder = Decoder::new(MAX_BYTES);
        for length in lengths.into_iter().cycle() {
            let (piece, later) = rest.split_at(length.min(rest.len()));
            rest = later;
            buffer.extend_from_slice(piece);
            while let Some(frame) = decoder.next(&mut buffer).unwrap() {
                read.push(frame);
            }
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(read, expected);
        prop_assert!(buffer.is_empty());
    }

    #[test]
    fn another_decoder_reads_the_same(bytes in garbage()) {
        let mut buffer = BytesMut::from(&bytes[..]);
        let whole = Bytes::from(bytes);
        let read = next(&mut buffer);
        if let (Ok(Some(frame)), Ok(Some((other, length)))) = (&read, decode_range(&whole))
            && let Some(expected) = converted(&other, &whole)
        {
            let reply = match frame {
                Frame::Reply(reply) => reply.clone(),
                Frame::Push(parts) => Reply::Array(parts.clone()),
            };
            prop_assert_eq!(reply, expected);
            prop_assert_eq!(whole.len() - buffer.len(), length);
            prop_assert_eq!(matches!(frame, Frame::Push(_)), matches!(other, RangeFrame::Push { .. }));
        }
    }

    #[test]
    fn no_answer_makes_a_call_panic((_, reply) in reply(), (_, other) in reply(), text in "[A-Z]{0,8}[ -~]{0,30}") {
        let key = Key::new(&Scope::shared(), "key").unwrap();
        let server = "h:1".parse().unwrap();
        let _ = calls::read_get(&key, &reply);
        let _ = calls::is_change(&reply);
        let _ = reply.time_micros();
        let _ = View::read(&other, &reply, &server);
        let _ = View::read(&Reply::Bytes("cluster_state:ok\r\ncluster_current_epoch:1\r\n".into()), &reply, &server);
        let script_reply = ScriptReply::of(&reply);
        let _ = (script_reply.number(0), script_reply.bytes(0));
        if let Some(bytes) = reply.bytes() {
            let _ = records::decode(&key, bytes);
        }
        let _ = of_reply(&text, &server).into_error(idem_core::error::Operation::Lock, false);
        let _ = of_hello(&text, &server).into_error(idem_core::error::Operation::Open, false);
    }
}

#[test]
fn frames_that_would_exhaust_memory_or_stack_are_refused() {
    let nested = |depth: usize| b"*1\r\n".repeat(depth);
    for (bytes, read) in [
        (nested(100_000), Err(Malformed)),
        (nested(10), Ok(None)),
        (b"$1048577\r\n".to_vec(), Err(Malformed)),
        (b"$1048576\r\n".to_vec(), Ok(None)),
        (b"*1048577\r\n".to_vec(), Err(Malformed)),
        (b"*1048576\r\n".to_vec(), Ok(None)),
        ([&b"*1048576\r\n"[..], &b"+aaaaaaaa\r\n".repeat(100_000)].concat(), Err(Malformed)),
        (b"$1\r\nabc".to_vec(), Err(Malformed)),
        (b"%9223372036854775807\r\n".to_vec(), Err(Malformed)),
        (b"$-1\r\n".to_vec(), Err(Malformed)),
        (b"*?\r\n".to_vec(), Err(Malformed)),
        (vec![b'+'; 100_000], Err(Malformed)),
        (b"+a\rb\r\n".to_vec(), Err(Malformed)),
        (b"HTTP/1.1 400 Bad Request\r\n".to_vec(), Err(Malformed)),
    ] {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(30)]).into_owned();
        assert_eq!(next(&mut BytesMut::from(&bytes[..])), read, "{shown:?}");
    }
}
