//! What the application may put around a request whose client is gone.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// A request that goes on without its client: see [`IdempotencyLayerBuilder::when_detached`](crate::IdempotencyLayerBuilder::when_detached).
pub type Detached = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What the application puts around it.
pub(crate) type DetachedWrapper = Arc<dyn Fn(Detached) -> Detached + Send + Sync>;
