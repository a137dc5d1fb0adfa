//! A request that runs in the task of its connection, and once its client is gone in a task of its own.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tokio::runtime::Handle;
use tower_service::Service;
use tracing::{Instrument, Span};

use super::finish::ServiceResult;
use super::run::run;
use super::stage::Stage;
use crate::intake::keyed_request::KeyedRequest;
use crate::intake::pending_handler::PendingHandler;
use crate::options::{Detached, DetachedWrapper};
use crate::request::body::request_body::RequestBody;

type BoxedRun<RB, E> = Pin<Box<dyn Future<Output = ServiceResult<RB, E>> + Send>>;

/// A request between its lock and its answer. The task of its connection polls it, which saves a task. When it is dropped
/// before its end, it is spawned.
pub(crate) struct DetachableRun<RB: Body, E> {
    future: Option<BoxedRun<RB, E>>,
    stage: Arc<dyn ClientLeft>,
    /// Made in `new`, where the types are known to be `'static`: `Drop` has no such bounds.
    detach: fn(BoxedRun<RB, E>) -> Detached,
    /// Known once the request was pending.
    task: Option<TaskContext>,
    wrapper: Option<DetachedWrapper>,
}

/// What the spawned task takes over from the task that polled the request.
struct TaskContext {
    runtime: Handle,
    span: Span,
}

/// A [`Stage`], whatever the type of its handler.
trait ClientLeft: Send + Sync {
    fn client_left(&self) -> bool;
}

impl<H: Send> ClientLeft for Stage<H> {
    fn client_left(&self) -> bool {
        Self::client_left(self)
    }
}

impl<RB: Body + 'static, E: 'static> DetachableRun<RB, E> {
    pub(crate) fn new<I, B>(request: KeyedRequest, handler: PendingHandler<I, B>) -> Self
    where
        I: Service<Request<RequestBody<B>>, Response = Response<RB>, Error = E> + Send + 'static,
        I::Future: Send,
        E: Send,
        B: Body + Send + 'static,
        RB: Body<Data = Bytes> + Send,
        RB::Error: Send,
    {
        let detach = |future: BoxedRun<RB, E>| -> Detached { Box::pin(async move { drop(future.await) }) };
        let (stage, wrapper) = (Arc::new(Stage::new(handler)), request.shared.options.detached.clone());
        let future = Some(Box::pin(run(request, Arc::clone(&stage))) as BoxedRun<RB, E>);
        Self { future, stage, detach, task: None, wrapper }
    }
}

impl<RB: Body, E> DetachableRun<RB, E> {
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ServiceResult<RB, E>> {
        // Taken out, so that a future that panicked is not polled again.
        let Some(mut future) = self.future.take() else { return Poll::Pending };
        let polled = future.as_mut().poll(cx);
        if polled.is_pending() {
            self.future = Some(future);
            if self.task.is_none() {
                let runtime = Handle::try_current().ok();
                self.task = runtime.map(|runtime| TaskContext { runtime, span: Span::current() });
            }
        }
        polled
    }
}

impl<RB: Body, E> Drop for DetachableRun<RB, E> {
    fn drop(&mut self) {
        let Some(future) = self.future.take() else { return };
        if !self.stage.client_left() {
            return;
        }
        // Without a context the future was never pending: it has asked nothing of the store.
        if let Some(TaskContext { runtime, span }) = self.task.take() {
            let detached = (self.detach)(future);
            let detached = match &self.wrapper {
                Some(wrapper) => wrapper(detached),
                None => detached,
            };
            let _task = runtime.spawn(detached.instrument(span));
        }
    }
}
