//! What all services of a layer share.

use std::sync::Arc;
use std::time::Duration;

use idem_core::{Policy, Store};
use tokio::sync::Semaphore;

use crate::options::Options;
use crate::request::body::budget::BodyBudget;
use crate::request::original_uri::RequestUri;
use crate::request::scope::ScopeOf;
use crate::running::Running;

/// The store, the options, and what is counted over all requests.
pub(crate) struct Shared {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) scope: ScopeOf,
    pub(crate) request_uri: RequestUri,
    pub(crate) options: Options,
    pub(crate) policy: Policy,
    /// How long a call of the store may take, with its resends.
    pub(crate) store_timeout: Duration,
    pub(crate) running: Running,
    /// The memory that request bodies may hold.
    pub(crate) bodies: Arc<BodyBudget>,
    /// One permit for each retry that may wait.
    pub(crate) waiters: Semaphore,
}

impl Shared {
    /// The store itself: a call through the `Arc` would cost one more allocation.
    pub(crate) fn store(&self) -> &dyn Store {
        &*self.store
    }
}
