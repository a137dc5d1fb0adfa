//! One server.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Deref;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tempfile::TempDir;

use super::launch::{LOG, PORT_TAKEN, init, launch};
use super::node::Node;
use super::options::ServerOptions;
use super::pair::in_sync;
use super::standby::{copy, follow};
use crate::process::{Process, free_port, log_tail};

/// A running server with a folder of its own. Dropping it ends the server and removes the folder.
///
/// It is also its [`Node`]: `server.sql("SELECT 1")`, `server.addr()`.
#[derive(Debug)]
pub struct Server {
    node: Node,
    options: ServerOptions,
    process: Mutex<Option<Process>>,
    /// After the process: the folder goes last.
    folder: TempDir,
}

impl Server {
    /// Starts a server with nothing but the defaults.
    ///
    /// # Panics
    /// Those of [`ServerOptions::start`].
    pub async fn lone() -> Self {
        Self::options().start().await
    }

    /// How to start one that differs from the defaults.
    ///
    /// # Panics
    /// Those of [`ServerKind::chosen`](super::ServerKind::chosen).
    pub fn options() -> ServerOptions {
        ServerOptions::new()
    }

    /// Where it is.
    #[must_use]
    pub fn node(&self) -> Node {
        self.node
    }

    /// The id of its first process; none after [`kill`](Server::kill).
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process().as_ref().map(Process::pid)
    }

    /// The folder with its log, and its `data`.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The last lines that it logged.
    #[must_use]
    pub fn log(&self) -> String {
        log_tail(self.folder(), LOG)
    }

    /// Ends it as a power cut would (SIGKILL), and waits until it has ended. Port and data are kept for
    /// [`restart`](Server::restart).
    ///
    /// # Panics
    /// When it does not run.
    pub fn kill(&self) {
        self.signal("KILL");
        drop(self.process().take());
    }

    /// Freezes it with all of its processes (SIGSTOP): its connections stay, and nothing is answered.
    ///
    /// # Panics
    /// When it does not run.
    pub fn stop(&self) {
        self.signal_all("STOP");
    }

    /// Lets it go on after [`stop`](Server::stop) (SIGCONT).
    ///
    /// # Panics
    /// When it does not run.
    pub fn cont(&self) {
        self.signal_all("CONT");
    }

    /// Ends it where it still runs, and starts it again: same port, folder and options.
    ///
    /// # Panics
    /// When it does not start, with the end of its log.
    pub async fn restart(&self) {
        drop(self.process().take());
        match launch(&self.options, self.node, self.folder()).await {
            Ok(process) => *self.process() = Some(process),
            Err(failure) => panic!("{failure}"),
        }
    }

    /// Starts a standby of this server, with the same options, which the server knows by `name`, and waits until it is in
    /// sync.
    ///
    /// # Panics
    /// When it does not start or does not get in sync, with the end of the log.
    pub async fn standby(&self, name: &str) -> Self {
        let mut options = self.options.clone();
        options.follows = Some(follow(self.node, name));
        let folder = options.folder();
        if let Err(failure) = copy(self.node, self.folder(), folder.path()).await {
            panic!("{failure}");
        }
        let standby = options.start_in(folder).await;
        in_sync(self, name).await;
        standby
    }

    fn signal(&self, name: &str) {
        let process = self.process();
        let Some(process) = process.as_ref() else { panic!("{} does not run", self.node) };
        if let Err(error) = process.signal(name) {
            panic!("{}: {error}", self.node);
        }
    }

    /// Each connection has a process.
    fn signal_all(&self, name: &str) {
        self.signal(name);
        let Some(pid) = self.pid() else { return };
        let children = format!("pkill -{name} --parent {pid}");
        // Without a connection there may be none.
        let _ = Command::new("sh").args(["-c", &children]).status();
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
    /// Starts the server and waits until it answers.
    ///
    /// # Panics
    /// When its programs are missing, and when it does not start, with the end of its log.
    pub async fn start(self) -> Server {
        let folder = self.folder();
        if let Err(failure) = init(&self, folder.path()).await {
            panic!("{failure}");
        }
        self.start_in(folder).await
    }

    fn folder(&self) -> TempDir {
        // On a leash, it is the watchdog that removes the folder.
        tempfile::Builder::new()
            .prefix("idem-postgres-")
            .disable_cleanup(self.leash.is_some())
            .tempdir()
            .unwrap_or_else(|error| panic!("no temporary folder: {error}"))
    }

    async fn start_in(self, folder: TempDir) -> Server {
        let host = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let mut attempt = 0;
        loop {
            let node = Node { addr: SocketAddr::new(host, free_port(host)) };
            attempt += 1;
            match launch(&self, node, folder.path()).await {
                Ok(process) => {
                    return Server { node, options: self, process: Mutex::new(Some(process)), folder };
                }
                // Another process was quicker between the choice and the start.
                Err(failure) if attempt < 20 && failure.contains(PORT_TAKEN) => {}
                Err(failure) => panic!("{failure}"),
            }
        }
    }
}
