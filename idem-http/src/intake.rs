//! Reading a request's body into one buffer, within bounds of bytes and time.

use std::pin::pin;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use http_body::Body;
use http_body_util::{BodyExt, LengthLimitError};
use tower::BoxError;

use crate::body::{Whole, bytes_frame};
use crate::patience::Patience;
use crate::problem::{Kind, Problem};

/// The whole body, of `limit` bytes at most, that arrives within `time`.
pub(crate) async fn read<B>(
    headers: &HeaderMap,
    body: B,
    limit: usize,
    time: Duration,
) -> Result<Whole, Problem>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    let declared = declared_length(headers)?;
    let least = declared.unwrap_or(0).max(body.size_hint().lower());
    if least > limit as u64 {
        return Err(too_large(limit));
    }
    let collected = Patience::new(time).wait(pin!(collect(body, least, limit))).await;
    let whole = collected.unwrap_or_else(|| Err(late(time)))?;
    if declared.is_some_and(|declared| declared != whole.len()) {
        return Err(incomplete());
    }
    Ok(whole)
}

async fn collect<B>(body: B, least: u64, limit: usize) -> Result<Whole, Problem>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    let mut body = pin!(body);
    let mut whole = Whole::default();
    let mut buffer = BytesMut::new();
    while let Some(frame) = body.frame().await {
        // A body that is always ready must not keep its thread, or it would never meet its time limit.
        tokio::task::coop::consume_budget().await;
        let frame = match frame {
            Ok(frame) => frame,
            Err(error) => return Err(broken(error.into().as_ref(), limit)),
        };
        let data = match frame.into_data() {
            Ok(data) => data,
            Err(frame) => {
                whole.trailers = bytes_frame(frame).into_trailers().ok();
                continue;
            }
        };
        if data.remaining() > limit - whole.data.len() - buffer.len() {
            return Err(too_large(limit));
        }
        append(&mut whole.data, &mut buffer, data, least);
    }
    if !buffer.is_empty() {
        whole.data = buffer.freeze();
    }
    Ok(whole)
}

/// A body of one piece stays where it is; from the second on they go into one buffer of the declared size.
fn append<D: Buf>(first: &mut Bytes, buffer: &mut BytesMut, mut data: D, least: u64) {
    if first.is_empty() && buffer.is_empty() {
        *first = data.copy_to_bytes(data.remaining());
        return;
    }
    if buffer.is_empty() {
        let least = usize::try_from(least).unwrap_or(0);
        buffer.reserve(least.max(first.len() + data.remaining()));
        buffer.extend_from_slice(first);
        *first = Bytes::new();
    }
    while data.has_remaining() {
        let piece = data.chunk();
        buffer.extend_from_slice(piece);
        let len = piece.len();
        data.advance(len);
    }
}

/// A server refuses contradictory lengths by itself; in front of other callers this does.
fn declared_length(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let mut values = headers.get_all(CONTENT_LENGTH).iter();
    let Some(first) = values.next() else { return Ok(None) };
    let length = first.to_str().ok().and_then(|value| value.parse().ok());
    match length {
        Some(length) if values.all(|value| value == first) => Ok(Some(length)),
        _ => Err(incomplete()),
    }
}

fn broken(error: &(dyn std::error::Error + 'static), limit: usize) -> Problem {
    let mut cause = Some(error);
    while let Some(error) = cause {
        // A limit of the server outside this layer, `axum::extract::DefaultBodyLimit` or the like.
        if error.is::<LengthLimitError>() {
            return too_large(limit);
        }
        cause = error.source();
    }
    tracing::debug!(error, "a request's body broke off");
    incomplete()
}

fn late(time: Duration) -> Problem {
    Problem::new(Kind::BodyTimeout, format!("the body did not arrive within {time:?}; nothing was done"))
}

fn incomplete() -> Problem {
    Problem::new(Kind::BodyIncomplete, "the body is not as long as it says; nothing was done")
}

fn too_large(limit: usize) -> Problem {
    Problem::new(
        Kind::BodyTooLarge,
        format!("a request with an idempotency key may have a body of {limit} bytes at most"),
    )
}
