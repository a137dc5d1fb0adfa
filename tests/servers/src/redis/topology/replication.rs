//! Checks that replicas are in sync with their master.

use std::time::Duration;

use super::slots::{SLOTS, slot};
use crate::redis::node::Node;
use crate::redis::wire::Reply;

/// Longer than a replica on this machine needs to confirm a write.
const WAIT_TIMEOUT: Duration = Duration::from_secs(1);

/// Checks that `replicas` are connected to `master` and have all its writes. Writes and deletes a key in `probe`, a
/// slot of the master.
pub(in crate::redis) async fn in_sync(master: &Node, replicas: &[&Node], probe: u16) -> Result<(), String> {
    let seen = ask(master, &["INFO", "replication"]).await?;
    for replica in replicas {
        let link = ask(replica, &["INFO", "replication"]).await?;
        if link.field("master_link_status").as_deref() != Some("up") {
            return Err(format!("the link of {replica} to {master} is down"));
        }
        let port = format!("port={}", replica.port());
        let text = seen.text();
        let online = |line: &str| line.split(',').any(|part| part == port) && line.contains("state=online");
        if !text.lines().any(|line| line.starts_with("slave") && online(line)) {
            return Err(format!("{master} does not see {replica} online"));
        }
    }
    confirm(master, replicas.len(), &key_in(probe)).await
}

pub(in crate::redis) async fn ask<A: AsRef<[u8]>>(node: &Node, args: &[A]) -> Result<Reply, String> {
    match node.command(args).await {
        Ok(Reply::Error(refusal)) => Err(format!("{node}: {refusal}")),
        Ok(reply) => Ok(reply),
        Err(error) => Err(format!("{node}: {error}")),
    }
}

/// Checks that all replicas confirm a write. `WAIT` asks the replicas immediately, whereas they report by
/// themselves once a second; it is only meaningful on a connection that has written.
async fn confirm(master: &Node, replicas: usize, probe: &str) -> Result<(), String> {
    let fail = |error| format!("{master}: {error}");
    let mut connection = master.connect().await.map_err(fail)?;
    let wait = ["WAIT".to_owned(), replicas.to_string(), WAIT_TIMEOUT.as_millis().to_string()];
    for command in [&["SET", probe, "1"][..], &["DEL", probe]] {
        if let Reply::Error(refusal) = connection.command(command).await.map_err(fail)? {
            return Err(format!("{master}: {refusal}"));
        }
    }
    let confirmed = connection.command(&wait).await.map_err(fail)?.integer().unwrap_or(0);
    if usize::try_from(confirmed) == Ok(replicas) {
        return Ok(());
    }
    Err(format!("{confirmed} of {replicas} replicas of {master} confirm a write"))
}

fn key_in(probe: u16) -> String {
    let keys = (0..u64::from(SLOTS) * 64).map(|number| format!("idem-conformance:probe:{number}"));
    let mut keys = keys.filter(|key| slot(key.as_bytes()) == probe);
    keys.next().unwrap_or_else(|| panic!("no key found in slot {probe}"))
}
