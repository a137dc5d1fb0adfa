//! The body of an answer.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderMap, HeaderValue, TRANSFER_ENCODING};
use http::{Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::capture::PartlyReadBody;
use crate::buffered_body::BufferedBody;

pin_project! {
    /// The body of an answer: the handler's own, one that was read into memory, or one of which only the beginning was
    /// read.
    pub struct ResponseBody<B: Body> {
        #[pin]
        kind: Kind<B>,
    }
}

pin_project! {
    #[project = Projected]
    enum Kind<B: Body> {
        Untouched { #[pin] body: B },
        Buffered { buffered: BufferedBody },
        PartlyRead { body: PartlyReadBody<B> },
    }
}

impl<B: Body> ResponseBody<B> {
    pub(crate) fn untouched(body: B) -> Self {
        Self { kind: Kind::Untouched { body } }
    }

    pub(crate) fn buffered(buffered: BufferedBody) -> Self {
        Self { kind: Kind::Buffered { buffered } }
    }

    pub(crate) fn partly_read(body: PartlyReadBody<B>) -> Self {
        Self { kind: Kind::PartlyRead { body } }
    }
}

impl<B: Body<Data = Bytes>> Body for ResponseBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project().kind.project() {
            Projected::Untouched { body } => body.poll_frame(cx),
            Projected::Buffered { buffered } => Poll::Ready(buffered.next_frame().map(Ok)),
            Projected::PartlyRead { body } => {
                if let Some(read) = body.read.iter_mut().find(|read| !read.is_empty()) {
                    return Poll::Ready(Some(Ok(Frame::data(std::mem::take(read)))));
                }
                match body.error.take() {
                    Some(error) => Poll::Ready(Some(Err(error))),
                    None => body.rest.as_mut().poll_frame(cx),
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Untouched { body } => body.is_end_stream(),
            Kind::Buffered { buffered } => buffered.is_end_stream(),
            Kind::PartlyRead { body } => {
                body.read.iter().all(Bytes::is_empty) && body.error.is_none() && body.rest.is_end_stream()
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Untouched { body } => body.size_hint(),
            Kind::Buffered { buffered } => buffered.size_hint(),
            Kind::PartlyRead { body } => {
                let read = body.read.iter().map(|read| read.len() as u64).sum::<u64>();
                let rest = body.rest.size_hint();
                let mut hint = SizeHint::new();
                hint.set_lower(rest.lower().saturating_add(read));
                if let Some(upper) = rest.upper().and_then(|upper| upper.checked_add(read)) {
                    hint.set_upper(upper);
                }
                hint
            }
        }
    }
}

impl<B: Body> std::fmt::Debug for ResponseBody<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match &self.kind {
            Kind::Untouched { .. } => "ResponseBody(untouched)",
            Kind::Buffered { .. } => "ResponseBody(whole)",
            Kind::PartlyRead { .. } => "ResponseBody(partly read)",
        })
    }
}

/// An answer whose body is in memory: its length is known, and this connection decides how it is framed.
pub(crate) fn buffered_response<B: Body>(response: Response<BufferedBody>) -> Response<ResponseBody<B>> {
    let (mut parts, body) = response.into_parts();
    parts.headers.remove(TRANSFER_ENCODING);
    set_content_length(&mut parts.headers, parts.status, &body);
    Response::from_parts(parts, ResponseBody::buffered(body))
}

/// With trailers there is no length, since it would end the message before them; nor is there one for a status without a
/// body.
fn set_content_length(headers: &mut HeaderMap, status: StatusCode, body: &BufferedBody) {
    let bodiless =
        status.is_informational() || [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&status);
    if body.trailers.is_some() || bodiless {
        headers.remove(CONTENT_LENGTH);
    } else {
        headers.insert(CONTENT_LENGTH, decimal(body.len()));
    }
}

/// Goes through a `String`: one allocation, where the conversion from a number takes two.
fn decimal(number: u64) -> HeaderValue {
    HeaderValue::try_from(number.to_string()).unwrap_or_else(|_| HeaderValue::from(number))
}
