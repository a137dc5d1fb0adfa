//! The stored answer, for those who look at a store's records.

use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};

use crate::buffered_body::BufferedBody;
use crate::response::codec::{self, Unreadable};

/// An answer as the layer has stored it, read from the bytes of an [outcome](idem_core::Outcome::Value): for tools that show
/// what a retry gets.
///
/// `Debug` shows the status, the names of the headers and how long the body is: values and bodies may be secret.
///
/// ```
/// use idem_core::{Key, Outcome, Store};
/// use idem_http::StoredResponse;
///
/// async fn show(store: &dyn Store, key: &Key) -> Result<(), Box<dyn std::error::Error>> {
///     let record = store.get(key).await?;
///     if let Some(Outcome::Value(bytes)) = record.as_ref().and_then(|record| record.outcome()) {
///         let answer = StoredResponse::decode(bytes.clone())?;
///         println!("{} with {} bytes", answer.status(), answer.body().len());
///     }
///     Ok(())
/// }
/// ```
pub struct StoredResponse(Response<BufferedBody>);

impl StoredResponse {
    /// Reads an answer. Status, names and values are checked as for a replay.
    ///
    /// # Errors
    /// [`NotStoredByTheLayer`] when the bytes are something else: an application's own outcome, say, or one that
    /// [`execute`](idem_core::StoreExt::execute) has encoded.
    pub fn decode(outcome: Bytes) -> Result<Self, NotStoredByTheLayer> {
        codec::decode(outcome).map(Self).map_err(NotStoredByTheLayer)
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.status()
    }

    /// The headers that were [kept](crate::KeptHeaders). A replay adds some, such as that it is one.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.0.headers()
    }

    /// The trailers, where there were any: those of gRPC have its status.
    #[must_use]
    pub fn trailers(&self) -> Option<&HeaderMap> {
        self.0.body().trailers.as_deref()
    }

    /// The whole body.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.0.body().data
    }
}

impl fmt::Debug for StoredResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredResponse")
            .field("status", &self.status())
            .field("headers", &self.headers().keys().collect::<Vec<_>>())
            .field("body", &format_args!("{} bytes", self.body().len()))
            .finish_non_exhaustive()
    }
}

/// The bytes are no answer that the layer has stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no answer that the layer has stored: {0}")]
pub struct NotStoredByTheLayer(Unreadable);

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::response::kept_headers::KeptHeaders;

    #[test]
    fn an_answer_is_told_and_its_debug_keeps_secrets() {
        let headers = HeaderMap::from_iter([(http::header::LOCATION, HeaderValue::from_static("/secret"))]);
        let trailers =
            HeaderMap::from_iter([("grpc-status".parse().unwrap(), HeaderValue::from_static("0"))]);
        let kept = KeptHeaders::new();
        let bytes = codec::encode(StatusCode::CREATED, &headers, b"secret", Some(&trailers), &kept).unwrap();
        let stored = StoredResponse::decode(bytes).unwrap();
        assert_eq!((stored.status(), &stored.body()[..]), (StatusCode::CREATED, &b"secret"[..]));
        assert_eq!(stored.headers()["location"], "/secret");
        assert_eq!(stored.trailers().unwrap()["grpc-status"], "0");
        let shown = format!("{stored:?}");
        assert!(
            shown.contains("location") && shown.contains("6 bytes") && !shown.contains("secret"),
            "{shown}"
        );
    }

    #[test]
    fn other_bytes_are_refused_by_name() {
        for other in [&b""[..], b"\x01", b"an application's own", &[1; 40]] {
            let error = StoredResponse::decode(Bytes::copy_from_slice(other)).unwrap_err();
            assert!(
                error.to_string().starts_with("this is no answer that the layer has stored: "),
                "{error}"
            );
        }
    }
}
