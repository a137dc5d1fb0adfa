//! What becomes of a handler's answer: kept, given to its client alone, or as if nothing had run.

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, response};
use http_body::Body;
use idem_core::{Lease, Outcome, UnavailableReason};

use crate::call::HowAnswered;
use crate::handle::Withheld;
use crate::layer::Shared;
use crate::response::ResponseBody;
use crate::verdict::{InDoubt, NOT_EXECUTED, ResponseHead, Verdict};

/// What becomes of an answer, before its body is read.
pub(crate) enum Judged<RB: Body> {
    /// It is kept for so long, if its body can be.
    Kept(response::Parts, Pin<Box<RB>>, Duration),
    /// It goes on as it is.
    Ended(Response<ResponseBody<RB>>, Result<Outcome, Withheld>),
}

impl Shared {
    pub(crate) fn judge<RB: Body<Data = Bytes>>(
        &self,
        response: Response<RB>,
        how: HowAnswered,
        lease: &Lease,
    ) -> Judged<RB> {
        let options = &self.options;
        let (mut parts, body) = response.into_parts();
        let in_doubt = parts.extensions.remove::<InDoubt>().is_some();
        let seen = seen_by_verdict(&parts, None);
        let has_body = body.size_hint().exact() != Some(0);
        let nothing_ran = seen.is_not_executed(options.not_executed_header)
            || options.release_on.contains(&parts.status)
            || how.at_once && how.routed.is_answered_by_router(&parts, has_body);
        let verdict = if nothing_ran { Verdict::Release } else { (options.judge)(&seen) };
        if options.not_executed_header {
            parts.headers.remove(NOT_EXECUTED);
        }
        let ending = if in_doubt && !lease.is_completed() {
            Err(Withheld::InDoubt)
        } else if lease.is_completed() {
            // The store answers from what the handler completed; this only ends the work.
            Ok(Outcome::Unavailable(UnavailableReason::Other))
        } else if parts.status == StatusCode::SWITCHING_PROTOCOLS {
            Ok(Outcome::Unavailable(UnavailableReason::Upgraded))
        } else {
            match verdict {
                Verdict::Keep => return Judged::Kept(parts, Box::pin(body), options.retention),
                Verdict::KeepFor(retention) => return Judged::Kept(parts, Box::pin(body), retention),
                Verdict::Release => Err(Withheld::NotExecuted),
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
        Judged::Ended(Response::from_parts(parts, ResponseBody::untouched(body)), ending)
    }

    /// Once more, where there are trailers: what is said then counts.
    pub(crate) fn judge_trailers(
        &self,
        parts: &response::Parts,
        trailers: Option<&HeaderMap>,
    ) -> Option<Verdict> {
        trailers.map(|_| (self.options.judge)(&seen_by_verdict(parts, trailers)))
    }
}

fn seen_by_verdict<'a>(parts: &'a response::Parts, trailers: Option<&'a HeaderMap>) -> ResponseHead<'a> {
    ResponseHead { status: parts.status, headers: &parts.headers, extensions: &parts.extensions, trailers }
}
