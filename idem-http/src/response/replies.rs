//! Answers that come from the layer itself, or from a record.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response};
use http_body::Body;
use idem_core::{Outcome, UnavailableReason};

use super::body::{ResponseBody, buffered_response};
use super::codec;
use super::grpc::refusal::refusal;
use super::problem::{Kind, Page, Problem};
use crate::buffered_body::BufferedBody;

/// How the layer's own answers look.
#[derive(Clone)]
pub(crate) struct Replies {
    pub(crate) page: Option<Page>,
    pub(crate) replayed_header: HeaderName,
    /// What `Retry-After` says while the first request runs.
    pub(crate) retry_in_flight: Duration,
    /// What `Retry-After` says while the store cannot answer, or the server is busy.
    pub(crate) retry_store: Duration,
}

impl Replies {
    /// What a retry gets from the record, and how that is counted.
    pub(crate) fn replay<RB: Body>(&self, outcome: Outcome) -> (&'static str, Response<ResponseBody<RB>>) {
        match Self::stored(outcome) {
            Ok(mut response) => {
                let name = self.replayed_header.clone();
                response.headers_mut().insert(name, HeaderValue::from_static("true"));
                ("replayed", response)
            }
            Err(problem) => (problem.kind.code(), self.refuse(&problem)),
        }
    }

    /// What the first client gets when its handler completed the key itself: the answer in the record.
    pub(crate) fn recorded<RB: Body>(&self, outcome: Outcome) -> Response<ResponseBody<RB>> {
        Self::stored(outcome).unwrap_or_else(|problem| self.refuse(&problem))
    }

    fn stored<RB: Body>(outcome: Outcome) -> Result<Response<ResponseBody<RB>>, Problem> {
        match outcome {
            Outcome::Value(bytes) => codec::decode(bytes).map(buffered_response).map_err(|error| {
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
        let pause = self.retry_in_flight;
        let pause = remaining.map_or(pause, |remaining| pause.min(remaining));
        let detail = "a request with this idempotency key is still running; ask again for its answer";
        self.refuse(&Problem::new(Kind::InFlight, detail).retry_after(pause))
    }

    pub(crate) fn refuse<RB: Body>(&self, problem: &Problem) -> Response<ResponseBody<RB>> {
        self.refuse_as(problem, false)
    }

    /// A problem in the form of HTTP, or of gRPC.
    pub(crate) fn refuse_as<RB: Body>(&self, problem: &Problem, is_grpc: bool) -> Response<ResponseBody<RB>> {
        let mut response = if is_grpc { refusal(problem) } else { problem.response(self.page.as_ref()) };
        response.extensions_mut().insert(Refused(problem.clone()));
        response.map(|data: Bytes| ResponseBody::buffered(BufferedBody { data, trailers: None }))
    }

    /// Turns a refusal into one of gRPC; any other answer stays as it is.
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

/// An extension of a refusal: its problem.
#[derive(Clone)]
struct Refused(Problem);

fn not_kept(reason: UnavailableReason) -> Problem {
    let detail = format!("the request with this key ran to its end and is not run again; {reason}");
    Problem::new(Kind::NotKept, detail)
}

pub(crate) fn unreadable() -> Problem {
    let detail = "what is stored for this idempotency key cannot be read; nothing was run";
    Problem::new(Kind::RecordUnreadable, detail)
}
