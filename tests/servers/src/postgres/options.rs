//! How a server is started.

use std::io::PipeReader;
use std::sync::Arc;

use super::kind::ServerKind;

/// How to start a [`Server`](super::Server).
#[derive(Debug, Clone)]
#[must_use]
pub struct ServerOptions {
    pub(super) kind: ServerKind,
    pub(super) lines: Vec<String>,
    pub(super) leash: Option<Arc<PipeReader>>,
}

impl ServerOptions {
    /// Nothing but the defaults.
    pub(super) fn new() -> Self {
        Self { kind: ServerKind::chosen(), lines: Vec::new(), leash: None }
    }

    /// A line of `postgresql.conf`: `max_connections = 20`. Later lines win over earlier ones and over the defaults.
    pub fn config(mut self, line: impl Into<String>) -> Self {
        self.lines.push(line.into());
        self
    }

    /// A server of this version, whatever the environment names.
    pub fn kind(mut self, kind: ServerKind) -> Self {
        self.kind = kind;
        self
    }

    /// Lets the server, and its folder, live until all writers of this pipe are gone.
    pub(super) fn leash(mut self, leash: Arc<PipeReader>) -> Self {
        self.leash = Some(leash);
        self
    }
}
