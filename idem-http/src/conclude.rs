//! The answers that are not the handler's own, or not of this run.

use bytes::Bytes;
use http::{HeaderValue, Response};
use http_body::Body;
use idem_core::{Effect, Error, ErrorKind, Fingerprint, Key, Lease, LostReason, Outcome, UnavailableReason};
use std::time::Duration;
use tokio::time::timeout;

use crate::body::Whole;
use crate::layer::Shared;
use crate::options::WhenStoreFails;
use crate::problem::{Kind, Problem};
use crate::response::{ResponseBody, whole};
use crate::{codec, grpc};

impl Shared {
    /// The answer of the request that ran, to a retry, and the word for it.
    pub(crate) fn replay<RB: Body>(&self, outcome: Outcome) -> (&'static str, Response<ResponseBody<RB>>) {
        match Self::stored(outcome) {
            Ok(mut response) => {
                let name = self.options.replayed_header.clone();
                response.headers_mut().insert(name, HeaderValue::from_static("true"));
                ("replayed", response)
            }
            Err(problem) => (problem.kind.code(), self.refuse(&problem)),
        }
    }

    /// The answer that a handler completed by itself, to its own client.
    pub(crate) fn recorded<RB: Body>(&self, outcome: Outcome) -> Response<ResponseBody<RB>> {
        Self::stored(outcome).unwrap_or_else(|problem| self.refuse(&problem))
    }

    fn stored<RB: Body>(outcome: Outcome) -> Result<Response<ResponseBody<RB>>, Problem> {
        match outcome {
            Outcome::Value(bytes) => codec::decode(bytes).map(whole).map_err(|error| {
                tracing::error!(
                    error = &error as &(dyn std::error::Error + 'static),
                    "a record is no answer"
                );
                unreadable()
            }),
            Outcome::Unavailable(reason) => Err(not_kept(reason)),
        }
    }

    pub(crate) fn not_kept<RB: Body>(&self, reason: UnavailableReason) -> Response<ResponseBody<RB>> {
        self.refuse(&not_kept(reason))
    }

    pub(crate) fn key_reused<RB: Body>(&self) -> Response<ResponseBody<RB>> {
        let detail = "this idempotency key came with another request before; a new request needs a new key";
        self.refuse(&Problem::new(Kind::KeyReused, detail))
    }

    pub(crate) fn in_flight<RB: Body>(&self, remaining: Option<Duration>) -> Response<ResponseBody<RB>> {
        let pause = self.options.retry_in_flight;
        let pause = remaining.map_or(pause, |remaining| pause.min(remaining));
        let detail = "a request with this idempotency key is still running; ask again for its answer";
        self.refuse(&Problem::new(Kind::InFlight, detail).retry_after(pause))
    }

    /// After the lease was lost: the answer of whoever took over, or that it is still running.
    pub(crate) async fn winner<RB: Body>(
        &self,
        key: &Key,
        fingerprint: &Fingerprint,
    ) -> Response<ResponseBody<RB>> {
        let wait = self.options.wait();
        if !wait.is_zero() {
            // Settled or not, the record tells.
            let _either = timeout(wait, self.store().settled(key, wait)).await;
        }
        match timeout(self.store_timeout, self.store().get(key)).await {
            Ok(Ok(Some(record))) if record.fingerprint != *fingerprint => self.key_reused(),
            Ok(Ok(Some(record))) => match record.outcome() {
                Some(outcome) => self.replay(outcome.clone()).1,
                None => self.in_flight(record.lease_remaining()),
            },
            _ => self.in_flight(None),
        }
    }

    /// Gives the key back after a request that was not executed.
    pub(crate) async fn release(&self, lease: Option<&Lease>) {
        let Some(lease) = lease else { return };
        match timeout(self.store_timeout, self.store().release(lease)).await {
            // Not found, as when it is sent again, is as good.
            Ok(Ok(Effect::Applied | Effect::Lost(LostReason::Released | LostReason::Gone))) => {}
            Ok(Ok(Effect::Lost(reason))) => {
                tracing::warn!(key = %lease.key(), ?reason, "the key of a request that was not executed is lost");
            }
            Ok(Err(error)) => {
                let error = cause(&error);
                tracing::warn!(key = %lease.key(), error, "a release failed, the lease ends by itself");
            }
            Err(_) => tracing::warn!(key = %lease.key(), "a release got no answer, the lease ends by itself"),
        }
    }

    /// Whether a request may run without a lock after this failure. Not after damage, which does not pass by itself; and
    /// not while the store is full: it answers, and who filled it must not switch off everybody's protection.
    pub(crate) fn passes_through(&self, error: &Error) -> bool {
        self.options.store_fails == WhenStoreFails::PassThrough && error.kind().is_transient()
    }

    pub(crate) fn store_failed(&self, error: &Error) -> Problem {
        if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Incompatible) {
            return unreadable();
        }
        if error.kind() == ErrorKind::Full {
            let detail = "there is no room for a new idempotency key at the moment; nothing was done";
            return Problem::new(Kind::StoreFull, detail).retry_after(self.options.retry_store);
        }
        let detail = "idempotency keys cannot be checked at the moment; nothing was done";
        Problem::new(Kind::StoreUnavailable, detail).retry_after(self.options.retry_store)
    }

    pub(crate) fn refuse<RB: Body>(&self, problem: &Problem) -> Response<ResponseBody<RB>> {
        self.refuse_as(problem, false)
    }

    /// The same as HTTP has it, or gRPC.
    pub(crate) fn refuse_as<RB: Body>(&self, problem: &Problem, is_grpc: bool) -> Response<ResponseBody<RB>> {
        let mut response =
            if is_grpc { grpc::refusal(problem) } else { problem.response(self.options.page.as_ref()) };
        response.extensions_mut().insert(Refused(problem.clone()));
        response.map(|data: Bytes| ResponseBody::whole(Whole { data, trailers: None }))
    }

    /// What was refused as HTTP has it, in the way that a call of gRPC is.
    pub(crate) fn as_grpc<RB: Body>(
        &self,
        response: Response<ResponseBody<RB>>,
    ) -> Response<ResponseBody<RB>> {
        match response.extensions().get::<Refused>() {
            Some(Refused(problem)) => self.refuse_as(problem, true),
            None => response,
        }
    }
}

/// In the extensions of a refusal: why.
#[derive(Clone)]
struct Refused(Problem);

fn not_kept(reason: UnavailableReason) -> Problem {
    let detail = format!("the request with this key ran to its end and is not run again; {reason}");
    Problem::new(Kind::NotKept, detail)
}

fn unreadable() -> Problem {
    let detail = "what is stored for this idempotency key cannot be read; nothing was run";
    Problem::new(Kind::RecordUnreadable, detail)
}

/// An error as `tracing` takes it, its sources along.
pub(crate) fn cause(error: &Error) -> &(dyn std::error::Error + Send + Sync + 'static) {
    error
}
