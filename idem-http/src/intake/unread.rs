//! A request with a key, before its key is locked: its scope, its whole body, its fingerprint, and the replay if the
//! store has it in memory.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::request::Parts;
use http::{Request, Response};
use http_body::Body;
use idem_core::{Key, Outcome, StoreExt};
use pin_project_lite::pin_project;
use tower::BoxError;
use tracing::Span;
use tracing::field::{Empty, display};

use super::keyed_request::KeyedRequest;
use super::pending_handler::{PendingHandler, RequestIdentity};
use crate::buffered_body::BufferedBody;
use crate::metrics::record_answer;
use crate::request::body::budget::BodyShare;
use crate::request::body::read::ReadBody;
use crate::request::body::request_body::RequestBody;
use crate::request::key::IdempotencyKey;
use crate::response::body::ResponseBody;
use crate::response::problem::{Kind, Problem};
use crate::shared::Shared;

/// A request of which only the key has been read.
pub(crate) struct UnreadRequest<I, B> {
    pub(crate) shared: Arc<Shared>,
    pub(crate) service: I,
    pub(crate) request: Request<B>,
    pub(crate) key: IdempotencyKey,
    pub(crate) is_grpc: bool,
}

pin_project! {
    /// A request whose body is being read; nothing has been asked of the store.
    pub(crate) struct Intake<I, B> {
        #[pin]
        body: ReadBody<B>,
        head: Option<RequestHead<I>>,
    }
}

/// All of a request but its body.
struct RequestHead<I> {
    shared: Arc<Shared>,
    service: I,
    parts: Parts,
    client_key: IdempotencyKey,
    key: Key,
    is_grpc: bool,
    span: Span,
}

/// The next step of a request.
pub(crate) enum IntakeStep<I, B, RB: Body> {
    /// The request is answered without its handler.
    Answered(Response<ResponseBody<RB>>),
    /// The body is being read.
    Reading(Intake<I, B>),
    /// The key is to be locked, and the handler run.
    Locking(KeyedRequest, PendingHandler<I, B>),
}

impl<I, B: Body> UnreadRequest<I, B> {
    /// Finds the scope and begins to read the body. Called by the answer's future rather than by the service, so that the
    /// application's scope function sees what outer layers put around that future, such as task-locals.
    pub(crate) fn begin<RB: Body>(self) -> IntakeStep<I, B, RB> {
        let Self { shared, service, request, key: client_key, is_grpc } = self;
        let span = tracing::debug_span!("idem.http", key = Empty, answer = Empty);
        let (parts, body) = request.into_parts();
        let begun = span.in_scope(|| {
            let key = shared.key_of(&parts, &client_key)?;
            span.record("key", display(&key));
            let share = shared.bodies.share_of(&key);
            Ok((key, ReadBody::new(&parts.headers, body, &shared.options.body, share)?))
        });
        match begun {
            Ok((key, body)) => {
                let head = RequestHead { shared, service, parts, client_key, key, is_grpc, span };
                IntakeStep::Reading(Intake { body, head: Some(head) })
            }
            Err(problem) => IntakeStep::Answered(shared.refused(&span, &problem, is_grpc)),
        }
    }
}

impl<I, B> Intake<I, B>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    /// # Cancel safety
    /// Nothing has been asked of the store: the request is dropped.
    pub(crate) fn poll<RB: Body>(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<IntakeStep<I, B, RB>> {
        let this = self.project();
        let Some(head) = this.head else { return Poll::Pending };
        let options = &head.shared.options;
        let read = head.span.in_scope(|| this.body.poll(cx, &options.body, options.replies.retry_store));
        let read = ready!(read);
        let Some(head) = this.head.take() else { return Poll::Pending };
        Poll::Ready(match read {
            Ok((body, share)) => head.finish(body, share),
            Err(problem) => IntakeStep::Answered(head.shared.refused(&head.span, &problem, head.is_grpc)),
        })
    }
}

impl<I> RequestHead<I> {
    fn finish<B, RB: Body>(self, body: BufferedBody, share: BodyShare) -> IntakeStep<I, B, RB> {
        let Self { shared, service, parts, client_key, key, is_grpc, span } = self;
        // Borrowed: only a request that runs a handler needs a copy of the URI.
        let uri = match shared.request_uri.of(&parts.extensions, &parts.uri) {
            Ok(uri) => uri,
            Err(problem) => return IntakeStep::Answered(shared.refused(&span, &problem, is_grpc)),
        };
        let replay = span.in_scope(|| {
            let fingerprint = shared.options.recipe.of(&parts, uri, &body.data);
            // Before the handler's request is put together: a replay does not need it.
            shared.store().peek_replay(&key, &fingerprint).ok_or(fingerprint)
        });
        match replay {
            Ok(outcome) => IntakeStep::Answered(shared.replayed(&span, outcome, is_grpc)),
            Err(fingerprint) => {
                let identity = RequestIdentity { key: client_key, uri: uri.clone() };
                let request = Request::from_parts(parts, RequestBody::buffered(body, share));
                let keyed = KeyedRequest { shared, key, fingerprint, is_grpc, span };
                let handler = PendingHandler { service, request: Some(request), identity: Some(identity) };
                IntakeStep::Locking(keyed, handler)
            }
        }
    }
}

impl Shared {
    /// The key as the store has it.
    fn key_of(&self, parts: &Parts, client_key: &IdempotencyKey) -> Result<Key, Problem> {
        let scope = (self.scope)(parts).map_err(|error| {
            if error.status.is_server_error() {
                tracing::error!(
                    status = error.status.as_u16(),
                    detail = &*error.detail,
                    "a request has no scope"
                );
            }
            Problem::new(Kind::Scope(error.status), error.detail)
        })?;
        Key::new(&scope, client_key.as_str())
            .map_err(|error| Problem::new(Kind::KeyMalformed, error.message().to_owned()))
    }

    fn refused<RB: Body>(&self, span: &Span, problem: &Problem, is_grpc: bool) -> Response<ResponseBody<RB>> {
        record_answer(span, problem.kind.code());
        self.options.replies.refuse_as(problem, is_grpc)
    }

    fn replayed<RB: Body>(&self, span: &Span, outcome: Outcome, is_grpc: bool) -> Response<ResponseBody<RB>> {
        let (label, response) = span.in_scope(|| self.options.replies.replay(outcome));
        record_answer(span, label);
        if is_grpc { self.options.replies.as_grpc(response) } else { response }
    }
}
