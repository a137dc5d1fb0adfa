//! What a server or the system reported when an attempt failed.

use std::fmt;
use std::sync::Arc;

use idem_core::error::Operation;
use idem_core::{Error, ErrorKind};

type Source = Arc<dyn std::error::Error + Send + Sync>;

/// What a server or the system reported.
#[derive(Clone)]
pub(crate) struct Cause {
    message: Arc<str>,
    source: Option<Source>,
}

impl Cause {
    pub(crate) fn new(message: impl Into<Arc<str>>) -> Self {
        Self { message: message.into(), source: None }
    }

    pub(crate) fn with_source(
        message: String,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self { message: message.into(), source: Some(source.into().into()) }
    }

    #[cfg(feature = "tls")]
    pub(crate) fn source(&self) -> Option<&(dyn std::error::Error + Send + Sync + 'static)> {
        self.source.as_deref()
    }

    /// This cause, with what it is the reason for in front of its message.
    #[cfg(feature = "tls")]
    pub(crate) fn with_context(self, message: &str) -> Self {
        Self { message: format!("{message}: {}", self.message).into(), ..self }
    }

    pub(crate) fn into_error(self, kind: ErrorKind, operation: Operation) -> Error {
        let error = Error::new(kind, operation, format!("redis: {}", self.message));
        match self.source {
            Some(source) => error.with_source(source),
            None => error,
        }
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
