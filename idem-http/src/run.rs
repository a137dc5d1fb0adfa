//! A request with a key, from its lock to its answer. (Before that: `intake.rs`.)

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use http_body::Body;
use idem_core::{Error, Execution, Key, Lease, Outcome, StoreExt, UnavailableReason};
use tower::ServiceExt;
use tower_service::Service;

use crate::attempt::{Attempt, NoAttempt};
use crate::body::RequestBody;
use crate::conclude::cause;
use crate::handle::{Job, Ran, Withheld, handle};
use crate::intake::{Asked, record_answer};
use crate::layer::Shared;
use crate::options::WhenNotRecorded;
use crate::problem::{Kind, Problem};
use crate::response::ResponseBody;
use crate::stage::Stage;
use crate::waiting::Waiting;

/// What a client gets.
pub(crate) type Answered<RB, E> = Result<Response<ResponseBody<RB>>, E>;

/// Answers a request, and tells its span and the counters how. Goes by `stage`, which holds what runs the handler.
pub(crate) async fn run<I, B, RB>(asked: Asked, stage: Arc<Stage<Job<I, B>>>) -> Answered<RB, I::Error>
where
    I: Service<Request<RequestBody<B>>, Response = Response<RB>> + Send,
    I::Future: Send,
    I::Error: Send + 'static,
    B: Body + Send,
    RB: Body<Data = Bytes> + Send + 'static,
    RB::Error: Send,
{
    let mut answering = pin!(lock_and_run(&asked, &stage));
    // Where it stands: `instrument` would take it by value, for which there must be room a second time.
    let (word, answer) = poll_fn(|cx| asked.span.in_scope(|| answering.as_mut().poll(cx))).await;
    record_answer(&asked.span, word);
    if asked.is_grpc { answer.map(|answer| asked.shared.as_grpc(answer)) } else { answer }
}

/// Runs the handler when no other request with this key has, and answers in every case.
async fn lock_and_run<I, B, RB>(
    asked: &Asked,
    stage: &Stage<Job<I, B>>,
) -> (&'static str, Answered<RB, I::Error>)
where
    I: Service<Request<RequestBody<B>>, Response = Response<RB>> + Send,
    I::Future: Send,
    I::Error: Send + 'static,
    B: Body + Send,
    RB: Body<Data = Bytes> + Send + 'static,
    RB::Error: Send,
{
    let Asked { shared, key, fingerprint, .. } = asked;
    let mut waiting = Waiting::new(shared);
    let mut started = None;
    loop {
        let mut attempt = Attempted { ran: None, lease: None };
        let running = shared.running.begin();
        let execution = {
            let Attempted { ran, lease: held } = &mut attempt;
            let started = &mut started;
            let work = move |lease: Lease| {
                *held = Some(lease.clone());
                async move {
                    *started = stage.start();
                    let ended = match started {
                        Some(job) => handle(shared, job, lease, ran).await,
                        // The client left while the lock was asked for.
                        None => Err(Withheld::NotExecuted),
                    };
                    // Dropped before the store is asked again: a service inside that was polled ready holds its permit until then.
                    *started = None;
                    ended
                }
            };
            shared.store().execute_with_retention(key, fingerprint, &shared.policy, work).await
        };
        // What goes on after this is rare, so boxed: inline it would enlarge the future of every request.
        let later: Later<'_, RB, I::Error> = match execution {
            Ok(Execution::InProgress { remaining }) => {
                drop(running);
                match Box::pin(waiting.one_round(stage, key)).await {
                    Ok(true) => continue,
                    Ok(false) => return ("in_flight", Ok(shared.in_flight(Some(remaining)))),
                    Err(error) => Box::pin(without_store(shared, stage, key, error)),
                }
            }
            Ok(execution) => match asked.end(execution, attempt) {
                End::Answered(word, answer) => return (word, answer),
                End::Later(later) => later,
            },
            Err(error) => Box::pin(without_store(shared, stage, key, error)),
        };
        return later.await;
    }
}

type Later<'a, RB, E> = Pin<Box<dyn Future<Output = (&'static str, Answered<RB, E>)> + Send + 'a>>;

/// What a client gets, at once or later.
enum End<'a, RB: Body, E> {
    Answered(&'static str, Answered<RB, E>),
    Later(Later<'a, RB, E>),
}

/// An attempt that was made, if it came to that.
struct Attempted<RB: Body, E> {
    ran: Option<Ran<RB, E>>,
    lease: Option<Lease>,
}

/// The store failed before anything ran.
async fn without_store<I, B, RB>(
    shared: &Shared,
    stage: &Stage<Job<I, B>>,
    key: &Key,
    error: Error,
) -> (&'static str, Answered<RB, I::Error>)
where
    I: Service<Request<RequestBody<B>>, Response = Response<RB>> + Send,
    RB: Body,
{
    let message = cause(&error);
    if !shared.passes_through(&error) {
        tracing::error!(%key, error = message, "the store failed, nothing was run");
        let problem = shared.store_failed(&error);
        return (problem.kind.code(), Ok(shared.refuse(&problem)));
    }
    tracing::warn!(%key, error = message, "the store failed, the handler runs without a lock");
    let _running = shared.running.begin();
    let response = match stage.start() {
        Some(job) => shared.pass_through(job).await,
        None => Ok(shared.client_left()),
    };
    ("passed_through", response)
}

impl Asked {
    fn end<RB, E>(&self, execution: Execution<Outcome, Withheld>, attempt: Attempted<RB, E>) -> End<'_, RB, E>
    where
        RB: Body<Data = Bytes> + Send + 'static,
        RB::Error: Send,
        E: Send + 'static,
    {
        let Self { shared, key, fingerprint, .. } = self;
        let Attempted { ran, lease } = attempt;
        let of_winner = || {
            let winner = shared.winner(key, fingerprint);
            End::Later(Box::pin(async move { ("lost", Ok(winner.await)) }))
        };
        let (word, answer) = match execution {
            Execution::Executed(outcome) => {
                let is_kept = !lease.as_ref().is_some_and(Lease::is_result_unavailable);
                let answer = shared.executed(ran, outcome);
                let told = |response| if is_kept { response } else { shared.without_expiry(response) };
                ("executed", answer.map(told))
            }
            Execution::Replayed(outcome) => {
                let (word, response) = shared.replay(outcome);
                (word, Ok(response))
            }
            // Waited for already: the loop takes it.
            Execution::InProgress { remaining } => ("in_flight", Ok(shared.in_flight(Some(remaining)))),
            Execution::FingerprintMismatch => ("key_reused", Ok(shared.key_reused())),
            Execution::LeaseLost(_) => return of_winner(),
            Execution::Unavailable(reason) => match ran {
                Some(ran) if !ran.is_placeholder() => {
                    ("executed", ran.response.map(|response| shared.without_expiry(response)))
                }
                _ => ("not_kept", Ok(shared.not_kept(reason))),
            },
            Execution::Unknown(_, error) => {
                let error = cause(&error);
                tracing::error!(%key, error, "the handler ran, whether its answer is kept is unknown");
                ("not_recorded", shared.not_recorded(ran))
            }
            Execution::Failed(Withheld::NotExecuted) => {
                let response = ran.map_or_else(|| Ok(shared.client_left()), |ran| ran.response);
                return End::Later(Box::pin(async move {
                    shared.release(lease.as_ref()).await;
                    ("released", response)
                }));
            }
            // It did nothing, since another attempt had taken over.
            Execution::Failed(Withheld::InDoubt) if lease.as_ref().is_some_and(Lease::is_lost) => {
                return of_winner();
            }
            Execution::Failed(Withheld::InDoubt) => {
                tracing::warn!(%key, "the handler does not know whether it completed its key, nor does the record");
                ("not_recorded", shared.not_recorded(ran))
            }
        };
        End::Answered(word, answer)
    }
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

    fn marked_not_kept<RB: Body>(&self, response: Response<ResponseBody<RB>>) -> Response<ResponseBody<RB>> {
        let mut response = self.without_expiry(response);
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
        let Job { service, request, .. } = job;
        let Some(mut request) = request else { return Ok(self.client_left()) };
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
        self.not_kept(UnavailableReason::Other)
    }
}
