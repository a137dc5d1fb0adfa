//! Whether an answer is final, and how its body is read.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{HeaderMap, HeaderName, RETRY_AFTER};
use reqwest::{Body, Response, ResponseBuilderExt as _, StatusCode};
use tokio::time::timeout;

/// The header that marks a replay, unless the server uses another one.
pub(crate) const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// How much of the body of an answer that is not final is kept.
const LATER_BYTES: usize = 64 * 1_024;
/// How long reading that body may take.
const LATER_TIME: Duration = Duration::from_secs(1);

/// Whether the same request may get another answer later.
pub(crate) fn is_retryable(answer: &Response, replayed: &HeaderName) -> bool {
    if is_replay(answer.headers(), replayed) {
        return false;
    }
    match answer.status() {
        StatusCode::CONFLICT => answer.headers().contains_key(RETRY_AFTER),
        StatusCode::REQUEST_TIMEOUT
        | StatusCode::TOO_EARLY
        | StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => true,
        // Cloudflare answers these when the server behind it did not answer.
        status => matches!(status.as_u16(), 520..=524 | 530),
    }
}

/// Whether a final answer may concern this attempt alone, while an earlier attempt may have been executed. It may be a refusal
/// by a layer in front of the store, or by a server that has changed since.
pub(crate) fn may_concern_one_attempt(
    status: StatusCode,
    headers: &HeaderMap,
    replayed: &HeaderName,
) -> bool {
    (status.is_client_error() || status.is_server_error()) && !is_replay(headers, replayed)
}

fn is_replay(headers: &HeaderMap, replayed: &HeaderName) -> bool {
    headers.get(replayed).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true"))
}

/// Reads the whole body; `None` when it has more than `limit` bytes.
pub(crate) async fn whole_body(answer: &mut Response, limit: usize) -> reqwest::Result<Option<Bytes>> {
    if answer
        .content_length()
        .is_some_and(|length| usize::try_from(length).is_ok_and(|length| length > limit))
    {
        return Ok(None);
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = answer.chunk().await? {
        if body.len().saturating_add(chunk.len()) > limit {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body.freeze()))
}

/// An answer that is not final, with the first part of its body in memory, so that it holds no connection any more.
pub(crate) async fn without_connection(mut answer: Response) -> Response {
    let mut body = BytesMut::new();
    let reading = async {
        while let Ok(Some(chunk)) = answer.chunk().await {
            let room = LATER_BYTES - body.len();
            body.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if chunk.len() >= room {
                break;
            }
        }
    };
    // A slow body is cut off like a long one.
    let _ = timeout(LATER_TIME, reading).await;
    with_body(answer, body.freeze())
}

/// `answer` with this body instead of the rest of its own.
pub(crate) fn with_body(answer: Response, body: Bytes) -> Response {
    let url = answer.url().clone();
    let (mut parts, _) = http::Response::<Body>::from(answer).into_parts();
    // reqwest takes the URL of a converted response from these extensions.
    if let Ok(named) = http::Response::builder().url(url).body(()) {
        parts.extensions.extend(named.into_parts().0.extensions);
    }
    http::Response::from_parts(parts, Body::from(body)).into()
}
