//! Running the handler, and what becomes of its answer.

use std::any::Any;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, HeaderValue};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Body;
use idem_core::{Lease, Outcome, Reason};
use tokio::time::timeout;
use tower::BoxError;
use tower::load_shed::error::Overloaded;
use tower_service::Service;

use crate::attempt::{Attempt, FromRecord, RequestIdentity};
use crate::body::RequestBody;
use crate::capture::{Captured, capture};
use crate::layer::Shared;
use crate::options::WhenHandlerFails;
use crate::panic::{Panicked, catch};
use crate::problem::{Kind, Problem};
use crate::response::{ResponseBody, whole};
use crate::unrouted::Routed;
use crate::verdict::{Answer, InDoubt, NOT_EXECUTED, Verdict};

/// What is needed to run a handler.
pub(crate) struct Job<I, B> {
    pub(crate) service: I,
    pub(crate) request: Request<RequestBody<B>>,
}

/// A handler that ran.
pub(crate) struct Ran<RB: Body, E> {
    /// What it answered.
    pub(crate) response: Result<Response<ResponseBody<RB>>, E>,
    /// Whether it completed its key itself, or may have: then the record has the answer.
    pub(crate) by_record: bool,
}

impl<RB: Body, E> Ran<RB, E> {
    /// Whether its answer says nothing, since the record is to be asked.
    pub(crate) fn is_placeholder(&self) -> bool {
        matches!(&self.response, Ok(response) if response.extensions().get::<FromRecord>().is_some())
    }
}

/// Why a handler that ran leaves no outcome to be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Withheld {
    /// The request was not executed.
    NotExecuted,
    /// The handler sent the outcome itself, and does not know whether it arrived.
    InDoubt,
}

type Handled<RB, E> = (Result<Response<ResponseBody<RB>>, E>, Result<Outcome, Withheld>);

/// Runs the handler of `job` under `lease`. A panic anywhere in it, in its answer's body or in the application's
/// policy is one of the handler's ends, so that the key never stays behind as if nobody had run.
pub(crate) async fn handle<I, B, RB>(
    shared: &Arc<Shared>,
    job: Job<I, B>,
    identity: RequestIdentity,
    lease: Lease,
    ran: &mut Option<Ran<RB, I::Error>>,
) -> Result<Outcome, Withheld>
where
    I: Service<Request<RequestBody<B>>, Response = Response<RB>>,
    I::Error: 'static,
    RB: Body<Data = Bytes>,
{
    let Job { service, mut request } = job;
    ask_for_no_coding(request.headers_mut());
    request.extensions_mut().insert(Attempt::new(lease.clone(), identity, Arc::clone(shared)));
    let handled = catch(pin!(answer(shared, service, request, &lease))).await;
    let (response, ending) = handled.unwrap_or_else(|Panicked| panicked(shared, &lease));
    let by_record = lease.is_completed() || ending == Err(Withheld::InDoubt);
    *ran = Some(Ran { response, by_record });
    ending
}

/// A retry need not accept the content coding that the first request did, so what is kept has none.
fn ask_for_no_coding(headers: &mut HeaderMap) {
    if headers.contains_key(ACCEPT_ENCODING) {
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    }
}

async fn answer<I, B, RB>(
    shared: &Shared,
    mut service: I,
    request: Request<RequestBody<B>>,
    lease: &Lease,
) -> Handled<RB, I::Error>
where
    I: Service<Request<RequestBody<B>>, Response = Response<RB>>,
    I::Error: 'static,
    RB: Body<Data = Bytes>,
{
    let options = &shared.options;
    let ready = poll_fn(|cx| service.poll_ready(cx));
    match within(options.handler_timeout, ready).await {
        // Others may have taken over while it waited for its turn.
        Some(Ok(())) if lease.is_lost() || lease.remaining().is_zero() => return not_begun(shared),
        Some(Ok(())) => {}
        // It was never called.
        Some(Err(error)) => return (Err(error), Err(Withheld::NotExecuted)),
        None => return not_begun(shared),
    }
    let routed = Routed::of(request.extensions());
    let mut called = pin!(service.call(request));
    // What waits for nothing has hardly done anything: a layer inside that sheds, and a router without a handler, answer so.
    let at_once = poll_fn(|cx| Poll::Ready(called.as_mut().poll(cx))).await;
    let is_at_once = at_once.is_ready();
    let called = match at_once {
        Poll::Ready(called) => called,
        Poll::Pending => match within(options.handler_timeout, called).await {
            Some(called) => called,
            None => return timed_out(shared, lease),
        },
    };
    let response = match called {
        Ok(response) => response,
        Err(error) if is_at_once && is_shed(&error) => return (Err(error), Err(Withheld::NotExecuted)),
        Err(error) => return (Err(error), options.errors.ending(Reason::Other)),
    };
    let (mut parts, body) = response.into_parts();
    let in_doubt = parts.extensions.remove::<InDoubt>().is_some();
    let asked = Answer {
        status: parts.status,
        headers: &parts.headers,
        extensions: &parts.extensions,
        trailers: None,
    };
    let nothing_ran = asked.is_not_executed(options.not_executed_header)
        || options.release_on.contains(&parts.status)
        || is_at_once && routed.is_answered_by_router(&parts, body.size_hint().exact() != Some(0));
    let verdict = if nothing_ran { Verdict::Release } else { (options.judge)(&asked) };
    if options.not_executed_header {
        parts.headers.remove(NOT_EXECUTED);
    }
    let ending = if in_doubt && !lease.is_completed() {
        Some(Err(Withheld::InDoubt))
    } else if lease.is_completed() {
        // The store answers from what the handler completed; this only ends the work.
        Some(Ok(Outcome::Unavailable(Reason::Other)))
    } else if parts.status == StatusCode::SWITCHING_PROTOCOLS {
        Some(Ok(Outcome::Unavailable(Reason::Upgraded)))
    } else {
        match verdict {
            Verdict::Release => Some(Err(Withheld::NotExecuted)),
            Verdict::DoNotKeep => {
                let streamed = body.size_hint().exact().is_none();
                let reason = if streamed { Reason::Streamed } else { Reason::Other };
                Some(Ok(Outcome::Unavailable(reason)))
            }
            Verdict::Keep => None,
        }
    };
    if let Some(ending) = ending {
        return (Ok(Response::from_parts(parts, ResponseBody::untouched(body))), ending);
    }
    let patience = options.patience_with(&body);
    match capture(Box::pin(body), options.max_response, patience).await {
        Captured::Partly(partly, reason) => {
            let response = Response::from_parts(parts, ResponseBody::partly(partly));
            (Ok(response), Ok(Outcome::Unavailable(reason)))
        }
        Captured::Whole(body) => {
            let ending = match shared.judge_trailers(&parts, body.trailers.as_ref()) {
                Verdict::Keep => {
                    let trailers = body.trailers.as_ref();
                    let outcome = shared.outcome(parts.status, &parts.headers, &body.data, trailers);
                    Ok(outcome.unwrap_or_else(|not_kept| Outcome::Unavailable(not_kept.reason())))
                }
                Verdict::Release => Err(Withheld::NotExecuted),
                Verdict::DoNotKeep => Ok(Outcome::Unavailable(Reason::Other)),
            };
            (Ok(whole(Response::from_parts(parts, body))), ending)
        }
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
fn not_begun<RB: Body, E>(shared: &Shared) -> Handled<RB, E> {
    let detail = "the server is busy; nothing was done";
    let problem = Problem::new(Kind::Busy, detail).retry_after(shared.options.retry_store);
    (Ok(shared.refuse(&problem)), Err(Withheld::NotExecuted))
}

fn timed_out<RB: Body, E>(shared: &Shared, lease: &Lease) -> Handled<RB, E> {
    tracing::warn!(key = %lease.key(), "the handler took longer than its time, and was dropped");
    let detail = "the handler took too long; what it did until then is unknown";
    let response = shared.refuse(&Problem::new(Kind::HandlerTimeout, detail));
    (Ok(response), Ok(Outcome::Unavailable(Reason::Other)))
}

fn panicked<RB: Body, E>(shared: &Shared, lease: &Lease) -> Handled<RB, E> {
    tracing::error!(key = %lease.key(), "the handler panicked");
    let detail = "the handler failed; what it did until then is unknown";
    let response = shared.refuse(&Problem::new(Kind::HandlerFailed, detail));
    (Ok(response), shared.options.panics.ending(Reason::Panicked))
}

impl Shared {
    fn judge_trailers(&self, parts: &http::response::Parts, trailers: Option<&HeaderMap>) -> Verdict {
        let Some(_) = trailers else { return Verdict::Keep };
        (self.options.judge)(&Answer {
            status: parts.status,
            headers: &parts.headers,
            extensions: &parts.extensions,
            trailers,
        })
    }
}

impl WhenHandlerFails {
    fn ending(self, reason: Reason) -> Result<Outcome, Withheld> {
        match self {
            Self::Keep => Ok(Outcome::Unavailable(reason)),
            Self::Release => Err(Withheld::NotExecuted),
        }
    }
}
