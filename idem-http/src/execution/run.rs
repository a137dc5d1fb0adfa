//! A request with a key, from its lock to its answer. What comes before is in `intake/unread.rs`.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use idem_core::{Execution, Lease, StoreExt};
use tower_service::Service;

use super::finish::{AttemptEnd, LaterReply, Reply, ServiceResult};
use super::handler::handle::handle;
use super::handler::handler_run::NoOutcome;
use super::pass_through::without_store;
use super::stage::Stage;
use super::waiting::Waiting;
use crate::intake::keyed_request::KeyedRequest;
use crate::intake::pending_handler::PendingHandler;
use crate::metrics::record_answer;
use crate::request::body::request_body::RequestBody;

/// Answers a request, and reports how. `stage` holds the handler until it is started.
pub(crate) async fn run<I, B, RB>(
    request: KeyedRequest,
    stage: Arc<Stage<PendingHandler<I, B>>>,
) -> ServiceResult<RB, I::Error>
where
    I: Service<Request<RequestBody<B>>, Response = Response<RB>> + Send,
    I::Future: Send,
    I::Error: Send + 'static,
    B: Body + Send,
    RB: Body<Data = Bytes> + Send + 'static,
    RB::Error: Send,
{
    let mut answering = pin!(lock_and_run(&request, &stage));
    // Not by `instrument`, which takes the future by value: this future would need room for it twice.
    let (label, answer) = poll_fn(|cx| request.span.in_scope(|| answering.as_mut().poll(cx))).await;
    record_answer(&request.span, label);
    if request.is_grpc { answer.map(|answer| request.shared.options.replies.as_grpc(answer)) } else { answer }
}

/// Locks the key and runs the handler, unless another request with this key has done so. Answers in every case.
async fn lock_and_run<I, B, RB>(
    request: &KeyedRequest,
    stage: &Stage<PendingHandler<I, B>>,
) -> (&'static str, ServiceResult<RB, I::Error>)
where
    I: Service<Request<RequestBody<B>>, Response = Response<RB>> + Send,
    I::Future: Send,
    I::Error: Send + 'static,
    B: Body + Send,
    RB: Body<Data = Bytes> + Send + 'static,
    RB::Error: Send,
{
    let KeyedRequest { shared, key, fingerprint, .. } = request;
    let mut waiting = Waiting::new(shared);
    let mut started = None;
    loop {
        let mut attempt = AttemptEnd { run: None, lease: None };
        let running = shared.running.begin();
        let execution = {
            let AttemptEnd { run, lease: held } = &mut attempt;
            let started = &mut started;
            let work = move |lease: Lease| {
                *held = Some(lease.clone());
                async move {
                    *started = stage.start();
                    let result = match started {
                        Some(handler) => handle(shared, handler, lease, run).await,
                        // The client left while the lock was asked for.
                        None => Err(NoOutcome::NotExecuted),
                    };
                    // Dropped before the store is asked again, since a service inside that was polled ready holds a
                    // permit.
                    *started = None;
                    result
                }
            };
            shared.store().execute_with_retention(key, fingerprint, &shared.policy, work).await
        };
        // Cold path: boxed to keep the future of every request small.
        let later: LaterReply<'_, RB, I::Error> = match execution {
            Ok(Execution::InProgress { remaining }) => {
                drop(running);
                match Box::pin(waiting.wait_once(stage, key)).await {
                    Ok(true) => continue,
                    Ok(false) => return ("in_flight", Ok(shared.options.replies.in_flight(Some(remaining)))),
                    Err(error) => Box::pin(without_store(shared, stage, key, error)),
                }
            }
            Ok(execution) => match request.finish(execution, attempt) {
                Reply::Now(label, answer) => return (label, answer),
                Reply::Later(later) => later,
            },
            Err(error) => Box::pin(without_store(shared, stage, key, error)),
        };
        return later.await;
    }
}
