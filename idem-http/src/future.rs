//! The future of an answer, and what becomes of it when its client goes away.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;
use tokio::runtime::Handle;

use crate::response::ResponseBody;
use crate::stage::Stage;

type Answered<RB, E> = Result<Response<ResponseBody<RB>>, E>;
type Boxed<RB, E> = Pin<Box<dyn Future<Output = Answered<RB, E>> + Send>>;

pin_project! {
    /// The future of an answer.
    ///
    /// # Cancel safety
    /// Dropped while the request's body is read, it drops the request. From then on nothing is dropped: it goes on
    /// in a task of its own, so that a handler runs to its end and its answer is kept. A handler that had not begun
    /// does not begin any more, and its key is released.
    pub struct ResponseFuture<F, RB: Body, E> {
        #[pin]
        kind: Kind<F, RB, E>,
    }
}

pin_project! {
    #[project = Projected]
    enum Kind<F, RB: Body, E> {
        Untouched { #[pin] future: F },
        Ready { response: Option<Response<ResponseBody<RB>>> },
        Running { run: Run<RB, E> },
    }
}

/// A request between its body and its answer. It runs in the task of its connection, which costs no task of its
/// own, until that one drops it.
struct Run<RB: Body, E> {
    future: Option<Boxed<RB, E>>,
    leave: Arc<dyn Leave>,
    /// Known where the types are known to outlive the connection.
    detach: fn(&Handle, Boxed<RB, E>),
    runtime: Option<Handle>,
}

trait Leave: Send + Sync {
    fn leave(&self) -> bool;
}

impl<J: Send> Leave for Stage<J> {
    fn leave(&self) -> bool {
        Self::leave(self)
    }
}

impl<F, RB: Body, E> ResponseFuture<F, RB, E> {
    pub(crate) fn untouched(future: F) -> Self {
        Self { kind: Kind::Untouched { future } }
    }

    pub(crate) fn ready(response: Response<ResponseBody<RB>>) -> Self {
        Self { kind: Kind::Ready { response: Some(response) } }
    }

    pub(crate) fn running<J: Send + 'static>(
        future: impl Future<Output = Answered<RB, E>> + Send + 'static,
        stage: Arc<Stage<J>>,
    ) -> Self
    where
        RB: 'static,
        E: 'static,
    {
        let detach = |runtime: &Handle, future: Boxed<RB, E>| {
            let _detached = runtime.spawn(async move { drop(future.await) });
        };
        let run = Run { future: Some(Box::pin(future)), leave: stage, detach, runtime: None };
        Self { kind: Kind::Running { run } }
    }
}

impl<F, RB, E> Future for ResponseFuture<F, RB, E>
where
    F: Future<Output = Result<Response<RB>, E>>,
    RB: Body<Data = Bytes>,
{
    type Output = Answered<RB, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().kind.project() {
            Projected::Untouched { future } => {
                future.poll(cx).map_ok(|response| response.map(ResponseBody::untouched))
            }
            Projected::Ready { response } => match response.take() {
                Some(response) => Poll::Ready(Ok(response)),
                None => Poll::Pending,
            },
            Projected::Running { run } => run.poll(cx),
        }
    }
}

impl<RB: Body, E> Run<RB, E> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Answered<RB, E>> {
        // Out of its place, so that one that panicked is not begun again.
        let Some(mut future) = self.future.take() else { return Poll::Pending };
        let polled = future.as_mut().poll(cx);
        if polled.is_pending() {
            self.future = Some(future);
            if self.runtime.is_none() {
                self.runtime = Handle::try_current().ok();
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
        if let Some(runtime) = &self.runtime {
            (self.detach)(runtime, future);
        }
    }
}

impl<F, RB: Body, E> std::fmt::Debug for ResponseFuture<F, RB, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match &self.kind {
            Kind::Untouched { .. } => "ResponseFuture(untouched)",
            Kind::Ready { .. } => "ResponseFuture(ready)",
            Kind::Running { .. } => "ResponseFuture(running)",
        })
    }
}
