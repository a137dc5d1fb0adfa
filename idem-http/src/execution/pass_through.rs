//! Requests while the store fails: refused, or passed through without a lock.

use http::{Request, Response};
use http_body::Body;
use idem_core::{Error, Key};
use tower::ServiceExt;
use tower_service::Service;

use super::attempt::{Attempt, NoAttempt};
use super::finish::ServiceResult;
use super::stage::Stage;
use super::store_failure::cause;
use crate::intake::pending_handler::PendingHandler;
use crate::request::body::request_body::RequestBody;
use crate::response::body::ResponseBody;
use crate::shared::Shared;

/// Answers a request for which the store failed before anything ran.
pub(crate) async fn without_store<I, B, RB>(
    shared: &Shared,
    stage: &Stage<PendingHandler<I, B>>,
    key: &Key,
    error: Error,
) -> (&'static str, ServiceResult<RB, I::Error>)
where
    I: Service<Request<RequestBody<B>>, Response = Response<RB>> + Send,
    RB: Body,
{
    let message = cause(&error);
    if !shared.passes_through(&error) {
        tracing::error!(%key, error = message, "the store failed, nothing was run");
        let problem = shared.store_failed(&error);
        return (problem.kind.code(), Ok(shared.options.replies.refuse(&problem)));
    }
    tracing::warn!(%key, error = message, "the store failed, the handler runs without a lock");
    let _running = shared.running.begin();
    let response = match stage.start() {
        Some(handler) => shared.pass_through(handler).await,
        None => Ok(shared.client_left()),
    };
    ("passed_through", response)
}

impl Shared {
    /// Runs the handler as if there were no layer.
    async fn pass_through<I, B, RB>(&self, handler: PendingHandler<I, B>) -> ServiceResult<RB, I::Error>
    where
        I: Service<Request<RequestBody<B>>, Response = Response<RB>>,
        RB: Body,
    {
        let PendingHandler { service, request, .. } = handler;
        let Some(mut request) = request else { return Ok(self.client_left()) };
        // The attempt of a request around this one is not its own.
        request.extensions_mut().remove::<Attempt>();
        if cfg!(feature = "axum") {
            request.extensions_mut().insert(NoAttempt::StoreFailed);
        }
        let response = service.oneshot(request).await?;
        Ok(self.marked_not_kept(response.map(ResponseBody::untouched)))
    }
}
