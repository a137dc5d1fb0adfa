//! Starts one server, and waits until it answers.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use super::node::Node;
use super::options::ServerOptions;
use super::wire::Reply;
use crate::process::{Process, log_tail, poll};

/// What a server logs when its port is taken.
pub(super) const PORT_TAKEN: &str = "Failed listening on port";
/// The file in its folder that it logs to.
pub(super) const LOG: &str = "redis.log";
/// Far longer than it takes to load the data of a test.
const LONGEST_START: Duration = Duration::from_secs(30);

/// Starts the server of `node`, and returns once it answers.
pub(super) async fn launch(
    options: &ServerOptions,
    node: &Node,
    folder: &TempDir,
) -> Result<Process, String> {
    let folder = folder.path();
    let config = folder.join("redis.conf");
    // The log of an earlier start must not be mistaken for the log of this one.
    let _ = std::fs::rename(folder.join("redis.log"), folder.join("redis.log.1"));
    std::fs::write(&config, redis_conf(options, node, folder)).map_err(|error| error.to_string())?;
    let mut command = options.prefix.clone();
    command.push(options.program()?.into());
    command.push(config.into());
    let (process, mut exit) = Process::spawn(&command, folder, "KILL", options.leash.as_deref())
        .await
        .map_err(|error| format!("no server: {error}\n{}", log_tail(folder, LOG)))?;
    let ready = tokio::select! {
        ready = poll(LONGEST_START, || is_ready(options, node, process.pid())) => ready,
        () = exit.wait() => Err("it ended".to_owned()),
    };
    match ready {
        Ok(()) => Ok(process),
        Err(missing) => {
            Err(format!("the server at {node} did not start: {missing}\n{}", log_tail(folder, LOG)))
        }
    }
}

async fn is_ready(options: &ServerOptions, node: &Node, pid: u32) -> Result<(), String> {
    let info = match node.command(&["INFO"]).await {
        Ok(Reply::Error(refusal)) => return Err(refusal),
        Ok(info) => info,
        Err(error) => return Err(error.to_string()),
    };
    let field = |field: &str| info.field(field).unwrap_or_default();
    // Another server may have taken the port, and answer while this one is still failing to start.
    if field("process_id") != pid.to_string() {
        return Err("another process listens at its port".to_owned());
    }
    if let Err(other) = options.check(&info) {
        panic!("{other}");
    }
    // A sentinel has no data, and so no such field.
    if field("loading") == "1" { Err("it loads its data".to_owned()) } else { Ok(()) }
}

fn redis_conf(options: &ServerOptions, node: &Node, folder: &Path) -> String {
    let mut config = format!(
        "port {port}\nbind {host}\ndir \"{folder}\"\nlogfile \"{folder}/redis.log\"\n\
         protected-mode no\nenable-debug-command yes\ndaemonize no\nsave \"\"\nappendonly no\n\
         repl-diskless-sync yes\nrepl-diskless-sync-delay 0\nlazyfree-lazy-user-flush no\n",
        port = node.port(),
        host = node.host(),
        folder = folder.display(),
    );
    for line in &options.lines {
        // Writing to a `String` cannot fail.
        let _ = writeln!(config, "{line}");
    }
    config
}
