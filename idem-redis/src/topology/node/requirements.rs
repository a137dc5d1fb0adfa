//! The requirements that a server must meet before it is used. Checked on every new connection, and periodically.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use idem_core::ErrorKind;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::config::address::Address;
use crate::connection::acknowledgers::Acknowledgers;
use crate::connection::link::{Identity, Link};
use crate::protocol::command::Command;
use crate::protocol::errors::attempt_error::AttemptError;
use crate::protocol::errors::cause::Cause;
use crate::protocol::reply::Reply;
use crate::protocol::script::{self, PROBE, Script};

/// The first version with all that is used: `SET NX GET`, sharded pub/sub.
const OLDEST_VERSION: (u64, u64) = (7, 0);

/// What the configuration requires of a server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Demands {
    pub(crate) allow_eviction: bool,
    pub(crate) cluster: bool,
}

/// What a server reports of itself.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    pub(crate) address: Address,
    pub(crate) identity: Identity,
    pub(crate) is_master: bool,
    /// How many replicas have caught up with the server.
    pub(crate) replicas: u8,
    /// How many replicas follow the server, caught up or not.
    pub(crate) followers: u8,
    pub(crate) keeps: Keeps,
    /// The replication offset in bytes, which continues across restarts.
    pub(crate) offset: u64,
    /// The offset at which the server became master; after a restart, that of its snapshot. 0 where it is unknown.
    pub(crate) began_at: u64,
    /// The replication id of the master that the server followed before it became master itself.
    pub(crate) former_id: String,
    /// Whether the server evicts keys when its memory is full.
    pub(crate) evicts: bool,
    /// The server's clock, in microseconds since 1970.
    pub(crate) time: u64,
    /// When the server's clock showed `time`.
    pub(crate) time_at: Instant,
}

/// What a server still has after a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Keeps {
    /// At most its last snapshot.
    Snapshots,
    /// What it wrote to its append-only file. `fsync`: when the file reaches the disk (`appendfsync`), where the server tells.
    Appended { fsync: Option<String> },
}

impl Keeps {
    /// Whether the server keeps what it acknowledged, except for the last second before a power failure.
    pub(crate) fn is_durable(&self) -> bool {
        matches!(self, Self::Appended { fsync } if fsync.as_deref() != Some("no"))
    }
}

impl fmt::Display for Keeps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Snapshots => f.write_str("at most its last snapshot (appendonly no)"),
            Self::Appended { fsync: None } => f.write_str("what it appended (appendonly yes)"),
            Self::Appended { fsync: Some(policy) } => write!(f, "what it appended (appendfsync {policy})"),
        }
    }
}

/// Asks the server of `link` about itself, and refuses one that may lose data.
pub(crate) async fn check_server(link: &Link, demands: Demands) -> Result<Facts, AttemptError> {
    let info = link.ask(["INFO".into()]).await?;
    let info_field = |name| info.field(name).unwrap_or_default();
    let refuse = |message: String| {
        AttemptError::refused(ErrorKind::InvalidConfig, format!("{} {message}", link.address()))
    };
    // Valkey has its own name for the field.
    if [info_field("redis_mode"), info_field("server_mode")].contains(&"sentinel") {
        return Err(refuse("is a sentinel: use the scheme redis-sentinel".to_owned()));
    }
    let version = info_field("redis_version");
    if parsed_version(version).is_none_or(|version| version < OLDEST_VERSION) {
        return Err(refuse(format!("is Redis {version:?}; 7.0 or later is needed, or Valkey")));
    }
    let is_cluster = info_field("cluster_enabled") == "1";
    if is_cluster != demands.cluster {
        return Err(refuse(if is_cluster {
            "is a node of a cluster: use the scheme redis-cluster".to_owned()
        } else {
            "is no node of a cluster: use the scheme redis".to_owned()
        }));
    }
    let policy = info_field("maxmemory_policy");
    if policy != "noeviction" && !demands.allow_eviction {
        return Err(refuse(format!(
            "has maxmemory-policy {policy:?}: it would forget keys whose work then runs again. Set noeviction, or \
             allow_eviction = true"
        )));
    }
    let keeps = if info_field("aof_enabled") == "1" {
        Keeps::Appended { fsync: fsync_policy(link).await? }
    } else {
        Keeps::Snapshots
    };
    let asked = Instant::now();
    let answer = link.ask(["TIME".into()]).await?;
    let time = answer.time_micros().ok_or_else(|| {
        AttemptError::Later(Cause::new(format!("{} does not tell the time", link.address())))
    })?;
    Ok(Facts {
        address: link.address().clone(),
        identity: Identity {
            run_id: info_field("run_id").to_owned(),
            replication_id: info_field("master_replid").to_owned(),
        },
        is_master: info_field("role") == "master",
        replicas: replicas(&info, |state| state == "online"),
        followers: replicas(&info, |_| true),
        keeps,
        offset: info_field("master_repl_offset").parse().unwrap_or(0),
        former_id: info_field("master_replid2").to_owned(),
        // Redis reports the first offset after this one, and -1 where there was no former master.
        began_at: info_field("second_repl_offset").parse::<u64>().map_or(0, |next| next.saturating_sub(1)),
        evicts: policy != "noeviction",
        time,
        time_at: asked + asked.elapsed() / 2,
    })
}

/// Counts the replicas in an `INFO` by their state, which is `online` once they have caught up. An entry without a port is
/// not a replica but a client that takes a copy (`redis-cli --rdb`). A replica that reconnected before the master noticed
/// that it was gone is listed twice, and counted once.
fn replicas(info: &Reply, is_counted: impl Fn(&str) -> bool) -> u8 {
    let replicas = info.text().unwrap_or_default().lines().filter_map(|line| {
        let (number, replica) = line.strip_prefix("slave")?.split_once(':')?;
        number.parse::<u16>().ok()?;
        let field = |name| {
            let mut fields = replica.trim().split(',').filter_map(|field| field.split_once('='));
            fields.find(|(field, _)| *field == name).map(|(_, value)| value)
        };
        let (host, port) = (field("ip")?, field("port")?);
        (field("state").is_some_and(&is_counted) && port != "0").then_some((host, port))
    });
    u8::try_from(replicas.collect::<HashSet<_>>().len()).unwrap_or(u8::MAX)
}

/// When the server syncs its append-only file to the disk (`appendfsync`). `None` where the user may not ask.
async fn fsync_policy(link: &Link) -> Result<Option<String>, AttemptError> {
    match link.ask(["CONFIG".into(), "GET".into(), "appendfsync".into()]).await {
        Ok(answer) => Ok(answer.array().and_then(|pair| Some(pair.get(1)?.text()?.to_owned()))),
        Err(AttemptError::Refused(..)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Loads the scripts into the server, so that their first use takes a single round trip.
pub(crate) async fn load_scripts(link: &Arc<Link>) -> Result<(), AttemptError> {
    let mut scripts = script::all();
    if let Some(first) = scripts.next() {
        match load(Arc::clone(link), first).await {
            // A user who may not load scripts may still run them, which `check_scripts` finds out.
            Err(AttemptError::Refused(..)) => return Ok(()),
            loaded => loaded?,
        }
    }
    let others = scripts.map(|script| load(Arc::clone(link), script)).collect::<JoinSet<_>>();
    others.join_all().await.into_iter().collect()
}

async fn load(link: Arc<Link>, script: &'static Script) -> Result<(), AttemptError> {
    link.ask(["SCRIPT".into(), "LOAD".into(), script.source.into()]).await.map(drop)
}

/// Checks that the scripts may be run. An ACL can forbid running scripts, or the commands in them.
pub(crate) async fn check_scripts(link: &Link, key: &str) -> Result<(), AttemptError> {
    for whole in [true, false] {
        match link.run(&Command::script(&PROBE, whole, key.to_owned().into(), &[])).await {
            // These errors pass: writes may work later, and an unknown script is sent whole.
            Ok(_)
            | Err(
                AttemptError::Moved { .. }
                | AttemptError::Ask { .. }
                | AttemptError::Full(_)
                | AttemptError::NoWrites(_)
                | AttemptError::NoScript,
            ) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Checks that `WAIT` or `WAITAOF` may be called. An ACL that forbids it would otherwise show only after a write.
pub(crate) async fn check_waiting(link: &Link, disk: bool) -> Result<(), AttemptError> {
    let nobody = Acknowledgers { replicas: 0, disk };
    match link.run(&nobody.command(1)).await {
        Err(AttemptError::Refused(_, cause)) if disk => {
            let message = "acks = disk needs appendonly yes, and Redis 7.2 or later, or Valkey";
            Err(AttemptError::refused(ErrorKind::InvalidConfig, format!("{message}: {cause:?}")))
        }
        answer => answer.map(drop),
    }
}

fn parsed_version(version: &str) -> Option<(u64, u64)> {
    let mut parts = version.split('.').map(str::parse);
    match (parts.next(), parts.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => Some((major, minor)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_replicas_that_have_caught_up_are_counted() {
        let info =
            |lines: &str| Reply::Bytes(format!("# Replication\r\nrole:master\r\n{lines}slaves:7\r\n").into());
        for (lines, replicas) in [
            ("", 0),
            ("slave0:ip=10.0.0.2,port=6379,state=online,offset=14,lag=1\r\n", 1),
            ("slave0:ip=10.0.0.2,port=6379,state=wait_bgsave,offset=0,lag=0\r\n", 0),
            ("slave0:ip=127.0.0.1,port=0,state=online,offset=0,lag=3\r\n", 0),
            (
                "slave0:ip=10.0.0.2,port=6379,state=online,offset=14,lag=1,type=replica\r\n\
                 slave1:ip=10.0.0.3,port=6379,state=online,offset=14,lag=1,type=replica\r\n",
                2,
            ),
            (
                "slave0:ip=10.0.0.2,port=6379,state=online,offset=14,lag=9\r\n\
                 slave1:ip=10.0.0.2,port=6379,state=online,offset=14,lag=0\r\n",
                1,
            ),
            ("slave0\r\nslave:state=online\r\nslavex:state=online\r\n", 0),
        ] {
            assert_eq!(super::replicas(&info(lines), |state| state == "online"), replicas, "{lines}");
        }
    }
}
