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

use super::call::{Called, call};
use super::handler_run::{HandlerResult, HandlerRun, NoOutcome};
use super::judge::Judged;
use super::panic::{Panicked, catch};
use crate::execution::attempt::Attempt;
use crate::intake::pending_handler::PendingHandler;
use crate::request::body::request_body::RequestBody;
use crate::response::body::{ResponseBody, buffered_response};
use crate::response::capture::{Captured, capture};
use crate::response::problem::{Kind, Problem};
use crate::response::verdict::Verdict;
use crate::shared::Shared;

/// Runs the handler under `lease`. A panic in the handler, in the body of its answer or in the application's verdict
/// counts as an end of the handler, so that the key never stays locked as if nothing had run.
pub(crate) async fn handle<I, B, RB>(
    shared: &Arc<Shared>,
    handler: &mut PendingHandler<I, B>,
    lease: Lease,
    run: &mut Option<HandlerRun<RB, I::Error>>,
) -> Result<(Outcome, Duration), NoOutcome>
where
    I: Service<Request<RequestBody<B>>, Response = Response<RB>>,
    I::Error: 'static,
    RB: Body<Data = Bytes>,
{
    add_attempt(handler, shared, &lease);
    let mut retention = shared.options.retention;
    let result = catch(pin!(call_and_capture(shared, handler, &lease, &mut retention))).await;
    let (response, outcome) = result.unwrap_or_else(|Panicked| panicked(shared, &lease));
    let by_record = lease.is_completed() || outcome == Err(NoOutcome::InDoubt);
    *run = Some(HandlerRun { response, by_record });
    outcome.map(|outcome| (outcome, retention))
}

/// Puts the attempt into the handler's request.
fn add_attempt<I, B>(handler: &mut PendingHandler<I, B>, shared: &Arc<Shared>, lease: &Lease) {
    if let (Some(request), Some(identity)) = (&mut handler.request, handler.identity.take()) {
        accept_no_coding(request.headers_mut());
        request.extensions_mut().insert(Attempt::new(lease.clone(), identity, Arc::clone(shared)));
    }
}

/// A retry need not accept the content coding that the first request accepted, so a kept answer has none.
fn accept_no_coding(headers: &mut HeaderMap) {
    if headers.contains_key(ACCEPT_ENCODING) {
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    }
}

async fn call_and_capture<I, B, RB>(
    shared: &Shared,
    handler: &mut PendingHandler<I, B>,
    lease: &Lease,
    retention: &mut Duration,
) -> HandlerResult<RB, I::Error>
where
    I: Service<Request<RequestBody<B>>, Response = Response<RB>>,
    I::Error: 'static,
    RB: Body<Data = Bytes>,
{
    let (mut parts, body) = match call(shared, handler, lease).await {
        Called::Ended(result) => return result,
        Called::Answered(response, origin) => match shared.judge(response, origin, lease) {
            Judged::Ended(response, outcome) => return (Ok(response), outcome),
            Judged::Kept(parts, body, how_long) => {
                *retention = how_long;
                (parts, body)
            }
        },
    };
    let timeout = shared.options.response_timeout_for(&*body);
    match capture(body, shared.options.kept.max_body, timeout).await {
        Captured::PartlyRead(body, reason) => {
            if reason == UnavailableReason::TooLarge {
                let most = shared.options.kept.max_body;
                let key = lease.key();
                tracing::warn!(%key, most, "an answer above max_response is not kept; a retry will be told so");
            }
            let response = Response::from_parts(parts, ResponseBody::partly_read(body));
            (Ok(response), Ok(Outcome::Unavailable(reason)))
        }
        Captured::Whole(body) => {
            let outcome = match shared.judge_trailers(&parts, body.trailers.as_deref()) {
                Some(Verdict::Release) => Err(NoOutcome::NotExecuted),
                Some(Verdict::DoNotKeep) => Ok(Outcome::Unavailable(UnavailableReason::Other)),
                kept => {
                    match kept {
                        Some(Verdict::KeepFor(how_long)) => *retention = how_long,
                        Some(_) => *retention = shared.options.retention,
                        None => {}
                    }
                    shared.options.expires_header.set(&mut parts.headers, *retention, lease);
                    let trailers = body.trailers.as_deref();
                    let outcome =
                        shared.options.kept.outcome(parts.status, &parts.headers, &body.data, trailers);
                    Ok(outcome.unwrap_or_else(|not_kept| Outcome::Unavailable(not_kept.reason())))
                }
            };
            (Ok(buffered_response(Response::from_parts(parts, body))), outcome)
        }
    }
}

fn panicked<RB: Body, E>(shared: &Shared, lease: &Lease) -> HandlerResult<RB, E> {
    tracing::error!(key = %lease.key(), "the handler panicked");
    let detail = "the handler failed; what it did until then is unknown";
    let response = shared.options.replies.refuse(&Problem::new(Kind::HandlerFailed, detail));
    (Ok(response), shared.options.panics.outcome(UnavailableReason::Panicked))
}
