//! Whose key it is: what the application answers for each request.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use http::StatusCode;
use http::request::Parts;
use idem_core::Scope;

/// The application's function from a request to its scope.
pub(crate) type ScopeOf = Arc<dyn Fn(&Parts) -> Result<Scope, ScopeError> + Send + Sync>;

/// A request without a scope. It is answered with this status, and its handler does not run.
#[derive(Clone)]
pub struct ScopeError {
    pub(crate) status: StatusCode,
    pub(crate) detail: Cow<'static, str>,
}

impl ScopeError {
    /// Answers with `status`, and `detail` in the problem that the client gets.
    pub fn new(status: StatusCode, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { status, detail: detail.into() }
    }

    /// For a request that lacks what the layers outside should have put into its extensions: 500, because the
    /// server is put together in the wrong order.
    #[must_use]
    pub fn misplaced() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the server could not tell whose idempotency key this is",
        )
    }
}

/// The scope is made by the server, so one that is too long is the server's mistake.
impl From<idem_core::Error> for ScopeError {
    fn from(error: idem_core::Error) -> Self {
        tracing::error!(error = &error as &(dyn std::error::Error + 'static), "no scope for a request");
        Self::misplaced()
    }
}

impl fmt::Debug for ScopeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ScopeError({}: {})", self.status, self.detail)
    }
}

impl fmt::Display for ScopeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for ScopeError {}
