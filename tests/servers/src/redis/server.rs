//! A single server.

use std::net::SocketAddr;
use std::ops::Deref;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tempfile::TempDir;
use tokio::task::JoinSet;

use super::launch::{LOG, PORT_TAKEN, launch};
use super::node::Node;
use super::options::ServerOptions;
use crate::process::{Process, free_port, log_tail};

/// A running server with a folder of its own. Dropping it kills the server and removes the folder.
///
/// It is also its [`Node`]: `server.command(&["PING"])`, `server.addr()`.
#[derive(Debug)]
pub struct Server {
    node: Node,
    options: ServerOptions,
    process: Mutex<Option<Process>>,
    /// Declared after the process, so that it is removed last.
    folder: TempDir,
}

impl Server {
    /// Starts a server with the defaults: on 127.0.0.1, keeping nothing on disk.
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

    /// Its address and login.
    #[must_use]
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// The id of its process; `None` after [`kill`](Server::kill).
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process().as_ref().map(Process::pid)
    }

    /// The folder with its data, `redis.conf` and `redis.log`.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The last lines of its log.
    #[must_use]
    pub fn log(&self) -> String {
        log_tail(self.folder(), LOG)
    }

    /// Kills the server without warning (SIGKILL), and waits until it has ended. Port and data are kept for
    /// [`restart`](Server::restart).
    pub fn kill(&self) {
        let process = self.process().take();
        drop(process);
    }

    /// Freezes the server (SIGSTOP): its connections stay open, and it does not answer.
    ///
    /// # Panics
    /// When it does not run.
    pub fn stop(&self) {
        self.signal("STOP");
    }

    /// Lets the server continue after [`stop`](Server::stop) (SIGCONT).
    ///
    /// # Panics
    /// When it does not run.
    pub fn cont(&self) {
        self.signal("CONT");
    }

    /// Kills the server if it still runs, and starts it again with the same port, folder and options.
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
    /// Starts the server and waits until it answers.
    ///
    /// # Panics
    /// When the program is missing or not of its kind's version, and, with the end of its log, when the server does not
    /// start.
    pub async fn start(self) -> Server {
        let mut attempt = 0;
        loop {
            // With a leash, the watchdog removes the folder.
            let folder = tempfile::Builder::new()
                .prefix("idem-redis-")
                .disable_cleanup(self.leash.is_some())
                .tempdir();
            let folder = folder.unwrap_or_else(|error| panic!("no temporary folder: {error}"));
            let port = self.port.unwrap_or_else(|| free_port(self.host));
            let node = Node { addr: SocketAddr::new(self.host, port), login: self.login.clone() };
            attempt += 1;
            match launch(&self, &node, &folder).await {
                Ok(process) => {
                    return Server { node, options: self, process: Mutex::new(Some(process)), folder };
                }
                // Another process took the port after it was chosen.
                Err(failure) if self.port.is_none() && attempt < 20 && failure.contains(PORT_TAKEN) => {}
                Err(failure) => panic!("{failure}"),
            }
        }
    }
}

/// Starts servers concurrently, and returns them in the order of their options.
pub(super) async fn start_all(options: Vec<ServerOptions>) -> Vec<Server> {
    let mut starting = JoinSet::new();
    for (number, options) in options.into_iter().enumerate() {
        starting.spawn(async move { (number, options.start().await) });
    }
    // Panics if a start panicked.
    let mut started = starting.join_all().await;
    started.sort_by_key(|(number, _)| *number);
    started.into_iter().map(|(_, server)| server).collect()
}
