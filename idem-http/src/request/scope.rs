//! The scope of a request, by the application's own function: whose key the request carries.

use std::any::type_name;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use http::StatusCode;
use http::request::Parts;
use idem_core::Scope;

/// The application's function from a request to its scope.
pub(crate) type ScopeOf = Arc<dyn Fn(&Parts) -> Result<Scope, ScopeError> + Send + Sync>;

/// Why a request has no scope. The request is answered with this status, and its handler does not run.
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

/// Makes the scope from what a layer outside left in the request's extensions, such as the account that authentication
/// found. A request without it is answered with 500, and the log says what is missing.
///
/// ```
/// use idem_core::{Result, Scope};
/// use idem_http::scope_from;
///
/// #[derive(Clone)]
/// struct Tenant(String);
///
/// let scope = scope_from(|tenant: &Tenant| Scope::new(&tenant.0));
/// let (mut parts, ()) = http::Request::new(()).into_parts();
/// assert!(scope(&parts).is_err());
/// parts.extensions.insert(Tenant("acme".to_owned()));
/// assert_eq!(scope(&parts).unwrap(), Scope::new("acme")?);
/// # Ok::<(), idem_core::Error>(())
/// ```
pub fn scope_from<T: Send + Sync + 'static>(
    scope: impl Fn(&T) -> idem_core::Result<Scope> + Send + Sync + 'static,
) -> impl Fn(&Parts) -> Result<Scope, ScopeError> + Send + Sync + 'static {
    move |parts| {
        if let Some(found) = parts.extensions.get::<T>() {
            return Ok(scope(found)?);
        }
        tracing::error!(
            missing = type_name::<T>(),
            "a request reached the idempotency layer without what its scope is made of: put the layer inside what adds \
             it (on axum the layer that is added last stands outermost)"
        );
        Err(ScopeError::misplaced())
    }
}

/// The server makes the scope, so an invalid one is the server's mistake.
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
