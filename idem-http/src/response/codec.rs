//! An answer as the bytes of an outcome, and back.
//!
//! ```text
//! offset  size  field
//!      0     1  version, 1
//!      1     2  status
//!      3     2  number of headers
//!      5     2  number of trailers
//!      7     4  length of all fields
//!     11     n  fields, headers before trailers: length of the name (2), of the value (4), name, value
//! 11 + n        body, to the end
//! ```
//!
//! Numbers are big-endian. Fields and body are stored verbatim, so a replay shares the stored bytes and copies only the
//! names of headers that `http` does not know.

use bytes::{Buf, BufMut, Bytes};
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};

use crate::buffered_body::BufferedBody;
use crate::response::kept_headers::KeptHeaders;

const VERSION: u8 = 1;
const HEAD_LEN: usize = 11;
const FIELD_LEN: usize = 6;

/// Why stored bytes are not an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("it was written by another version, or not by this layer")]
    Version,
    #[error("it is cut off, or its lengths do not agree")]
    Lengths,
    #[error("its status is none")]
    Status,
    #[error("one of its headers is none")]
    Header,
}

/// The bytes of an answer; `None` when it has more headers than can be counted.
pub(crate) fn encode(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    trailers: Option<&HeaderMap>,
    kept: &KeptHeaders,
) -> Option<Bytes> {
    let headers = kept.of(headers);
    let trailers = trailers.map(|trailers| kept.of(trailers)).unwrap_or_default();
    let fields = headers.iter().chain(&trailers);
    let len: usize = fields.clone().map(|(name, value)| FIELD_LEN + name.as_str().len() + value.len()).sum();
    let mut bytes = Vec::with_capacity(HEAD_LEN + len + body.len());
    bytes.put_u8(VERSION);
    bytes.put_u16(status.as_u16());
    bytes.put_u16(u16::try_from(headers.len()).ok()?);
    bytes.put_u16(u16::try_from(trailers.len()).ok()?);
    bytes.put_u32(u32::try_from(len).ok()?);
    for (name, value) in fields {
        bytes.put_u16(u16::try_from(name.as_str().len()).ok()?);
        bytes.put_u32(u32::try_from(value.len()).ok()?);
        bytes.put_slice(name.as_str().as_bytes());
        bytes.put_slice(value.as_bytes());
    }
    bytes.put_slice(body);
    Some(bytes.into())
}

/// The answer in `bytes`. Names and values are validated again, since a file or a server may be altered by others.
pub(crate) fn decode(mut bytes: Bytes) -> Result<Response<BufferedBody>, Unreadable> {
    if bytes.first() != Some(&VERSION) {
        return Err(Unreadable::Version);
    }
    if bytes.len() < HEAD_LEN {
        return Err(Unreadable::Lengths);
    }
    bytes.advance(1);
    let status = StatusCode::from_u16(bytes.get_u16()).map_err(|_| Unreadable::Status)?;
    let (headers, trailers) = (usize::from(bytes.get_u16()), usize::from(bytes.get_u16()));
    let len = usize::try_from(bytes.get_u32()).map_err(|_| Unreadable::Lengths)?;
    // Each field takes at least `FIELD_LEN` bytes, so a wrong number cannot make a map larger than the record.
    if len > bytes.len() || (headers + trailers) * FIELD_LEN > len {
        return Err(Unreadable::Lengths);
    }
    let mut fields = bytes.split_to(len);
    let headers = take_fields(&mut fields, headers)?;
    let trailers = take_fields(&mut fields, trailers)?;
    if !fields.is_empty() {
        return Err(Unreadable::Lengths);
    }
    let trailers = (!trailers.is_empty()).then(|| Box::new(trailers));
    let mut response = Response::new(BufferedBody { data: bytes, trailers });
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

fn take_fields(fields: &mut Bytes, number: usize) -> Result<HeaderMap, Unreadable> {
    // With room for two more, which a replay adds.
    let mut map = HeaderMap::new();
    if number > 0 {
        map.try_reserve(number + 2).map_err(|_| Unreadable::Lengths)?;
    }
    for _ in 0..number {
        if fields.len() < FIELD_LEN {
            return Err(Unreadable::Lengths);
        }
        let name = usize::from(fields.get_u16());
        let value = usize::try_from(fields.get_u32()).map_err(|_| Unreadable::Lengths)?;
        if name.saturating_add(value) > fields.len() {
            return Err(Unreadable::Lengths);
        }
        let name = HeaderName::from_bytes(&fields.split_to(name)).map_err(|_| Unreadable::Header)?;
        let value = HeaderValue::from_maybe_shared(fields.split_to(value)).map_err(|_| Unreadable::Header)?;
        map.try_append(name, value).map_err(|_| Unreadable::Header)?;
    }
    Ok(map)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn sample() -> Bytes {
        let mut headers = HeaderMap::new();
        headers.append("x-one", HeaderValue::from_static("1"));
        headers.append("x-one", HeaderValue::from_static("2"));
        headers.append("x-late", HeaderValue::from_bytes(b"\xFF\t ").unwrap());
        let trailers =
            HeaderMap::from_iter([(HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"))]);
        encode(StatusCode::CREATED, &headers, b"body", Some(&trailers), &KeptHeaders::new()).unwrap()
    }

    #[test]
    fn an_answer_is_read_as_it_was_written() {
        let response = decode(sample()).unwrap();
        assert_eq!(response.status(), StatusCode::CREATED);
        let ones: Vec<_> = response.headers().get_all("x-one").iter().collect();
        assert_eq!(ones, ["1", "2"]);
        assert_eq!(response.headers()["x-late"].as_bytes(), b"\xFF\t ");
        assert_eq!(response.body().data, "body");
        assert_eq!(response.body().trailers.as_ref().unwrap()["grpc-status"], "0");
    }

    /// Records of one release are replayed by the next.
    #[test]
    fn the_encoding_stays_the_same() {
        let headers =
            HeaderMap::from_iter([(HeaderName::from_static("x-one"), HeaderValue::from_static("1"))]);
        let bytes = encode(StatusCode::OK, &headers, b"body", None, &KeptHeaders::new()).unwrap();
        assert_eq!(
            &bytes[..],
            b"\x01\x00\xC8\x00\x01\x00\x00\x00\x00\x00\x0C\x00\x05\x00\x00\x00\x01x-one1body"
        );
    }

    #[test]
    fn a_record_that_was_cut_off_is_refused() {
        let bytes = sample();
        let head = bytes.len() - "body".len();
        for len in 0..head {
            assert!(decode(bytes.slice(..len)).is_err(), "{len} bytes");
        }
        assert!(decode(bytes.slice(..head)).is_ok(), "an empty body is a body");
    }

    #[test]
    fn headers_that_could_split_an_answer_are_refused() {
        let bytes = sample();
        let at = bytes.windows(6).position(|window| window == b"x-one1").unwrap();
        let mut name = bytes.to_vec();
        name[at] = b'\n';
        assert_eq!(decode(name.into()).unwrap_err(), Unreadable::Header);
        let mut value = bytes.to_vec();
        value[at + 5] = b'\r';
        assert_eq!(decode(value.into()).unwrap_err(), Unreadable::Header);
    }

    proptest! {
        #[test]
        fn any_answer_comes_back(
            status in 100_u16..1000,
            fields in vec(("[a-z][a-z0-9-]{0,20}", "[ -~]{0,30}"), 0..8),
            body in vec(any::<u8>(), 0..200),
        ) {
            let status = StatusCode::from_u16(status).unwrap();
            let mut headers = HeaderMap::new();
            for (name, value) in &fields {
                headers.append(
                    HeaderName::from_bytes(format!("x-{name}").as_bytes()).unwrap(),
                    HeaderValue::from_str(value.trim()).unwrap(),
                );
            }
            let kept = KeptHeaders::only(headers.keys().cloned());
            let bytes = encode(status, &headers, &body, None, &kept).unwrap();
            let response = decode(bytes).unwrap();
            prop_assert_eq!(response.status(), status);
            prop_assert_eq!(response.headers(), &headers);
            prop_assert_eq!(&response.body().data[..], &body[..]);
        }

        #[test]
        fn no_bytes_cause_a_panic(bytes in vec(any::<u8>(), 0..300), version in any::<bool>()) {
            let mut bytes = bytes;
            if version && !bytes.is_empty() {
                bytes[0] = VERSION;
            }
            let _either = decode(bytes.into());
        }
    }
}
