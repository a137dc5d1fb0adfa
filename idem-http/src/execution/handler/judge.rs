//! Judging a handler's answer: it is kept, or only its client gets it, or nothing ran.

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, response};
use http_body::Body;
use idem_core::{Lease, Outcome, UnavailableReason};

use super::call::ResponseOrigin;
use super::handler_run::NoOutcome;
use crate::response::body::ResponseBody;
use crate::response::verdict::{InDoubt, NOT_EXECUTED, ResponseHead, Verdict};
use crate::shared::Shared;

/// What becomes of an answer whose body has not been read yet.
pub(crate) enum Judged<RB: Body> {
    /// The answer is kept for this time, if its body can be buffered.
    Kept(response::Parts, Pin<Box<RB>>, Duration),
    /// The answer goes to its client as it is.
    Ended(Response<ResponseBody<RB>>, Result<Outcome, NoOutcome>),
}

impl Shared {
    pub(crate) fn judge<RB: Body<Data = Bytes>>(
        &self,
        response: Response<RB>,
        origin: ResponseOrigin,
        lease: &Lease,
    ) -> Judged<RB> {
        let options = &self.options;
        let (mut parts, body) = response.into_parts();
        let in_doubt = parts.extensions.remove::<InDoubt>().is_some();
        let head = head_of(&parts, None);
        let has_body = body.size_hint().exact() != Some(0);
        let nothing_ran = head.is_not_executed(options.not_executed_header)
            || options.release_on.contains(&parts.status)
            || origin.at_once && origin.routed.is_answered_by_router(&parts, has_body);
        let verdict = if nothing_ran { Verdict::Release } else { (options.verdict)(&head) };
        if options.not_executed_header {
            parts.headers.remove(NOT_EXECUTED);
        }
        let outcome = if in_doubt && !lease.is_completed() {
            Err(NoOutcome::InDoubt)
        } else if lease.is_completed() {
            // Never stored: the handler has completed its key, and the answer is in the record.
            Ok(Outcome::Unavailable(UnavailableReason::Other))
        } else if parts.status == StatusCode::SWITCHING_PROTOCOLS {
            Ok(Outcome::Unavailable(UnavailableReason::Upgraded))
        } else {
            match verdict {
                Verdict::Keep => return Judged::Kept(parts, Box::pin(body), options.retention),
                Verdict::KeepFor(retention) => return Judged::Kept(parts, Box::pin(body), retention),
                Verdict::Release => Err(NoOutcome::NotExecuted),
                Verdict::DoNotKeep => {
                    let streamed = body.size_hint().exact().is_none();
                    Ok(Outcome::Unavailable(if streamed {
                        UnavailableReason::Streamed
                    } else {
                        UnavailableReason::Other
                    }))
                }
            }
        };
        Judged::Ended(Response::from_parts(parts, ResponseBody::untouched(body)), outcome)
    }

    /// The verdict once more, where there are trailers: it replaces the first one.
    pub(crate) fn judge_trailers(
        &self,
        parts: &response::Parts,
        trailers: Option<&HeaderMap>,
    ) -> Option<Verdict> {
        trailers.map(|_| (self.options.verdict)(&head_of(parts, trailers)))
    }
}

fn head_of<'a>(parts: &'a response::Parts, trailers: Option<&'a HeaderMap>) -> ResponseHead<'a> {
    ResponseHead { status: parts.status, headers: &parts.headers, extensions: &parts.extensions, trailers }
}
