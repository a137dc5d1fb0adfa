//! What a handler leaves behind: a response for its client, and an outcome for the store.

use http::Response;
use http_body::Body;
use idem_core::{Outcome, UnavailableReason};

use crate::execution::attempt::FromRecord;
use crate::options::WhenHandlerFails;
use crate::response::body::ResponseBody;

/// What the client gets, and what the store keeps.
pub(crate) type HandlerResult<RB, E> = (Result<Response<ResponseBody<RB>>, E>, Result<Outcome, NoOutcome>);

/// A handler that ran.
pub(crate) struct HandlerRun<RB: Body, E> {
    /// The handler's response, or the error of its service.
    pub(crate) response: Result<Response<ResponseBody<RB>>, E>,
    /// Whether the handler completed its key itself, or may have: then the record has the answer.
    pub(crate) by_record: bool,
}

impl<RB: Body, E> HandlerRun<RB, E> {
    /// Whether the response is a placeholder for the answer in the record.
    pub(crate) fn is_placeholder(&self) -> bool {
        matches!(&self.response, Ok(response) if response.extensions().get::<FromRecord>().is_some())
    }
}

/// Why a handler leaves no outcome to be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoOutcome {
    /// The request was not executed.
    NotExecuted,
    /// The handler sent the outcome itself, and does not know whether it arrived.
    InDoubt,
}

impl WhenHandlerFails {
    /// What is stored for a handler that failed.
    pub(crate) fn outcome(self, reason: UnavailableReason) -> Result<Outcome, NoOutcome> {
        match self {
            Self::Keep => Ok(Outcome::Unavailable(reason)),
            Self::Release => Err(NoOutcome::NotExecuted),
        }
    }
}
