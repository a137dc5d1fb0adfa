//! The layer, and what all services made from it share.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use idem_core::{Policy, Scope, Store};
use tokio::sync::Semaphore;
use tower_layer::Layer;

use crate::body_budget::BodyBudget;
use crate::builder::IdempotencyLayerBuilder;
use crate::options::Options;
use crate::original_uri::RequestUri;
use crate::running::Running;
use crate::scope::{ScopeError, ScopeOf};
use crate::service::Idempotency;

/// Gives every request with an idempotency key one execution and one answer.
///
/// Put it *inside* authentication: its scope comes from what authentication found, and a replay then passes the
/// same checks as the first request. Put limits of concurrency inside the layer: a handler whose client is gone
/// runs on, and only a limit inside counts it. CORS, compression and tracing belong outside. Where two of these layers
/// stand around one another, the outer one acts. Clones share one store and one [`Running`].
#[derive(Clone)]
pub struct IdempotencyLayer {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) scope: ScopeOf,
    pub(crate) request_uri: RequestUri,
    pub(crate) options: Options,
    pub(crate) policy: Policy,
    /// How long a call of the store may take, with its resends.
    pub(crate) store_timeout: Duration,
    pub(crate) running: Running,
    /// What the bodies of all requests hold.
    pub(crate) bodies: Arc<BodyBudget>,
    /// The places of retries that wait.
    pub(crate) waiters: Semaphore,
}

impl Shared {
    /// Without the pointer, whose calls take one more allocation each.
    pub(crate) fn store(&self) -> &dyn Store {
        &*self.store
    }
}

impl IdempotencyLayer {
    /// Begins a layer over `store`, in which `scope` says whose key a request has.
    ///
    /// A store is any [`Store`], or a pointer to one (`Arc<dyn Store>`). What opening one answers is not the store yet, and
    /// the compiler says what is missing:
    ///
    /// ```compile_fail,E0277
    /// # use idem_core::Scope;
    /// # use idem_http::IdempotencyLayer;
    /// # use idem_moka::{MokaConfig, MokaStore};
    /// IdempotencyLayer::builder(MokaStore::new(MokaConfig::default()), |_| Ok(Scope::shared()));
    /// ```
    ///
    /// There is no default for the scope: a key that any client may choose must not reach another client's
    /// answer. An application with one tenant says so: `|_| Ok(Scope::shared())`.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use idem_core::{Scope, Store};
    /// use idem_http::{IdempotencyLayer, RequestUri, scope_from};
    ///
    /// /// What authentication, a layer outside this one, leaves in the request's extensions.
    /// #[derive(Clone)]
    /// struct Account(u64);
    ///
    /// fn layer(store: Arc<dyn Store>) -> idem_core::Result<IdempotencyLayer> {
    ///     let scope = scope_from(|account: &Account| Scope::new(format!("account:{}", account.0)));
    ///     IdempotencyLayer::builder(store, scope).request_uri(RequestUri::Original).build()
    /// }
    /// ```
    pub fn builder<S: Store + 'static>(
        store: S,
        scope: impl Fn(&Parts) -> Result<Scope, ScopeError> + Send + Sync + 'static,
    ) -> IdempotencyLayerBuilder {
        IdempotencyLayerBuilder::new(pointer(store), Arc::new(scope))
    }

    pub(crate) fn new(shared: Shared) -> Self {
        Self { shared: Arc::new(shared) }
    }

    /// The requests that are being executed, also those whose clients are gone: what a shutdown waits for.
    #[must_use]
    pub fn running(&self) -> &Running {
        &self.shared.running
    }

    /// How many bytes of request bodies it holds now: at most [`max_bodies_bytes`](IdempotencyLayerBuilder::max_bodies_bytes).
    #[must_use]
    pub fn bodies_bytes(&self) -> usize {
        self.shared.bodies.held()
    }

    /// How many retries wait now for the request that runs: at most [`max_waiters`](IdempotencyLayerBuilder::max_waiters).
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.shared.options.max_waiters - self.shared.waiters.available_permits()
    }
}

/// A pointer stays what it is: another one around it would cost each call an indirection.
fn pointer<S: Store + 'static>(store: S) -> Arc<dyn Store> {
    let any: &dyn Any = &store;
    match any.downcast_ref::<Arc<dyn Store>>() {
        Some(pointer) => Arc::clone(pointer),
        None => Arc::new(store),
    }
}

impl<I> Layer<I> for IdempotencyLayer {
    type Service = Idempotency<I>;

    fn layer(&self, inner: I) -> Idempotency<I> {
        Idempotency::new(inner, Arc::clone(&self.shared))
    }
}

impl fmt::Debug for IdempotencyLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdempotencyLayer")
            .field("store", &self.shared.store)
            .field("options", &self.shared.options)
            .field("running", &self.shared.running.count())
            .finish_non_exhaustive()
    }
}
