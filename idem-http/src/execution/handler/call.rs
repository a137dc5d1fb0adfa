//! Calling the handler once its service is ready, within its time limit.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use idem_core::{Lease, Outcome, UnavailableReason};
use tokio::time::timeout;
use tower::BoxError;
use tower::load_shed::error::Overloaded;
use tower_service::Service;

use super::handler_run::{HandlerResult, NoOutcome};
use super::routing::Routed;
use crate::intake::pending_handler::PendingHandler;
use crate::request::body::request_body::RequestBody;
use crate::response::problem::{Kind, Problem};
use crate::shared::Shared;

/// How the call ended.
pub(crate) enum Called<RB: Body, E> {
    /// With an answer, which is yet to be judged.
    Answered(Response<RB>, ResponseOrigin),
    /// Without an answer from the handler.
    Ended(HandlerResult<RB, E>),
}

/// What distinguishes a handler's answer from one of a router or a layer inside.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ResponseOrigin {
    /// Whether the answer came without waiting for anything.
    pub(crate) at_once: bool,
    pub(crate) routed: Routed,
}

pub(crate) async fn call<I, B, RB>(
    shared: &Shared,
    handler: &mut PendingHandler<I, B>,
    lease: &Lease,
) -> Called<RB, I::Error>
where
    I: Service<Request<RequestBody<B>>, Response = Response<RB>>,
    I::Error: 'static,
    RB: Body<Data = Bytes>,
{
    let options = &shared.options;
    let ready = poll_fn(|cx| handler.service.poll_ready(cx));
    match within(options.handler_timeout, pin!(ready)).await {
        // Another attempt may have taken over while the service was not ready.
        Some(Ok(())) if lease.is_lost() || lease.remaining().is_zero() => return not_begun(shared),
        Some(Ok(())) => {}
        // The service was never called.
        Some(Err(error)) => return Called::Ended((Err(error), Err(NoOutcome::NotExecuted))),
        None => return not_begun(shared),
    }
    let routed = handler.request.as_ref().map_or(Routed::Unknown, |request| Routed::of(request.extensions()));
    let mut calling = pin!(match handler.request.take() {
        Some(request) => handler.service.call(request),
        None => return not_begun(shared),
    });
    let mut at_once = true;
    // An answer that waited for nothing may come from a layer inside that sheds load, or from a router without a
    // handler for the request: then nothing ran.
    let watched = poll_fn(|cx| {
        let polled = calling.as_mut().poll(cx);
        at_once &= polled.is_ready();
        polled
    });
    let Some(answered) = within(options.handler_timeout, pin!(watched)).await else {
        return timed_out(shared, lease);
    };
    match answered {
        Ok(response) => Called::Answered(response, ResponseOrigin { at_once, routed }),
        Err(error) if at_once && is_shed(&error) => Called::Ended((Err(error), Err(NoOutcome::NotExecuted))),
        Err(error) => Called::Ended((Err(error), options.errors.outcome(UnavailableReason::Other))),
    }
}

/// Whether a layer inside shed the request before anything ran (`tower::load_shed`).
fn is_shed<E: 'static>(error: &E) -> bool {
    let error: &dyn Any = error;
    error.is::<Overloaded>() || error.downcast_ref::<BoxError>().is_some_and(|error| error.is::<Overloaded>())
}

async fn within<F: Future>(limit: Option<Duration>, future: F) -> Option<F::Output> {
    match limit {
        None => Some(future.await),
        Some(limit) => timeout(limit, future).await.ok(),
    }
}

/// The service was not ready while the lease lasted, or within the time limit.
fn not_begun<RB: Body, E>(shared: &Shared) -> Called<RB, E> {
    let detail = "the server is busy; nothing was done";
    let problem = Problem::new(Kind::Busy, detail).retry_after(shared.options.replies.retry_store);
    Called::Ended((Ok(shared.options.replies.refuse(&problem)), Err(NoOutcome::NotExecuted)))
}

fn timed_out<RB: Body, E>(shared: &Shared, lease: &Lease) -> Called<RB, E> {
    tracing::warn!(key = %lease.key(), "the handler took longer than its time, and was dropped");
    let detail = "the handler took too long; what it did until then is unknown";
    let response = shared.options.replies.refuse(&Problem::new(Kind::HandlerTimeout, detail));
    Called::Ended((Ok(response), Ok(Outcome::Unavailable(UnavailableReason::Other))))
}
