//! What the layer answers with.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderMap, HeaderValue, TRANSFER_ENCODING};
use http::{Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::body::Whole;
use crate::capture::Partly;

pin_project! {
    /// The body of an answer: the handler's own, one that was read into memory, or one of which only the
    /// beginning was.
    pub struct ResponseBody<B: Body> {
        #[pin]
        kind: Kind<B>,
    }
}

pin_project! {
    #[project = Projected]
    enum Kind<B: Body> {
        Untouched { #[pin] body: B },
        Whole { whole: Whole },
        Partly { partly: Partly<B> },
    }
}

impl<B: Body> ResponseBody<B> {
    pub(crate) fn untouched(body: B) -> Self {
        Self { kind: Kind::Untouched { body } }
    }

    pub(crate) fn whole(whole: Whole) -> Self {
        Self { kind: Kind::Whole { whole } }
    }

    pub(crate) fn partly(partly: Partly<B>) -> Self {
        Self { kind: Kind::Partly { partly } }
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
            Projected::Whole { whole } => Poll::Ready(whole.next().map(Ok)),
            Projected::Partly { partly } => {
                if let Some(read) = partly.read.iter_mut().find(|read| !read.is_empty()) {
                    return Poll::Ready(Some(Ok(Frame::data(std::mem::take(read)))));
                }
                match partly.broken.take() {
                    Some(error) => Poll::Ready(Some(Err(error))),
                    None => partly.rest.as_mut().poll_frame(cx),
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Untouched { body } => body.is_end_stream(),
            Kind::Whole { whole } => whole.is_over(),
            Kind::Partly { partly } => {
                partly.read.iter().all(Bytes::is_empty)
                    && partly.broken.is_none()
                    && partly.rest.is_end_stream()
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Untouched { body } => body.size_hint(),
            Kind::Whole { whole } => whole.size_hint(),
            Kind::Partly { partly } => {
                let read = partly.read.iter().map(|read| read.len() as u64).sum::<u64>();
                let rest = partly.rest.size_hint();
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
            Kind::Whole { .. } => "ResponseBody(whole)",
            Kind::Partly { .. } => "ResponseBody(partly read)",
        })
    }
}

/// An answer that is whole: its length is known, and its framing is that of this connection.
pub(crate) fn whole<B: Body>(response: Response<Whole>) -> Response<ResponseBody<B>> {
    let (mut parts, whole) = response.into_parts();
    parts.headers.remove(TRANSFER_ENCODING);
    set_length(&mut parts.headers, parts.status, &whole);
    Response::from_parts(parts, ResponseBody::whole(whole))
}

/// A length with trailers would end the message before them; a status without a body has none.
fn set_length(headers: &mut HeaderMap, status: StatusCode, whole: &Whole) {
    let bodiless =
        status.is_informational() || [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&status);
    if whole.trailers.is_some() || bodiless {
        headers.remove(CONTENT_LENGTH);
    } else {
        headers.insert(CONTENT_LENGTH, decimal(whole.len()));
    }
}

/// By way of text, which takes one allocation where the conversion from a number takes two.
fn decimal(number: u64) -> HeaderValue {
    HeaderValue::try_from(number.to_string()).unwrap_or_else(|_| HeaderValue::from(number))
}
