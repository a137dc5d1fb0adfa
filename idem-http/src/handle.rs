//! Running the handler, and what becomes of its answer.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue};
use http::{Request, Response};
use http_body::Body;
use idem_core::{Lease, Outcome, UnavailableReason};
use tower_service::Service;

use crate::attempt::{Attempt, FromRecord, RequestIdentity};
use crate::body::RequestBody;
use crate::call::{Called, Handled, call};
use crate::capture::{Captured, capture};
use crate::judge::Judged;
use crate::layer::Shared;
use crate::panic::{Panicked, catch};
use crate::problem::{Kind, Problem};
use crate::response::{ResponseBody, whole};
use crate::verdict::Verdict;

/// What is needed to run a handler. It stays where it is, since each future that it moved through would have room for it.
pub(crate) struct Job<I, B> {
    pub(crate) service: I,
    /// None once the service was called with it.
    pub(crate) request: Option<Request<RequestBody<B>>>,
    /// None once the handler can find it as its attempt.
    pub(crate) identity: Option<RequestIdentity>,
}

impl<I, B> Job<I, B> {
    /// From here on the handler finds its attempt.
    fn begin(&mut self, shared: &Arc<Shared>, lease: &Lease) {
        if let (Some(request), Some(identity)) = (&mut self.request, self.identity.take()) {
            ask_for_no_coding(request.headers_mut());
            request.extensions_mut().insert(Attempt::new(lease.clone(), identity, Arc::clone(shared)));
        }
    }
}

/// A retry need not accept the content coding that the first request did, so what is kept has none.
fn ask_for_no_coding(headers: &mut HeaderMap) {
    if headers.contains_key(ACCEPT_ENCODING) {
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    }
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

/// Runs the handler of `job` under `lease`. A panic anywhere in it, in its answer's body or in the application's
/// policy is one of the handler's ends, so that the key never stays behind as if nobody had run.
pub(crate) async fn handle<I, B, RB>(
    shared: &Arc<Shared>,
    job: &mut Job<I, B>,
    lease: Lease,
    ran: &mut Option<Ran<RB, I::Error>>,
) -> Result<(Outcome, Duration), Withheld>
where
    I: Service<Request<RequestBody<B>>, Response = Response<RB>>,
    I::Error: 'static,
    RB: Body<Data = Bytes>,
{
    job.begin(shared, &lease);
    let mut retention = shared.options.retention;
    let handled = catch(pin!(call_and_capture(shared, job, &lease, &mut retention))).await;
    let (response, ending) = handled.unwrap_or_else(|Panicked| panicked(shared, &lease));
    let by_record = lease.is_completed() || ending == Err(Withheld::InDoubt);
    *ran = Some(Ran { response, by_record });
    ending.map(|outcome| (outcome, retention))
}

async fn call_and_capture<I, B, RB>(
    shared: &Shared,
    job: &mut Job<I, B>,
    lease: &Lease,
    retention: &mut Duration,
) -> Handled<RB, I::Error>
where
    I: Service<Request<RequestBody<B>>, Response = Response<RB>>,
    I::Error: 'static,
    RB: Body<Data = Bytes>,
{
    let (mut parts, body) = match call(shared, job, lease).await {
        Called::Ended(handled) => return handled,
        Called::Answered(response, how) => match shared.judge(response, how, lease) {
            Judged::Ended(response, ending) => return (Ok(response), ending),
            Judged::Kept(parts, body, how_long) => {
                *retention = how_long;
                (parts, body)
            }
        },
    };
    let patience = shared.options.patience_with(&*body);
    match capture(body, shared.options.max_response, patience).await {
        Captured::Partly(partly, reason) => {
            if reason == UnavailableReason::TooLarge {
                let most = shared.options.max_response;
                let key = lease.key();
                tracing::warn!(%key, most, "an answer above max_response is not kept; a retry will be told so");
            }
            let response = Response::from_parts(parts, ResponseBody::partly(partly));
            (Ok(response), Ok(Outcome::Unavailable(reason)))
        }
        Captured::Whole(body) => {
            let ending = match shared.judge_trailers(&parts, body.trailers.as_deref()) {
                Some(Verdict::Release) => Err(Withheld::NotExecuted),
                Some(Verdict::DoNotKeep) => Ok(Outcome::Unavailable(UnavailableReason::Other)),
                kept => {
                    match kept {
                        Some(Verdict::KeepFor(how_long)) => *retention = how_long,
                        Some(_) => *retention = shared.options.retention,
                        None => {}
                    }
                    shared.tell_expiry(&mut parts.headers, *retention, lease);
                    let trailers = body.trailers.as_deref();
                    let outcome = shared.outcome(parts.status, &parts.headers, &body.data, trailers);
                    Ok(outcome.unwrap_or_else(|not_kept| Outcome::Unavailable(not_kept.reason())))
                }
            };
            (Ok(whole(Response::from_parts(parts, body))), ending)
        }
    }
}

fn panicked<RB: Body, E>(shared: &Shared, lease: &Lease) -> Handled<RB, E> {
    tracing::error!(key = %lease.key(), "the handler panicked");
    let detail = "the handler failed; what it did until then is unknown";
    let response = shared.refuse(&Problem::new(Kind::HandlerFailed, detail));
    (Ok(response), shared.options.panics.ending(UnavailableReason::Panicked))
}
