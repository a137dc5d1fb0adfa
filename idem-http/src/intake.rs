//! A request with a key, from its header to what the store may be asked: whose key it is, its whole body, what it asks
//! for; and the answer that is there at once.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::request::Parts;
use http::{Request, Response};
use http_body::Body;
use idem_core::{Fingerprint, Key, Outcome, StoreExt};
use pin_project_lite::pin_project;
use tower::BoxError;
use tracing::Span;
use tracing::field::{Empty, display};

use crate::attempt::RequestIdentity;
use crate::body::{RequestBody, Whole};
use crate::body_budget::BodyShare;
use crate::handle::Job;
use crate::key::IdempotencyKey;
use crate::layer::Shared;
use crate::metrics;
use crate::problem::{Kind, Problem};
use crate::read_body::ReadBody;
use crate::response::ResponseBody;

/// A request that nobody has looked into.
pub(crate) struct Unread<I, B> {
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
        head: Option<Head<I>>,
    }
}

/// All of a request but its body.
struct Head<I> {
    shared: Arc<Shared>,
    service: I,
    parts: Parts,
    client_key: IdempotencyKey,
    key: Key,
    is_grpc: bool,
    span: Span,
}

/// What the store is asked about a request.
pub(crate) struct Asked {
    pub(crate) shared: Arc<Shared>,
    pub(crate) key: Key,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) is_grpc: bool,
    pub(crate) span: Span,
}

/// How a request goes on.
pub(crate) enum Next<I, B, RB: Body> {
    /// It does not.
    Answered(Response<ResponseBody<RB>>),
    /// Its body is read.
    Reading(Intake<I, B>),
    /// The store is asked, and what is there for the handler may be run.
    Asking(Asked, Job<I, B>),
}

impl<I, B: Body> Unread<I, B> {
    /// Begins to read the body, once it is known whose key it has. In the future of the answer: the application's code
    /// finds around it what layers outside put around that.
    pub(crate) fn begin<RB: Body>(self) -> Next<I, B, RB> {
        let Self { shared, service, request, key: client_key, is_grpc } = self;
        let span = tracing::debug_span!("idem.http", key = Empty, answer = Empty);
        let (parts, body) = request.into_parts();
        let begun = span.in_scope(|| {
            let key = shared.key_of(&parts, &client_key)?;
            span.record("key", display(&key));
            let share = shared.bodies.share_of(&key);
            Ok((key, ReadBody::new(&parts.headers, body, &shared.options, share)?))
        });
        match begun {
            Ok((key, body)) => {
                let head = Head { shared, service, parts, client_key, key, is_grpc, span };
                Next::Reading(Intake { body, head: Some(head) })
            }
            Err(problem) => Next::Answered(shared.refused(&span, &problem, is_grpc)),
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
    pub(crate) fn poll<RB: Body>(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Next<I, B, RB>> {
        let this = self.project();
        let Some(head) = this.head else { return Poll::Pending };
        let read = head.span.in_scope(|| this.body.poll(cx, &head.shared.options));
        let read = ready!(read);
        let Some(head) = this.head.take() else { return Poll::Pending };
        Poll::Ready(match read {
            Ok((whole, share)) => head.next(whole, share),
            Err(problem) => Next::Answered(head.shared.refused(&head.span, &problem, head.is_grpc)),
        })
    }
}

impl<I> Head<I> {
    fn next<B, RB: Body>(self, whole: Whole, share: BodyShare) -> Next<I, B, RB> {
        let Self { shared, service, parts, client_key, key, is_grpc, span } = self;
        // As when it came: only what runs a handler is given the URI as its own.
        let uri = match shared.request_uri.of(&parts.extensions, &parts.uri) {
            Ok(uri) => uri,
            Err(problem) => return Next::Answered(shared.refused(&span, &problem, is_grpc)),
        };
        let at_hand = span.in_scope(|| {
            let fingerprint = shared.options.recipe.of(&parts, uri, &whole.data);
            // A replay needs none of what is made ready for a handler.
            shared.store().peek_replay(&key, &fingerprint).ok_or(fingerprint)
        });
        match at_hand {
            Ok(outcome) => Next::Answered(shared.replayed(&span, outcome, is_grpc)),
            Err(fingerprint) => {
                let identity = RequestIdentity { key: client_key, uri: uri.clone() };
                let request = Request::from_parts(parts, RequestBody::whole(whole, share));
                let asked = Asked { shared, key, fingerprint, is_grpc, span };
                Next::Asking(asked, Job { service, request: Some(request), identity: Some(identity) })
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
        self.refuse_as(problem, is_grpc)
    }

    fn replayed<RB: Body>(&self, span: &Span, outcome: Outcome, is_grpc: bool) -> Response<ResponseBody<RB>> {
        let (word, response) = span.in_scope(|| self.replay(outcome));
        record_answer(span, word);
        if is_grpc { self.as_grpc(response) } else { response }
    }
}

/// Tells the span and the counters how a request was answered.
pub(crate) fn record_answer(span: &Span, word: &'static str) {
    span.record("answer", word);
    metrics::answered(word);
}
