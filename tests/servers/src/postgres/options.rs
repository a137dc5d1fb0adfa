//! How a server is started.

use std::ffi::OsString;
use std::io::PipeReader;
use std::path::Path;
use std::sync::Arc;

use super::kind::ServerKind;

/// How to start a [`Server`](super::Server).
#[derive(Debug, Clone)]
#[must_use]
pub struct ServerOptions {
    pub(super) kind: ServerKind,
    pub(super) lines: Vec<String>,
    pub(super) access: Vec<String>,
    /// Of a standby: how it reaches its primary.
    pub(super) follows: Option<String>,
    pub(super) prefix: Vec<OsString>,
    pub(super) leash: Option<Arc<PipeReader>>,
}

impl ServerOptions {
    /// Nothing but the defaults.
    pub(super) fn new() -> Self {
        Self {
            kind: ServerKind::chosen(),
            lines: Vec::new(),
            access: Vec::new(),
            follows: None,
            prefix: Vec::new(),
            leash: None,
        }
    }

    /// A line of `postgresql.conf`: `max_connections = 20`. Later lines win over earlier ones and over the defaults.
    pub fn config(mut self, line: impl Into<String>) -> Self {
        self.lines.push(line.into());
        self
    }

    /// A line of `pg_hba.conf`: `hostssl all app all scram-sha-256`. It stands before those by which this machine is
    /// trusted, and so wins over them.
    pub fn access(mut self, line: impl Into<String>) -> Self {
        self.access.push(line.into());
        self
    }

    /// What the server is run by: a command that replaces itself with the one behind it, such as `env NAME=value`.
    pub fn prefix(mut self, command: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.prefix = command.into_iter().map(Into::into).collect();
        self
    }

    /// Offers TLS, with the certificates that [`certificates::issue`](crate::certificates::issue) has written to `folder`.
    pub fn tls(self, folder: &Path) -> Self {
        let line = |option: &str, file: &str| format!("{option} = '{}'", folder.join(file).display());
        self.config("ssl = on")
            .config(line("ssl_cert_file", "server.pem"))
            .config(line("ssl_key_file", "server.key"))
            .config(line("ssl_ca_file", "ca.pem"))
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
