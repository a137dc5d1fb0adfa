//! The layer.

use std::fmt;
use std::sync::Arc;

use tower_layer::Layer;

use crate::running::Running;
use crate::service::Idempotency;
use crate::shared::Shared;

/// Gives every request with an idempotency key one execution and one answer.
///
/// Put it *inside* authentication: its scope comes from what authentication found, and a replay then passes the same
/// checks as the first request. Put limits of concurrency inside the layer: a handler still runs after its client is
/// gone, and only a limit inside counts it. CORS, compression and tracing belong outside. Where one of these layers
/// stands inside another, the outer one acts. Clones share one store and one [`Running`].
#[derive(Clone)]
pub struct IdempotencyLayer {
    shared: Arc<Shared>,
}

impl IdempotencyLayer {
    pub(crate) fn new(shared: Shared) -> Self {
        Self { shared: Arc::new(shared) }
    }

    /// The requests that are being executed, including those whose clients are gone: what a shutdown waits for.
    #[must_use]
    pub fn running(&self) -> &Running {
        &self.shared.running
    }

    /// How many bytes of request bodies the layer holds now: at most
    /// [`max_bodies_bytes`](crate::IdempotencyLayerBuilder::max_bodies_bytes).
    #[must_use]
    pub fn bodies_bytes(&self) -> usize {
        self.shared.bodies.held()
    }

    /// How many retries wait for a running request now: at most
    /// [`max_waiters`](crate::IdempotencyLayerBuilder::max_waiters).
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.shared.options.max_waiters - self.shared.waiters.available_permits()
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
