//! Making a server's data, starting it, and waiting until it answers.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use tokio::process::Command;

use super::node::{Node, SUPERUSER};
use super::options::ServerOptions;
use crate::process::{Process, log_tail, poll};

/// What a server logs when its port is taken.
pub(super) const PORT_TAKEN: &str = "could not create any TCP/IP sockets";
/// The file in its folder that it logs to.
pub(super) const LOG: &str = "postgres.log";
/// An immediate shutdown: it frees the memory that it shares, and leaves data as a power cut would.
const ENDING: &str = "QUIT";
/// Recovery after a kill takes seconds on a busy machine.
const LONGEST_START: Duration = Duration::from_mins(1);

/// Makes an empty server in `folder`. On localhost everybody is trusted.
pub(super) async fn init(options: &ServerOptions, folder: &Path) -> Result<(), String> {
    own(folder).await?;
    let mut command = as_owner();
    command.push(options.kind.program("initdb")?.into());
    let rest = [
        "--auth",
        "trust",
        "--username",
        SUPERUSER,
        "--encoding",
        "UTF8",
        "--locale",
        "C",
        "--no-sync",
        "--pgdata",
    ];
    command.extend(rest.map(OsString::from));
    command.push(folder.join("data").into());
    run(&command, folder).await
}

/// Once it answers.
pub(super) async fn launch(options: &ServerOptions, node: Node, folder: &Path) -> Result<Process, String> {
    let data = folder.join("data");
    // The log of an earlier start must not be taken for that of this one.
    let _ = std::fs::rename(folder.join(LOG), folder.join("postgres.log.1"));
    let write =
        |file: &str, text: String| std::fs::write(data.join(file), text).map_err(|error| error.to_string());
    write("idem.conf", conf(options, node, folder))?;
    write("idem_hba.conf", access(options, &data)?)?;
    let mut command = as_owner();
    command.extend(options.prefix.iter().cloned());
    command.push(options.kind.program("postgres")?.into());
    command.extend(["-D".into(), data.clone().into()]);
    command.extend(["-c".into(), format!("config_file={}/idem.conf", data.display()).into()]);
    let (process, mut exit) = Process::spawn(&command, folder, ENDING, options.leash.as_deref())
        .await
        .map_err(|error| format!("no server: {error}\n{}", log_tail(folder, LOG)))?;
    let ready = tokio::select! {
        ready = poll(LONGEST_START, || is_ready(node, &data)) => ready,
        () = exit.wait() => Err("it ended".to_owned()),
    };
    match ready {
        Ok(()) => Ok(process),
        Err(missing) => {
            Err(format!("the server at {node} did not start: {missing}\n{}", log_tail(folder, LOG)))
        }
    }
}

/// Another server may have taken the port, and answer while ours is about to give up.
async fn is_ready(node: Node, data: &Path) -> Result<(), String> {
    let directory = node.try_sql("SHOW data_directory").await?;
    if Path::new(&directory) == data { Ok(()) } else { Err("another server listens at its port".to_owned()) }
}

fn conf(options: &ServerOptions, node: Node, folder: &Path) -> String {
    let folder = folder.display();
    let mut conf = format!(
        "listen_addresses = '{host}'\nport = {port}\nunix_socket_directories = '{folder}'\n\
         logging_collector = on\nlog_directory = '{folder}'\nlog_filename = '{LOG}'\nlog_file_mode = 0644\n\
         hba_file = '{folder}/data/idem_hba.conf'\nident_file = '{folder}/data/pg_ident.conf'\n\
         shared_buffers = 64MB\nrecovery_init_sync_method = syncfs\n",
        host = node.addr.ip(),
        port = node.addr.port(),
    );
    for line in options.lines.iter().chain(&options.follows) {
        // Into a `String`: it cannot fail.
        let _ = writeln!(conf, "{line}");
    }
    conf
}

/// The rules of `initdb`, after those of the options.
fn access(options: &ServerOptions, data: &Path) -> Result<String, String> {
    let trusting = std::fs::read_to_string(data.join("pg_hba.conf")).map_err(|error| error.to_string())?;
    Ok(options.access.join("\n") + "\n" + &trusting)
}

/// What the command of a server begins with where this process is root, as which servers refuse to run: it changes to
/// their owner, who may still pass through folders that are root's alone, as that of the build can be.
pub(super) fn as_owner() -> Vec<OsString> {
    if !is_root() {
        return Vec::new();
    }
    let command = ["setpriv", "--reuid", SUPERUSER, "--regid", SUPERUSER, "--clear-groups"];
    let passes = ["--inh-caps", "+dac_override", "--ambient-caps", "+dac_override"];
    command.into_iter().chain(passes).map(OsString::from).collect()
}

pub(super) async fn own(folder: &Path) -> Result<(), String> {
    if !is_root() {
        return Ok(());
    }
    let owner = format!("{SUPERUSER}:{SUPERUSER}");
    run(&["chown".into(), "-R".into(), owner.into(), folder.into()], folder).await
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").is_ok_and(|of_this_process| of_this_process.uid() == 0)
}

async fn run(command: &[OsString], folder: &Path) -> Result<(), String> {
    let [program, args @ ..] = command else { return Err("no command".to_owned()) };
    let output = Command::new(program).args(args).current_dir(folder).output().await;
    let output = output.map_err(|error| format!("{}: {error}", program.display()))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{}: {}", program.display(), String::from_utf8_lossy(&output.stderr)))
}
