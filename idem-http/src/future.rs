//! The future of an answer, and what becomes of it when its client goes away.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tokio::runtime::Handle;
use tower::BoxError;
use tower::util::Oneshot;
use tower_service::Service;
use tracing::{Instrument, Span};

use crate::body::RequestBody;
use crate::handle::Job;
use crate::intake::{Asked, Intake, Next, Unread};
use crate::response::ResponseBody;
use crate::run::{Answered, run};
use crate::stage::Stage;

type Boxed<RB, E> = Pin<Box<dyn Future<Output = Answered<RB, E>> + Send>>;

pin_project! {
    /// The future of an answer.
    ///
    /// # Cancel safety
    /// Dropped while the request's body is read, or while it waits for another request with its key, it drops the request.
    /// From the lock on nothing is dropped: it goes on in a task of its own, so that a handler runs to its end and its
    /// answer is kept. Where the store has not answered yet, the handler does not begin any more, and its key is
    /// released; one that waits for its turn inside, at a limit of concurrency say, has begun.
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
        Unread { unread: Option<Unread<I, B>> },
        Intake { #[pin] intake: Intake<I, B> },
        Running { run: Run<RB, E> },
    }
}

/// A request between the store and its answer. It runs in the task of its connection, which costs no task of its
/// own, until that one drops it.
struct Run<RB: Body, E> {
    future: Option<Boxed<RB, E>>,
    leave: Arc<dyn Leave>,
    /// Known where the types are known to outlive the connection.
    detach: fn(Boxed<RB, E>) -> Detached,
    /// Where it runs on without its client; known once it has waited for something.
    surroundings: Option<Surroundings>,
    wrap: Option<Wrap>,
}

/// What a task has that a task of its own has not.
struct Surroundings {
    runtime: Handle,
    span: Span,
}

/// A request that goes on without its client: see [`IdempotencyLayerBuilder::when_detached`](crate::IdempotencyLayerBuilder::when_detached).
pub type Detached = Pin<Box<dyn Future<Output = ()> + Send>>;
/// What the application puts around it.
pub(crate) type Wrap = Arc<dyn Fn(Detached) -> Detached + Send + Sync>;

trait Leave: Send + Sync {
    fn leave(&self) -> bool;
}

impl<J: Send> Leave for Stage<J> {
    fn leave(&self) -> bool {
        Self::leave(self)
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

    pub(crate) fn unread(unread: Unread<I, B>) -> Self {
        Self { kind: Kind::Unread { unread: Some(unread) } }
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
    type Output = Answered<RB, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let next = match self.as_mut().project().kind.project() {
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
                Projected::Unread { unread } => match unread.take() {
                    Some(unread) => unread.begin(),
                    // Its scope panicked.
                    None => return Poll::Pending,
                },
                Projected::Intake { intake } => ready!(intake.poll(cx)),
            };
            let kind = match next {
                Next::Answered(response) => return Poll::Ready(Ok(response)),
                Next::Reading(intake) => Kind::Intake { intake },
                Next::Asking(asked, job) => Kind::Running { run: Run::new(asked, job) },
            };
            self.as_mut().project().kind.set(kind);
        }
    }
}

impl<RB: Body + 'static, E: 'static> Run<RB, E> {
    fn new<I, B>(asked: Asked, job: Job<I, B>) -> Self
    where
        I: Service<Request<RequestBody<B>>, Response = Response<RB>, Error = E> + Send + 'static,
        I::Future: Send,
        E: Send,
        B: Body + Send + 'static,
        RB: Body<Data = Bytes> + Send,
        RB::Error: Send,
    {
        let detach = |future: Boxed<RB, E>| -> Detached { Box::pin(async move { drop(future.await) }) };
        let (stage, wrap) = (Arc::new(Stage::new(job)), asked.shared.options.detached.clone());
        let future = Some(Box::pin(run(asked, Arc::clone(&stage))) as Boxed<RB, E>);
        Self { future, leave: stage, detach, surroundings: None, wrap }
    }
}

impl<RB: Body, E> Run<RB, E> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Answered<RB, E>> {
        // Out of its place, so that one that panicked is not begun again.
        let Some(mut future) = self.future.take() else { return Poll::Pending };
        let polled = future.as_mut().poll(cx);
        if polled.is_pending() {
            self.future = Some(future);
            if self.surroundings.is_none() {
                let runtime = Handle::try_current().ok();
                self.surroundings = runtime.map(|runtime| Surroundings { runtime, span: Span::current() });
            }
        }
        polled
    }
}

impl<RB: Body, E> Drop for Run<RB, E> {
    fn drop(&mut self) {
        let Some(future) = self.future.take() else { return };
        if !self.leave.leave() {
            return;
        }
        // Before its first poll it had asked nobody.
        if let Some(Surroundings { runtime, span }) = self.surroundings.take() {
            let detached = (self.detach)(future);
            let detached = match &self.wrap {
                Some(wrap) => wrap(detached),
                None => detached,
            };
            let _task = runtime.spawn(detached.instrument(span));
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
