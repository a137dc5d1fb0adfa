//! The builder and its constructor.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use http::request::Parts;
use idem_core::{Scope, Store};

use crate::layer::IdempotencyLayer;
use crate::options::Options;
use crate::request::scope::{ScopeError, ScopeOf};

/// Collects the options of an [`IdempotencyLayer`](crate::IdempotencyLayer); each has a default.
#[derive(Clone)]
#[must_use = "a builder does nothing until `build`"]
pub struct IdempotencyLayerBuilder {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) scope: ScopeOf,
    pub(crate) options: Options,
}

impl IdempotencyLayer {
    /// Starts building a layer on `store`. `scope` says whose key a request carries.
    ///
    /// A store is any [`Store`], or a pointer to one (`Arc<dyn Store>`). The future or result of opening a store is not
    /// a store yet, and the compiler says what is missing:
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
        let (store, scope) = (shared_pointer(store), Arc::new(scope));
        IdempotencyLayerBuilder { store, scope, options: Options::default() }
    }
}

/// Keeps an `Arc<dyn Store>` as it is: a second pointer around it would cost each call an indirection.
fn shared_pointer<S: Store + 'static>(store: S) -> Arc<dyn Store> {
    let any: &dyn Any = &store;
    match any.downcast_ref::<Arc<dyn Store>>() {
        Some(pointer) => Arc::clone(pointer),
        None => Arc::new(store),
    }
}

impl fmt::Debug for IdempotencyLayerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdempotencyLayerBuilder")
            .field("store", &self.store)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
