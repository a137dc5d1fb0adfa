//! Options for running a handler, and for what may go wrong meanwhile.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::layer_builder::IdempotencyLayerBuilder;
use crate::options::Detached;
use crate::options::{WhenHandlerFails, WhenInFlight, WhenStoreFails};

impl IdempotencyLayerBuilder {
    /// How long a handler may be silent before a retry may take its request over. The lease is renewed while the
    /// handler runs, so it need not be as long as the slowest handler. It is how long a key stays blocked after a
    /// crash. Default: 30 s.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.options.lease = lease;
        self
    }

    /// Renewals extend the lease until `ceiling` after the handler began and no longer, so from then on a retry may run
    /// the request again, even if the first handler is still running. A first lease that is longer than `ceiling` is
    /// not cut short. This keeps a handler that hangs from holding its key for ever. Default: ten leases.
    pub fn renew_for(mut self, ceiling: Duration) -> Self {
        self.options.renew_for = Some(ceiling);
        self
    }

    /// How long a call to the store is resent before it counts as failed. All calls before the handler share this limit,
    /// so while the store is down a request is answered with 503 about this long after it arrived or, if it waited for
    /// another request with its key, about this long after that wait. Default: that of
    /// [`Policy::resend_for`](idem_core::Policy::resend_for), two and a half times the store's own time for a call and
    /// at least 10 s.
    pub fn store_timeout(mut self, limit: Duration) -> Self {
        self.options.store_timeout = Some(limit);
        self
    }

    /// How long a handler may take, from the call of the inner service to its answer, without the body. After that the
    /// handler is dropped, its client gets 504, and a retry is told that the answer was not kept: what the handler did
    /// until then is unknown, so it does not run again. Before the call, the inner service may take as long again to
    /// become ready; after that the client gets 503, and the key is released, since nothing ran. A request without a
    /// key, or one that runs without a lock, has no limit. Default: no limit.
    pub fn handler_timeout(mut self, limit: Duration) -> Self {
        self.options.handler_timeout = Some(limit);
        self
    }

    /// What a retry gets while the first request runs. Default: [`WhenInFlight::Refuse`].
    pub fn when_in_flight(mut self, when: WhenInFlight) -> Self {
        self.options.in_flight = when;
        self
    }

    /// How many retries may wait at one time under [`WhenInFlight::Wait`]. A retry that finds no free place, on arrival
    /// or after a round of waiting, is answered with 409. A retry whose client leaves stops waiting. With zero no retry
    /// waits. Default: 1,024.
    pub fn max_waiters(mut self, most: usize) -> Self {
        self.options.max_waiters = most.min(Semaphore::MAX_PERMITS);
        self
    }

    /// What happens when the store cannot answer. Default: [`WhenStoreFails::Refuse`].
    pub fn when_store_fails(mut self, when: WhenStoreFails) -> Self {
        self.options.store_fails = when;
        self
    }

    /// What becomes of the key when its handler panics; the client gets 500. Default: [`WhenHandlerFails::Keep`].
    pub fn when_handler_panics(mut self, when: WhenHandlerFails) -> Self {
        self.options.panics = when;
        self
    }

    /// What becomes of the key when the inner service answers `Err`, as a time limit inside the layer may. The error is
    /// passed to the layers outside. Default: [`WhenHandlerFails::Keep`].
    pub fn when_service_fails(mut self, when: WhenHandlerFails) -> Self {
        self.options.errors = when;
        self
    }

    /// Wraps a request that continues in a task of its own because its client is gone. The wrapper can restore what the
    /// first task had and the new one lacks, such as task-locals. The current span is kept even without a wrapper.
    /// Default: no wrapper.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use idem_core::{Scope, Store};
    /// # use idem_http::{IdempotencyLayer, RequestUri};
    /// tokio::task_local! {
    ///     static TENANT: u64;
    /// }
    ///
    /// # fn layer(store: Arc<dyn Store>) -> idem_core::Result<IdempotencyLayer> {
    /// IdempotencyLayer::builder(store, |_| Ok(Scope::shared()))
    ///     .request_uri(RequestUri::Unchanged)
    ///     // Called in the task in which the request ran until now.
    ///     .when_detached(|rest| match TENANT.try_get() {
    ///         Ok(tenant) => Box::pin(TENANT.scope(tenant, rest)),
    ///         Err(_) => rest,
    ///     })
    ///     .build()
    /// # }
    /// ```
    pub fn when_detached(mut self, wrap: impl Fn(Detached) -> Detached + Send + Sync + 'static) -> Self {
        self.options.detached = Some(Arc::new(wrap));
        self
    }
}
