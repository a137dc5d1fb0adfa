//! Reading a request's body into one buffer, within bounds of bytes and time.

use std::pin::pin;
use std::time::Duration;

use bytes::Buf;
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use http_body::Body;
use http_body_util::{BodyExt, LengthLimitError};
use tower::BoxError;

use crate::bodies::Share;
use crate::body::{Whole, bytes_frame};
use crate::body_buffer::Buffer;
use crate::options::Options;
use crate::patience::Patience;
use crate::problem::{Kind, Problem};

/// The whole body, of [`max_body`](Options::max_body) bytes at most, that arrives in time, and its share of what all bodies
/// may hold.
///
/// # Cancel safety
/// Dropped, it holds nothing any more.
pub(crate) async fn read<B>(
    headers: &HeaderMap,
    body: B,
    options: &Options,
    share: Share,
) -> Result<(Whole, Share), Problem>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    let (limit, time) = (options.max_body, options.body_timeout);
    let declared = declared_length(headers)?;
    let least = declared.unwrap_or(0).max(body.size_hint().lower());
    if least > limit as u64 {
        return Err(too_large(limit));
    }
    let buffer = Buffer::new(usize::try_from(least).unwrap_or(0), limit, share);
    let collected = Patience::new(time).wait(pin!(collect(body, buffer, options))).await;
    let (whole, share) = collected.unwrap_or_else(|| Err(late(time)))?;
    if declared.is_some_and(|declared| declared != whole.len()) {
        return Err(incomplete());
    }
    Ok((whole, share))
}

async fn collect<B>(body: B, mut buffer: Buffer, options: &Options) -> Result<(Whole, Share), Problem>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    let mut body = pin!(body);
    let mut trailers = None;
    while let Some(frame) = body.frame().await {
        // A body that is always ready must not keep its thread, or it would never meet its time limit.
        tokio::task::coop::consume_budget().await;
        let frame = match frame {
            Ok(frame) => frame,
            Err(error) => return Err(broken(error.into().as_ref(), buffer.limit)),
        };
        match frame.into_data() {
            Ok(data) if data.remaining() > buffer.limit - buffer.len() => {
                return Err(too_large(buffer.limit));
            }
            Ok(data) => {
                if !buffer.push(data) {
                    return Err(no_room(options.retry_store));
                }
            }
            Err(frame) => trailers = bytes_frame(frame).into_trailers().ok(),
        }
    }
    let (data, share) = buffer.freeze();
    Ok((Whole { data, trailers }, share))
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

fn no_room(pause: Duration) -> Problem {
    let detail = "the bodies of other requests take all the room that there is for them; nothing was done";
    Problem::new(Kind::BodiesFull, detail).retry_after(pause)
}

fn too_large(limit: usize) -> Problem {
    Problem::new(
        Kind::BodyTooLarge,
        format!("a request with an idempotency key may have a body of {limit} bytes at most"),
    )
}
