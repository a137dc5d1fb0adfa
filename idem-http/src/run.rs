//! A request with a key, from its header to its answer.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use http_body::Body;
use idem_core::{Error, Execution, Fingerprint, Key, Lease, Outcome, Reason, StoreExt};
use tower::{BoxError, ServiceExt};
use tower_service::Service;
use tracing::field::Empty;

use crate::attempt::{Attempt, NoAttempt, RequestIdentity};
use crate::body::RequestBody;
use crate::conclude::cause;
use crate::grpc::is_grpc;
use crate::handle::{Job, Ran, Withheld, handle};
use crate::intake;
use crate::layer::Shared;
use crate::metrics;
use crate::options::WhenNotRecorded;
use crate::problem::{Kind, Problem};
use crate::response::ResponseBody;
use crate::stage::Stage;
use crate::waiting::Waiting;

type Answered<RB, E> = Result<Response<ResponseBody<RB>>, E>;

/// Answers `request`, and tells its span and the counters how.
pub(crate) async fn run<I, B, RB>(
    shared: Arc<Shared>,
    stage: Arc<Stage<Job<I, B>>>,
    service: I,
    request: Request<B>,
    identity: RequestIdentity,
) -> Answered<RB, I::Error>
where
    I: Service<Request<RequestBody<B>>, Response = Response<RB>> + Send,
    I::Future: Send,
    I::Error: Send + 'static,
    B: Body + Send,
    B::Data: Send,
    B::Error: Into<BoxError> + Send,
    RB: Body<Data = Bytes> + Send,
    RB::Error: Send,
{
    let is_grpc = is_grpc(request.headers());
    let span = tracing::debug_span!("idem.http", key = Empty, answer = Empty);
    let mut answered = pin!(async {
        let (key, request, fingerprint) = match intake(&shared, request, &identity).await {
            Ok(taken) => taken,
            Err(problem) => return (problem.kind.code(), Ok(shared.refuse(&problem))),
        };
        tracing::Span::current().record("key", tracing::field::display(&key));
        stage.ask(Job { service, request });
        execute(&shared, &stage, key, fingerprint, identity).await
    });
    // Where it stands: `instrument` would take it by value, for which there must be room a second time.
    let (word, answer) = poll_fn(|cx| span.in_scope(|| answered.as_mut().poll(cx))).await;
    span.record("answer", word);
    metrics::answered(word);
    if is_grpc { answer.map(|answer| shared.as_grpc(answer)) } else { answer }
}

/// Whose key it is, the whole body, and what is asked for.
async fn intake<B>(
    shared: &Shared,
    request: Request<B>,
    identity: &RequestIdentity,
) -> Result<(Key, Request<RequestBody<B>>, Fingerprint), Problem>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    let options = &shared.options;
    let (parts, body) = request.into_parts();
    let scope = (shared.scope)(&parts).map_err(|error| {
        if error.status.is_server_error() {
            tracing::error!(
                status = error.status.as_u16(),
                detail = &*error.detail,
                "a request has no scope"
            );
        }
        Problem::new(Kind::Scope(error.status), error.detail)
    })?;
    let key = Key::new(&scope, identity.key.as_str())
        .map_err(|error| Problem::new(Kind::KeyMalformed, error.message().to_owned()))?;
    let (whole, share) = intake::read(&parts.headers, body, options, shared.bodies.share_of(&key)).await?;
    let fingerprint = options.recipe.of(&parts, &identity.uri, &whole.data);
    Ok((key, Request::from_parts(parts, RequestBody::whole(whole, share)), fingerprint))
}

/// Runs the handler when no other request with this key has, and answers in every case.
async fn execute<I, B, RB>(
    shared: &Arc<Shared>,
    stage: &Stage<Job<I, B>>,
    key: Key,
    fingerprint: Fingerprint,
    identity: RequestIdentity,
) -> (&'static str, Answered<RB, I::Error>)
where
    I: Service<Request<RequestBody<B>>, Response = Response<RB>> + Send,
    I::Future: Send,
    I::Error: Send + 'static,
    B: Body + Send,
    RB: Body<Data = Bytes> + Send,
    RB::Error: Send,
{
    let mut identity = Some(identity);
    let mut waiting = Waiting::new(shared);
    loop {
        let mut attempt = Attempted { ran: None, lease: None };
        let running = shared.running.begin();
        let execution = {
            let Attempted { ran, lease: held } = &mut attempt;
            let identity = &mut identity;
            let work = move |lease: Lease| {
                *held = Some(lease.clone());
                async move {
                    match (stage.start(), identity.take()) {
                        // In a box of its own: a replay never needs the room that a handler takes.
                        (Some(job), Some(identity)) => {
                            Box::pin(handle(shared, job, identity, lease, ran)).await
                        }
                        // The client left while the lock was asked for.
                        _ => Err(Withheld::NotExecuted),
                    }
                }
            };
            shared.store().execute_outcome(&key, &fingerprint, &shared.policy, work).await
        };
        let failed = match execution {
            Ok(Execution::InProgress { remaining }) => {
                drop(running);
                match waiting.one_round(stage, &key).await {
                    Ok(true) => continue,
                    Ok(false) => return ("in_flight", Ok(shared.in_flight(Some(remaining)))),
                    Err(error) => error,
                }
            }
            Ok(execution) => return respond(shared, execution, attempt, &key, &fingerprint).await,
            Err(error) => error,
        };
        return without_store(shared, stage, &key, &failed).await;
    }
}

/// An attempt that was made, if it came to that.
struct Attempted<RB: Body, E> {
    ran: Option<Ran<RB, E>>,
    lease: Option<Lease>,
}

async fn respond<RB, E>(
    shared: &Shared,
    execution: Execution<Outcome, Withheld>,
    attempt: Attempted<RB, E>,
    key: &Key,
    fingerprint: &Fingerprint,
) -> (&'static str, Answered<RB, E>)
where
    RB: Body<Data = Bytes>,
{
    let Attempted { ran, lease } = attempt;
    match execution {
        Execution::Executed(outcome) => ("executed", shared.executed(ran, outcome)),
        Execution::Replayed(outcome) => ("replayed", Ok(shared.replay(outcome))),
        // Waited for already.
        Execution::InProgress { remaining } => ("in_flight", Ok(shared.in_flight(Some(remaining)))),
        Execution::FingerprintMismatch => ("key_reused", Ok(shared.key_reused())),
        Execution::Fenced(_) => ("lost", Ok(Box::pin(shared.winner(key, fingerprint)).await)),
        Execution::Unavailable(reason) => match ran {
            Some(ran) if !ran.is_placeholder() => ("executed", ran.response),
            _ => ("not_kept", Ok(shared.not_kept(reason))),
        },
        Execution::Unknown(_, error) => {
            let error = cause(&error);
            tracing::error!(%key, error, "the handler ran, whether its answer is kept is unknown");
            ("not_recorded", shared.not_recorded(ran))
        }
        Execution::Failed(Withheld::NotExecuted) => {
            Box::pin(shared.release(lease.as_ref())).await;
            let response = ran.map_or_else(|| Ok(shared.client_left()), |ran| ran.response);
            ("released", response)
        }
        // It did nothing, since another attempt had taken over.
        Execution::Failed(Withheld::InDoubt) if lease.as_ref().is_some_and(Lease::is_lost) => {
            ("lost", Ok(Box::pin(shared.winner(key, fingerprint)).await))
        }
        Execution::Failed(Withheld::InDoubt) => {
            tracing::warn!(%key, "the handler does not know whether it completed its key, nor does the record");
            ("not_recorded", shared.not_recorded(ran))
        }
    }
}

/// The store failed before anything ran.
async fn without_store<I, B, RB>(
    shared: &Shared,
    stage: &Stage<Job<I, B>>,
    key: &Key,
    error: &Error,
) -> (&'static str, Answered<RB, I::Error>)
where
    I: Service<Request<RequestBody<B>>, Response = Response<RB>> + Send,
    RB: Body,
{
    let message = cause(error);
    if !shared.passes_through(error) {
        tracing::error!(%key, error = message, "the store failed, nothing was run");
        let problem = shared.store_failed(error);
        return (problem.kind.code(), Ok(shared.refuse(&problem)));
    }
    tracing::warn!(%key, error = message, "the store failed, the handler runs without a lock");
    let _running = shared.running.begin();
    let response = match stage.start() {
        Some(job) => Box::pin(shared.pass_through(job)).await,
        None => Ok(shared.client_left()),
    };
    ("passed_through", response)
}

impl Shared {
    /// The first client gets what the handler answered, unless the handler completed its key by itself.
    fn executed<RB: Body, E>(&self, ran: Option<Ran<RB, E>>, outcome: Outcome) -> Answered<RB, E> {
        match ran {
            Some(Ran { response, by_record: false }) => response,
            Some(Ran { by_record: true, .. }) | None => Ok(self.recorded(outcome)),
        }
    }

    /// The handler's answer, marked, or a problem: as the policy says.
    fn not_recorded<RB: Body, E>(&self, ran: Option<Ran<RB, E>>) -> Answered<RB, E> {
        match ran {
            // Who completes its key itself leaves its answer to the record.
            Some(Ran { response, by_record: false })
                if self.options.not_recorded == WhenNotRecorded::Answer =>
            {
                response.map(|response| self.marked_not_kept(response))
            }
            _ => {
                let detail = "the request may have been executed, and its answer may not be kept; ask again with this key";
                let problem = Problem::new(Kind::NotRecorded, detail).retry_after(self.options.retry_store);
                Ok(self.refuse(&problem))
            }
        }
    }

    fn marked_not_kept<RB: Body>(
        &self,
        mut response: Response<ResponseBody<RB>>,
    ) -> Response<ResponseBody<RB>> {
        let name = self.options.not_kept_header.clone();
        response.headers_mut().insert(name, HeaderValue::from_static("true"));
        response
    }

    /// Runs the handler as if there were no layer.
    async fn pass_through<I, B, RB>(&self, job: Job<I, B>) -> Answered<RB, I::Error>
    where
        I: Service<Request<RequestBody<B>>, Response = Response<RB>>,
        RB: Body,
    {
        let Job { service, mut request } = job;
        // One that it was given by the request around it is not its own.
        request.extensions_mut().remove::<Attempt>();
        if cfg!(feature = "axum") {
            request.extensions_mut().insert(NoAttempt::StoreFailed);
        }
        let response = service.oneshot(request).await?;
        Ok(self.marked_not_kept(response.map(ResponseBody::untouched)))
    }

    /// Nobody gets this.
    fn client_left<RB: Body>(&self) -> Response<ResponseBody<RB>> {
        self.not_kept(Reason::Other)
    }
}
