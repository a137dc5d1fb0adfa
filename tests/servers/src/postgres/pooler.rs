//! A pooler between clients and a server.

use std::ffi::OsString;
use std::io::PipeReader;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use super::kind::INSTALLS;
use super::launch::{as_owner, own};
use super::node::{Node, SUPERUSER};
use crate::process::{Process, free_port, in_path, log_tail, poll};

/// What it logs when its port is taken.
const PORT_TAKEN: &str = "Address already in use";
/// Where Debian has it, which is not in everybody's `PATH`.
const DEBIAN: &str = "/usr/sbin/pgbouncer";
/// It ends at once.
const ENDING: &str = "TERM";
const LONGEST_START: Duration = Duration::from_secs(30);

/// A running pgbouncer. It logs in to its server as the superuser, whoever logs in to it. Dropping it ends it.
///
/// It is also its [`Node`]. In its database `pgbouncer` it tells of itself: `SHOW POOLS`.
#[derive(Debug)]
pub struct Pooler {
    node: Node,
    _process: Process,
    /// After the process: the folder goes last.
    _folder: TempDir,
}

impl Pooler {
    /// Starts one in front of `server`, with these lines of `pgbouncer.ini`: `pool_mode = transaction`.
    ///
    /// # Panics
    /// When its program is missing, and when it does not start, with the end of its log.
    pub async fn start(server: Node, lines: &[&str]) -> Self {
        Self::on_leash(server, lines, None).await
    }

    /// Lives until all writers of this pipe are gone, where there is one.
    pub(super) async fn on_leash(server: Node, lines: &[&str], leash: Option<PipeReader>) -> Self {
        // On a leash, it is the watchdog that removes the folder.
        let folder = tempfile::Builder::new()
            .prefix("idem-pgbouncer-")
            .disable_cleanup(leash.is_some())
            .tempdir()
            .unwrap_or_else(|error| panic!("no temporary folder: {error}"));
        let host = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let mut attempt = 0;
        loop {
            let node = Node { addr: SocketAddr::new(host, free_port(host)) };
            attempt += 1;
            match launch(server, node, lines, folder.path(), leash.as_ref()).await {
                Ok(process) => return Self { node, _process: process, _folder: folder },
                // Another process was quicker between the choice and the start.
                Err(failure) if attempt < 20 && failure.contains(PORT_TAKEN) => {}
                Err(failure) => panic!("{failure}"),
            }
        }
    }

    /// Where it is.
    #[must_use]
    pub fn node(&self) -> Node {
        self.node
    }
}

impl Deref for Pooler {
    type Target = Node;

    fn deref(&self) -> &Node {
        &self.node
    }
}

async fn launch(
    server: Node,
    node: Node,
    lines: &[&str],
    folder: &Path,
    leash: Option<&PipeReader>,
) -> Result<Process, String> {
    let file = folder.join("pgbouncer.ini");
    let _ = std::fs::remove_file(folder.join("stderr.log"));
    let conf = format!(
        "[databases]\n* = host={} port={} user={SUPERUSER}\n[pgbouncer]\nlisten_addr = {}\nlisten_port = {}\n\
         unix_socket_dir =\nauth_type = any\nmax_client_conn = 1000\n{}\n",
        server.addr.ip(),
        server.addr.port(),
        node.addr.ip(),
        node.addr.port(),
        lines.join("\n"),
    );
    std::fs::write(&file, conf).map_err(|error| error.to_string())?;
    own(folder).await?;
    let mut command: Vec<OsString> = as_owner();
    command.extend([program()?.into(), file.clone().into()]);
    let (process, mut exit) = Process::spawn(&command, folder, ENDING, leash)
        .await
        .map_err(|error| format!("no pooler: {error}\n{}", log_tail(folder, "")))?;
    let ready = tokio::select! {
        ready = poll(LONGEST_START, || is_ready(node, &file)) => ready,
        () = exit.wait() => Err("it ended".to_owned()),
    };
    match ready {
        Ok(()) => Ok(process),
        Err(missing) => {
            Err(format!("the pooler at {node} did not start: {missing}\n{}", log_tail(folder, "")))
        }
    }
}

/// Another pooler may have taken the port, and answer while ours is about to give up.
async fn is_ready(node: Node, file: &Path) -> Result<(), String> {
    let config = node.try_sql_in("pgbouncer", "SHOW CONFIG").await?;
    let ours = format!("conffile|{}|", file.display());
    if !config.contains(&ours) {
        return Err("another pooler listens at its port".to_owned());
    }
    node.try_sql("SELECT 1").await.map(drop)
}

fn program() -> Result<PathBuf, String> {
    let debian = Path::new(DEBIAN);
    if debian.is_file() { Ok(debian.to_owned()) } else { in_path(Path::new("pgbouncer"), INSTALLS) }
}
