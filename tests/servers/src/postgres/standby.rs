//! Copying a running server, so that the copy follows it.

use std::path::Path;

use super::launch::own;
use super::node::Node;

/// What the copy must make for itself, or has no use for.
const NOT_ITS_OWN: [&str; 4] = ["postmaster.pid", "postmaster.opts", "idem.conf", "idem_hba.conf"];

/// Copies the data of the server at `primary`, whose folder is `from`, into `to`. `pg_basebackup` is not there for all
/// kinds, and this is what it does.
pub(super) async fn copy(primary: Node, from: &Path, to: &Path) -> Result<(), String> {
    let (from, data) = (from.join("data"), to.join("data"));
    let label = to.join("backup_label");
    // Files that vanish meanwhile make `cp` fail. The replay of the WAL brings whatever they would have held.
    let script = format!(
        "SELECT pg_backup_start('idem', true);\n\
         \\! cp -a '{from}' '{data}' 2>/dev/null\n\
         SELECT labelfile FROM pg_backup_stop(false) \\g '{label}'\n",
        from = from.display(),
        data = data.display(),
        label = label.display(),
    );
    primary.try_script(&script).await?;
    for file in NOT_ITS_OWN {
        // It may not be there.
        let _ = std::fs::remove_file(data.join(file));
    }
    let made = std::fs::rename(label, data.join("backup_label"))
        .and_then(|()| std::fs::write(data.join("standby.signal"), ""));
    made.map_err(|error| format!("{}: {error}", data.display()))?;
    own(to).await
}

/// The lines of the configuration by which a server follows `primary` under this name.
pub(super) fn follow(primary: Node, name: &str) -> String {
    let (host, port) = (primary.addr().ip(), primary.addr().port());
    format!(
        "primary_conninfo = 'host={host} port={port} user=postgres application_name={name}'\n\
         wal_retrieve_retry_interval = 100ms"
    )
}
