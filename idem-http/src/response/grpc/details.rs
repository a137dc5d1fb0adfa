//! `grpc-status-details-bin`: a `google.rpc.Status`, which clients of all languages can read.
//!
//! Encoded by hand, since these few messages are all of protobuf that the layer needs:
//!
//! ```text
//! Status    { int32 code = 1; string message = 2; repeated Any details = 3; }
//! Any       { string type_url = 1; bytes value = 2; }
//! ErrorInfo { string reason = 1; string domain = 2; }
//! RetryInfo { Duration retry_delay = 1; }
//! Duration  { int64 seconds = 1; int32 nanos = 2; }
//! ```

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use http::HeaderValue;

/// The domain of the reasons in an `ErrorInfo`.
const DOMAIN: &str = "idem-http";
/// The longest `Duration` of protobuf: about 10,000 years.
const MAX_SECONDS: u64 = 315_576_000_000;
/// Clients limit metadata to some KiB, and the message is in the metadata twice.
const MAX_MESSAGE_LEN: usize = 2_048;

/// The value of the header; `None` when clients might refuse the whole answer for its size.
pub(crate) fn details(
    status: u16,
    message: &str,
    code: &str,
    pause: Option<Duration>,
) -> Option<HeaderValue> {
    if message.len() > MAX_MESSAGE_LEN {
        return None;
    }
    let mut bytes = Vec::with_capacity(256);
    varint_field(&mut bytes, 1, u64::from(status));
    length_delimited(&mut bytes, 2, message.as_bytes());
    let mut info = Vec::new();
    // The schema of `ErrorInfo` asks for capitals.
    length_delimited(&mut info, 1, code.to_ascii_uppercase().as_bytes());
    length_delimited(&mut info, 2, DOMAIN.as_bytes());
    detail(&mut bytes, "google.rpc.ErrorInfo", &info);
    if let Some(pause) = pause {
        let mut delay = Vec::new();
        varint_field(&mut delay, 1, pause.as_secs().min(MAX_SECONDS));
        varint_field(&mut delay, 2, u64::from(pause.subsec_nanos()));
        let mut retry = Vec::new();
        length_delimited(&mut retry, 1, &delay);
        detail(&mut bytes, "google.rpc.RetryInfo", &retry);
    }
    HeaderValue::try_from(STANDARD_NO_PAD.encode(bytes)).ok()
}

/// Adds one detail to a `Status`.
fn detail(bytes: &mut Vec<u8>, name: &str, value: &[u8]) {
    let mut any = Vec::new();
    length_delimited(&mut any, 1, format!("type.googleapis.com/{name}").as_bytes());
    length_delimited(&mut any, 2, value);
    length_delimited(bytes, 3, &any);
}

/// Adds a number; a zero is left out, as in proto3.
fn varint_field(bytes: &mut Vec<u8>, field: u8, value: u64) {
    if value != 0 {
        bytes.push(field << 3);
        varint(bytes, value);
    }
}

/// Adds a field with a length: a text, bytes, or a message.
fn length_delimited(bytes: &mut Vec<u8>, field: u8, value: &[u8]) {
    bytes.push(field << 3 | 2);
    varint(bytes, value.len() as u64);
    bytes.extend_from_slice(value);
}

/// Adds a number with seven bits in each byte, the lowest first.
fn varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    bytes.push(value.to_le_bytes()[0]);
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;
    use tonic::{Code, Status};
    use tonic_types::StatusExt;

    use super::*;

    /// The status as a client of tonic sees it.
    fn read(status: u16, message: &str, code: &str, pause: Option<Duration>) -> Status {
        let header = details(status, message, code, pause).unwrap();
        let bytes = STANDARD_NO_PAD.decode(header.as_bytes()).unwrap();
        Status::with_details(Code::from(i32::from(status)), message, Bytes::from(bytes))
    }

    #[test]
    fn details_are_read_as_they_were_written() {
        let status = read(10, "come again", "in_flight", Some(Duration::new(3, 500_000_000)));
        let details = status.check_error_details().unwrap();
        let info = details.error_info().unwrap();
        assert_eq!((&*info.reason, &*info.domain), ("IN_FLIGHT", DOMAIN));
        assert_eq!(details.retry_info().unwrap().retry_delay, Some(Duration::from_millis(3_500)));
    }

    #[test]
    fn without_a_pause_there_is_no_retry_info() {
        let status = read(9, "used", "key_reused", None);
        assert!(status.check_error_details().unwrap().retry_info().is_none());
    }

    #[test]
    fn a_message_that_is_too_long_has_no_details() {
        assert!(details(3, &"a".repeat(MAX_MESSAGE_LEN), "scope", None).is_some());
        assert!(details(3, &"a".repeat(MAX_MESSAGE_LEN + 1), "scope", None).is_none());
    }

    proptest! {
        #[test]
        fn any_message_and_pause_are_read_as_they_were_written(
            status in 1_u16..17,
            message in "\\PC{0,300}",
            seconds in prop_oneof![0..100_u64, any::<u64>()],
            nanos in 0..1_000_000_000_u32,
        ) {
            let pause = Duration::new(seconds, nanos);
            let status = read(status, &message, "busy", Some(pause));
            let details = status.check_error_details().unwrap();
            let read = details.retry_info().unwrap().retry_delay.unwrap();
            prop_assert_eq!(read, Duration::new(seconds.min(MAX_SECONDS), nanos));
            prop_assert_eq!(&details.error_info().unwrap().reason, "BUSY");
        }
    }
}
