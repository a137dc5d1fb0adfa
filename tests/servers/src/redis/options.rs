//! Options of a server to start.

use std::ffi::OsString;
use std::io::PipeReader;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;

use super::kind::{INSTALLS, ServerKind};
use super::node::Login;
use super::wire::Reply;
use crate::process::in_path;

/// How to start a [`Server`](super::Server).
#[derive(Debug, Clone)]
#[must_use]
pub struct ServerOptions {
    pub(super) host: IpAddr,
    pub(super) port: Option<u16>,
    pub(super) prefix: Vec<OsString>,
    kind: ServerKind,
    /// Started instead of the program of the kind.
    binary: Option<PathBuf>,
    pub(super) login: Option<Login>,
    pub(super) lines: Vec<String>,
    pub(super) leash: Option<Arc<PipeReader>>,
}

impl ServerOptions {
    /// The defaults.
    pub(super) fn new() -> Self {
        Self {
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: None,
            prefix: Vec::new(),
            kind: ServerKind::chosen(),
            binary: None,
            login: None,
            lines: Vec::new(),
            leash: None,
        }
    }

    /// Adds a line to `redis.conf`, such as `maxmemory 10mb`. Later lines override earlier ones and the defaults.
    pub fn config(mut self, line: impl Into<String>) -> Self {
        self.lines.push(line.into());
        self
    }

    /// Keeps data on disk, so that it survives [`Server::restart`](super::Server::restart).
    pub fn appendonly(self) -> Self {
        self.config("appendonly yes")
    }

    /// Requires this password (`requirepass`, `masterauth`), also of this crate's own connections.
    pub fn password(mut self, password: &str) -> Self {
        self.login = Some(Login { user: None, password: password.to_owned() });
        self.config(format!("requirepass {password}")).config(format!("masterauth {password}"))
    }

    /// The login of this crate's own connections, for a server whose users come from [`config`](Self::config)
    /// (`user ...`, `aclfile ...`). The user must be allowed to use `INFO`, and `CLUSTER` in a cluster.
    pub fn login(mut self, user: &str, password: &str) -> Self {
        self.login = Some(Login { user: Some(user.to_owned()), password: password.to_owned() });
        self
    }

    /// The address to listen on instead of 127.0.0.1. This process must be able to reach it.
    pub fn host(mut self, host: IpAddr) -> Self {
        self.host = host;
        self
    }

    /// A fixed port instead of a free one.
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// The command that starts the server: `["ip", "netns", "exec", "left"]`. Its process must become the server
    /// (`exec`), not fork it.
    pub fn prefix<A: Into<OsString>>(mut self, command: impl IntoIterator<Item = A>) -> Self {
        self.prefix = command.into_iter().map(Into::into).collect();
        self
    }

    /// A server of this kind, whatever `IDEM_REDIS` names: for features that not every kind has.
    pub fn kind(mut self, kind: ServerKind) -> Self {
        self.kind = kind;
        self
    }

    /// This program in `PATH`, of whatever version, instead of the program of the kind.
    pub fn binary(mut self, name: impl Into<PathBuf>) -> Self {
        self.binary = Some(name.into());
        self
    }

    /// The server and its folder live until all writers of this pipe are gone.
    pub(super) fn leash(mut self, leash: Arc<PipeReader>) -> Self {
        self.leash = Some(leash);
        self
    }

    /// The path of the program to start.
    pub(super) fn program(&self) -> Result<PathBuf, String> {
        self.binary.as_deref().map_or_else(|| self.kind.binary(), |name| in_path(name, INSTALLS))
    }

    /// Checks by its answer to `INFO` that the server that answers is of the kind asked for.
    pub(super) fn check(&self, info: &Reply) -> Result<(), String> {
        if self.binary.is_some() { Ok(()) } else { self.kind.check(info) }
    }

    pub(super) fn leash_of(mut self, other: &Self) -> Self {
        self.leash.clone_from(&other.leash);
        self
    }
}
