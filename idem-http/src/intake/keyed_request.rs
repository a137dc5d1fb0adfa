//! A request as the store knows it.

use std::sync::Arc;

use idem_core::{Fingerprint, Key};
use tracing::Span;

use crate::shared::Shared;

/// What the store is asked about a request, and how its answer is reported.
pub(crate) struct KeyedRequest {
    pub(crate) shared: Arc<Shared>,
    pub(crate) key: Key,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) is_grpc: bool,
    pub(crate) span: Span,
}
