//! The future of an answer.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower::BoxError;
use tower::util::Oneshot;
use tower_service::Service;

use crate::execution::detachable::DetachableRun;
use crate::execution::finish::ServiceResult;
use crate::intake::unread::{Intake, IntakeStep, UnreadRequest};
use crate::request::body::request_body::RequestBody;
use crate::response::body::ResponseBody;

pin_project! {
    /// The future of an answer.
    ///
    /// # Cancel safety
    /// Dropped while the request's body is read, or while the request waits for another one with its key, the future
    /// drops the request. From the lock on, nothing is dropped: the request continues in a task of its own, so that its
    /// handler runs to its end and the answer is kept. If the store has not answered the lock by then, the handler does
    /// not begin, and the key is released. A handler that waits for its turn inside, at a limit of concurrency for
    /// example, has begun.
    pub struct ResponseFuture<I, B, RB, E>
    where
        I: Service<Request<RequestBody<B>>>,
        RB: Body,
    {
        #[pin]
        kind: Kind<I, B, RB, E>,
    }
}

pin_project! {
    #[project = Projected]
    enum Kind<I, B, RB, E>
    where
        I: Service<Request<RequestBody<B>>>,
        RB: Body,
    {
        Untouched { #[pin] future: Oneshot<I, Request<RequestBody<B>>> },
        Ready { response: Option<Response<ResponseBody<RB>>> },
        Unread { request: Option<UnreadRequest<I, B>> },
        Intake { #[pin] intake: Intake<I, B> },
        Running { run: DetachableRun<RB, E> },
    }
}

impl<I, B, RB, E> ResponseFuture<I, B, RB, E>
where
    I: Service<Request<RequestBody<B>>>,
    RB: Body,
{
    pub(crate) fn untouched(future: Oneshot<I, Request<RequestBody<B>>>) -> Self {
        Self { kind: Kind::Untouched { future } }
    }

    pub(crate) fn ready(response: Response<ResponseBody<RB>>) -> Self {
        Self { kind: Kind::Ready { response: Some(response) } }
    }

    pub(crate) fn unread(request: UnreadRequest<I, B>) -> Self {
        Self { kind: Kind::Unread { request: Some(request) } }
    }
}

impl<I, B, RB, E> Future for ResponseFuture<I, B, RB, E>
where
    I: Service<Request<RequestBody<B>>, Response = Response<RB>, Error = E> + Send + 'static,
    I::Future: Send,
    E: Send + 'static,
    B: Body + Send + 'static,
    B::Error: Into<BoxError>,
    RB: Body<Data = Bytes> + Send + 'static,
    RB::Error: Send,
{
    type Output = ServiceResult<RB, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let step = match self.as_mut().project().kind.project() {
                Projected::Untouched { future } => {
                    return future.poll(cx).map_ok(|response| response.map(ResponseBody::untouched));
                }
                Projected::Ready { response } => {
                    return match response.take() {
                        Some(response) => Poll::Ready(Ok(response)),
                        None => Poll::Pending,
                    };
                }
                Projected::Running { run } => return run.poll(cx),
                Projected::Unread { request } => match request.take() {
                    Some(request) => request.begin(),
                    // Polled again after the application's scope function panicked.
                    None => return Poll::Pending,
                },
                Projected::Intake { intake } => ready!(intake.poll(cx)),
            };
            let kind = match step {
                IntakeStep::Answered(response) => return Poll::Ready(Ok(response)),
                IntakeStep::Reading(intake) => Kind::Intake { intake },
                IntakeStep::Locking(request, handler) => {
                    Kind::Running { run: DetachableRun::new(request, handler) }
                }
            };
            self.as_mut().project().kind.set(kind);
        }
    }
}

impl<I, B, RB, E> std::fmt::Debug for ResponseFuture<I, B, RB, E>
where
    I: Service<Request<RequestBody<B>>>,
    RB: Body,
{
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match &self.kind {
            Kind::Untouched { .. } => "ResponseFuture(untouched)",
            Kind::Ready { .. } => "ResponseFuture(ready)",
            Kind::Unread { .. } | Kind::Intake { .. } => "ResponseFuture(reading)",
            Kind::Running { .. } => "ResponseFuture(running)",
        })
    }
}
