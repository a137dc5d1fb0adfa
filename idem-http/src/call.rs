//! Calling the handler, once it is its turn and while its time lasts.

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

use crate::body::RequestBody;
use crate::handle::{Job, Withheld};
use crate::layer::Shared;
use crate::options::WhenHandlerFails;
use crate::problem::{Kind, Problem};
use crate::response::ResponseBody;
use crate::unrouted::Routed;

/// What the client gets, and what the store.
pub(crate) type Handled<RB, E> = (Result<Response<ResponseBody<RB>>, E>, Result<Outcome, Withheld>);

/// What came of the call.
pub(crate) enum Called<RB: Body, E> {
    /// An answer, that is to be judged.
    Answered(Response<RB>, HowAnswered),
    /// None of the handler's.
    Ended(Handled<RB, E>),
}

/// What tells an answer of a handler from one of a router or a layer inside.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HowAnswered {
    /// Without waiting for anything.
    pub(crate) at_once: bool,
    pub(crate) routed: Routed,
}

pub(crate) async fn call<I, B, RB>(
    shared: &Shared,
    job: &mut Job<I, B>,
    lease: &Lease,
) -> Called<RB, I::Error>
where
    I: Service<Request<RequestBody<B>>, Response = Response<RB>>,
    I::Error: 'static,
    RB: Body<Data = Bytes>,
{
    let options = &shared.options;
    let ready = poll_fn(|cx| job.service.poll_ready(cx));
    match within(options.handler_timeout, pin!(ready)).await {
        // Others may have taken over while it waited for its turn.
        Some(Ok(())) if lease.is_lost() || lease.remaining().is_zero() => return not_begun(shared),
        Some(Ok(())) => {}
        // It was never called.
        Some(Err(error)) => return Called::Ended((Err(error), Err(Withheld::NotExecuted))),
        None => return not_begun(shared),
    }
    let routed = job.request.as_ref().map_or(Routed::Unknown, |request| Routed::of(request.extensions()));
    let mut called = pin!(match job.request.take() {
        Some(request) => job.service.call(request),
        None => return not_begun(shared),
    });
    let mut at_once = true;
    // What waits for nothing has hardly done anything: a layer inside that sheds, and a router without a handler, answer so.
    let watched = poll_fn(|cx| {
        let polled = called.as_mut().poll(cx);
        at_once &= polled.is_ready();
        polled
    });
    let Some(answered) = within(options.handler_timeout, pin!(watched)).await else {
        return timed_out(shared, lease);
    };
    match answered {
        Ok(response) => Called::Answered(response, HowAnswered { at_once, routed }),
        Err(error) if at_once && is_shed(&error) => Called::Ended((Err(error), Err(Withheld::NotExecuted))),
        Err(error) => Called::Ended((Err(error), options.errors.ending(UnavailableReason::Other))),
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

/// The handler did not get its turn while its lease lasted, or within its time.
fn not_begun<RB: Body, E>(shared: &Shared) -> Called<RB, E> {
    let detail = "the server is busy; nothing was done";
    let problem = Problem::new(Kind::Busy, detail).retry_after(shared.options.retry_store);
    Called::Ended((Ok(shared.refuse(&problem)), Err(Withheld::NotExecuted)))
}

fn timed_out<RB: Body, E>(shared: &Shared, lease: &Lease) -> Called<RB, E> {
    tracing::warn!(key = %lease.key(), "the handler took longer than its time, and was dropped");
    let detail = "the handler took too long; what it did until then is unknown";
    let response = shared.refuse(&Problem::new(Kind::HandlerTimeout, detail));
    Called::Ended((Ok(response), Ok(Outcome::Unavailable(UnavailableReason::Other))))
}

impl WhenHandlerFails {
    pub(crate) fn ending(self, reason: UnavailableReason) -> Result<Outcome, Withheld> {
        match self {
            Self::Keep => Ok(Outcome::Unavailable(reason)),
            Self::Release => Err(Withheld::NotExecuted),
        }
    }
}
