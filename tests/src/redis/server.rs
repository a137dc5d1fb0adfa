//! One server.

use std::ffi::OsString;
use std::io::PipeReader;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tempfile::TempDir;

use super::kind::{self, ServerKind};
use super::launch::{PORT_TAKEN, launch, log_tail};
use super::node::{Login, Node};
use super::port;
use super::process::Process;
use super::wire::Reply;

/// A running server with a folder of its own. Dropping it kills the server and removes the folder.
///
/// It is also its [`Node`]: `server.command(&["PING"])`, `server.addr()`.
#[derive(Debug)]
pub struct Server {
    node: Node,
    options: ServerOptions,
    process: Mutex<Option<Process>>,
    /// After the process: the folder goes last.
    folder: TempDir,
}

/// How to start a [`Server`].
#[derive(Debug, Clone)]
#[must_use]
pub struct ServerOptions {
    host: IpAddr,
    port: Option<u16>,
    pub(super) prefix: Vec<OsString>,
    kind: ServerKind,
    /// Instead of that of the kind.
    binary: Option<PathBuf>,
    login: Option<Login>,
    pub(super) lines: Vec<String>,
    pub(super) leash: Option<Arc<PipeReader>>,
}

impl Server {
    /// Starts a server with nothing but the defaults: on 127.0.0.1, keeping nothing on disk.
    ///
    /// # Panics
    /// Those of [`ServerOptions::start`].
    pub async fn lone() -> Self {
        Self::options().start().await
    }

    /// How to start one that differs from the defaults.
    ///
    /// # Panics
    /// Those of [`ServerKind::chosen`].
    pub fn options() -> ServerOptions {
        ServerOptions {
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

    /// Where it is.
    #[must_use]
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// The id of its process; none after [`kill`](Server::kill).
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process().as_ref().map(Process::pid)
    }

    /// The folder with its data, `redis.conf` and `redis.log`.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The last lines that it logged.
    #[must_use]
    pub fn log(&self) -> String {
        log_tail(self.folder())
    }

    /// Ends it as a power cut would (SIGKILL), and waits until it has ended. Port and data are kept for
    /// [`restart`](Server::restart).
    pub fn kill(&self) {
        let process = self.process().take();
        drop(process);
    }

    /// Freezes it (SIGSTOP): its connections stay, and nothing is answered.
    ///
    /// # Panics
    /// When it does not run.
    pub fn stop(&self) {
        self.signal("STOP");
    }

    /// Lets it go on after [`stop`](Server::stop) (SIGCONT).
    ///
    /// # Panics
    /// When it does not run.
    pub fn cont(&self) {
        self.signal("CONT");
    }

    /// Kills it where it still runs, and starts it again: same port, folder and options.
    ///
    /// # Panics
    /// When it does not start, with the end of its log.
    pub async fn restart(&self) {
        self.kill();
        match launch(&self.options, &self.node, &self.folder).await {
            Ok(process) => *self.process() = Some(process),
            Err(failure) => panic!("{failure}"),
        }
    }

    fn signal(&self, name: &str) {
        let process = self.process();
        let Some(process) = process.as_ref() else { panic!("{} does not run", self.node) };
        if let Err(error) = process.signal(name) {
            panic!("{}: {error}", self.node);
        }
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Deref for Server {
    type Target = Node;

    fn deref(&self) -> &Node {
        &self.node
    }
}

impl ServerOptions {
    /// A line of `redis.conf`: `maxmemory 10mb`. Later lines win over earlier ones and over the defaults.
    pub fn config(mut self, line: impl Into<String>) -> Self {
        self.lines.push(line.into());
        self
    }

    /// Keeps data on disk, so that it is there after [`Server::restart`].
    pub fn appendonly(self) -> Self {
        self.config("appendonly yes")
    }

    /// Asks everyone for this password (`requirepass`, `masterauth`), the harness itself included.
    pub fn password(mut self, password: &str) -> Self {
        self.login = Some(Login { user: None, password: password.to_owned() });
        self.config(format!("requirepass {password}")).config(format!("masterauth {password}"))
    }

    /// How the harness logs in, for a server whose users come from `config`: `user ...`, `aclfile ...`. The user
    /// must be allowed what the harness asks: `INFO`, and `CLUSTER` in a cluster.
    pub fn login(mut self, user: &str, password: &str) -> Self {
        self.login = Some(Login { user: Some(user.to_owned()), password: password.to_owned() });
        self
    }

    /// The address to listen at instead of 127.0.0.1. This process must be able to reach it.
    pub fn host(mut self, host: IpAddr) -> Self {
        self.host = host;
        self
    }

    /// A fixed port instead of a free one.
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// What to start it with: `["ip", "netns", "exec", "left"]`. It must become the server (`exec`), not fork it.
    pub fn prefix<A: Into<OsString>>(mut self, command: impl IntoIterator<Item = A>) -> Self {
        self.prefix = command.into_iter().map(Into::into).collect();
        self
    }

    /// A server of this kind, whatever the environment names: for what not every kind can.
    pub fn kind(mut self, kind: ServerKind) -> Self {
        self.kind = kind;
        self
    }

    /// This program in `PATH`, of whatever version, instead of that of the kind.
    pub fn binary(mut self, name: impl Into<PathBuf>) -> Self {
        self.binary = Some(name.into());
        self
    }

    /// Starts the server and waits until it answers.
    ///
    /// # Panics
    /// When its program is missing or of another version than its kind, and when it does not start, with the end of
    /// its log.
    pub async fn start(self) -> Server {
        let mut attempt = 0;
        loop {
            // On a leash, it is the watchdog that removes the folder.
            let folder = tempfile::Builder::new()
                .prefix("idem-redis-")
                .disable_cleanup(self.leash.is_some())
                .tempdir();
            let folder = folder.unwrap_or_else(|error| panic!("no temporary folder: {error}"));
            let port = self.port.unwrap_or_else(|| port::free(self.host));
            let node = Node { addr: SocketAddr::new(self.host, port), login: self.login.clone() };
            attempt += 1;
            match launch(&self, &node, &folder).await {
                Ok(process) => {
                    return Server { node, options: self, process: Mutex::new(Some(process)), folder };
                }
                // Another process was quicker between the choice and the start.
                Err(failure) if self.port.is_none() && attempt < 20 && failure.contains(PORT_TAKEN) => {}
                Err(failure) => panic!("{failure}"),
            }
        }
    }

    /// Lets the server, and its folder, live until all writers of this pipe are gone.
    pub(super) fn leash(mut self, leash: Arc<PipeReader>) -> Self {
        self.leash = Some(leash);
        self
    }

    /// The path of what to start.
    pub(super) fn program(&self) -> Result<PathBuf, String> {
        self.binary.as_deref().map_or_else(|| self.kind.binary(), kind::in_path)
    }

    /// Whether the server that gives this answer to `INFO` is the one that was meant.
    pub(super) fn check(&self, info: &Reply) -> Result<(), String> {
        if self.binary.is_some() { Ok(()) } else { self.kind.check(info) }
    }

    pub(super) fn leash_of(mut self, other: &Self) -> Self {
        self.leash.clone_from(&other.leash);
        self
    }
}
