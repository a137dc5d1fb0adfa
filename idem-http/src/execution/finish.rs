//! What a client gets once the execution of its request has ended.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use http::{HeaderValue, Response};
use http_body::Body;
use idem_core::{Execution, Lease, Outcome, UnavailableReason};

use super::handler::handler_run::{HandlerRun, NoOutcome};
use super::store_failure::cause;
use crate::intake::keyed_request::KeyedRequest;
use crate::options::WhenNotRecorded;
use crate::response::body::ResponseBody;
use crate::response::problem::{Kind, Problem};
use crate::shared::Shared;

/// What a client gets: a response, or the error of the inner service.
pub(crate) type ServiceResult<RB, E> = Result<Response<ResponseBody<RB>>, E>;

pub(crate) type LaterReply<'a, RB, E> =
    Pin<Box<dyn Future<Output = (&'static str, ServiceResult<RB, E>)> + Send + 'a>>;

/// What a client gets, and how that is counted.
pub(crate) enum Reply<'a, RB: Body, E> {
    Now(&'static str, ServiceResult<RB, E>),
    /// The client gets its answer once the store has been asked again.
    Later(LaterReply<'a, RB, E>),
}

/// What is left of an attempt, if one was made.
pub(crate) struct AttemptEnd<RB: Body, E> {
    pub(crate) run: Option<HandlerRun<RB, E>>,
    pub(crate) lease: Option<Lease>,
}

impl KeyedRequest {
    /// The reply to a request whose execution has ended.
    pub(crate) fn finish<RB, E>(
        &self,
        execution: Execution<Outcome, NoOutcome>,
        attempt: AttemptEnd<RB, E>,
    ) -> Reply<'_, RB, E>
    where
        RB: Body<Data = Bytes> + Send + 'static,
        RB::Error: Send,
        E: Send + 'static,
    {
        let Self { shared, key, fingerprint, .. } = self;
        let (replies, expires_header) = (&shared.options.replies, &shared.options.expires_header);
        let AttemptEnd { run, lease } = attempt;
        let of_winner = || {
            let winner = shared.answer_of_winner(key, fingerprint);
            Reply::Later(Box::pin(async move { ("lost", Ok(winner.await)) }))
        };
        let (label, answer) = match execution {
            Execution::Executed(outcome) => {
                let is_kept = !lease.as_ref().is_some_and(Lease::is_result_unavailable);
                let answer = shared.executed(run, outcome);
                let response_of = |response| {
                    if is_kept { response } else { expires_header.without(response) }
                };
                ("executed", answer.map(response_of))
            }
            Execution::Replayed(outcome) => {
                let (label, response) = replies.replay(outcome);
                (label, Ok(response))
            }
            // Not reached: `lock_and_run` handles it.
            Execution::InProgress { remaining } => ("in_flight", Ok(replies.in_flight(Some(remaining)))),
            Execution::FingerprintMismatch => ("key_reused", Ok(replies.key_reused())),
            Execution::LeaseLost(_) => return of_winner(),
            Execution::Unavailable(reason) => match run {
                Some(run) if !run.is_placeholder() => {
                    ("executed", run.response.map(|response| expires_header.without(response)))
                }
                _ => ("not_kept", Ok(replies.not_kept(reason))),
            },
            Execution::Unknown(_, error) => {
                let error = cause(&error);
                tracing::error!(%key, error, "the handler ran, whether its answer is kept is unknown");
                ("not_recorded", shared.not_recorded(run))
            }
            Execution::Failed(NoOutcome::NotExecuted) => {
                let response = run.map_or_else(|| Ok(shared.client_left()), |run| run.response);
                return Reply::Later(Box::pin(async move {
                    shared.release(lease.as_ref()).await;
                    ("released", response)
                }));
            }
            // The completion did nothing, since another attempt had taken over.
            Execution::Failed(NoOutcome::InDoubt) if lease.as_ref().is_some_and(Lease::is_lost) => {
                return of_winner();
            }
            Execution::Failed(NoOutcome::InDoubt) => {
                tracing::warn!(%key, "the handler does not know whether it completed its key, nor does the record");
                ("not_recorded", shared.not_recorded(run))
            }
        };
        Reply::Now(label, answer)
    }
}

impl Shared {
    /// The first client gets what the handler answered, unless the handler completed its key by itself.
    fn executed<RB: Body, E>(
        &self,
        run: Option<HandlerRun<RB, E>>,
        outcome: Outcome,
    ) -> ServiceResult<RB, E> {
        match run {
            Some(HandlerRun { response, by_record: false }) => response,
            Some(HandlerRun { by_record: true, .. }) | None => Ok(self.options.replies.recorded(outcome)),
        }
    }

    /// The handler's answer with the header that marks it, or a problem, by `WhenNotRecorded`.
    fn not_recorded<RB: Body, E>(&self, run: Option<HandlerRun<RB, E>>) -> ServiceResult<RB, E> {
        match run {
            // A handler that completes its key itself leaves its answer to the record.
            Some(HandlerRun { response, by_record: false })
                if self.options.not_recorded == WhenNotRecorded::Answer =>
            {
                response.map(|response| self.marked_not_kept(response))
            }
            _ => {
                let detail = "the request may have been executed, and its answer may not be kept; ask again with this key";
                let problem =
                    Problem::new(Kind::NotRecorded, detail).retry_after(self.options.replies.retry_store);
                Ok(self.options.replies.refuse(&problem))
            }
        }
    }

    pub(crate) fn marked_not_kept<RB: Body>(
        &self,
        response: Response<ResponseBody<RB>>,
    ) -> Response<ResponseBody<RB>> {
        let mut response = self.options.expires_header.without(response);
        let name = self.options.not_kept_header.clone();
        response.headers_mut().insert(name, HeaderValue::from_static("true"));
        response
    }

    /// The response to a client that has left: nobody gets it.
    pub(crate) fn client_left<RB: Body>(&self) -> Response<ResponseBody<RB>> {
        self.options.replies.not_kept(UnavailableReason::Other)
    }
}
