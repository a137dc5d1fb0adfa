//! How a backend describes itself to the registry.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::options::Options;
use crate::error::Result;
use crate::store::Store;

/// What a backend exports so that a [`Registry`](crate::Registry) can open it.
#[derive(Debug, Clone, Copy)]
pub struct Driver {
    /// The URI schemes that the backend opens.
    pub schemes: &'static [&'static str],
    /// The option that the part of a URI between scheme and `?` stands for: a path, or a list of servers. `None`: the
    /// URI has no such part.
    ///
    /// The option gets that part percent-decoded. A driver whose target has structure, such as a password before an
    /// `@`, takes the target as it was written: [`Options::take_raw_target`].
    pub target: Option<&'static str>,
    /// Opens a store.
    pub open: fn(Options) -> Opening,
}

/// The future of a store being opened.
pub type Opening = Pin<Box<dyn Future<Output = Result<Arc<dyn Store>>> + Send>>;
