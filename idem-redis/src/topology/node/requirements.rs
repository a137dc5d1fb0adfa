//! What a server must be before anything is entrusted to it: asked on every new connection, and now and then.

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

/// The first version with all that is used: `SET NX GET`, sharded notifications.
const OLDEST_VERSION: (u64, u64) = (7, 0);

/// What is asked of a server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Demands {
    pub(crate) allow_eviction: bool,
    pub(crate) cluster: bool,
}

/// What a server says of itself.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    pub(crate) address: Address,
    pub(crate) identity: Identity,
    pub(crate) is_master: bool,
    /// Replicas that have caught up with it, and all that follow it.
    pub(crate) replicas: u8,
    pub(crate) followers: u8,
    pub(crate) keeps: Keeps,
    /// How much it has told its replicas, in bytes; goes on where it was when the server is started again.
    pub(crate) offset: u64,
    /// Where that was when the server became master: of a snapshot, when it was started; 0 where nobody knows.
    pub(crate) began_at: u64,
    /// What its data were called before it became master, by whom it followed then.
    pub(crate) former_id: String,
    /// Whether it forgets keys when its memory is full.
    pub(crate) evicts: bool,
    /// Its clock, in microseconds since 1970, and when it showed that.
    pub(crate) time: u64,
    pub(crate) time_at: Instant,
}

/// What a server still has when it was started again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Keeps {
    /// At most what it saved now and then.
    Snapshots,
    /// What it appended to a file, and when that is on the disk (`appendfsync`), where it says so.
    Appended { fsync: Option<String> },
}

impl Keeps {
    /// Whether it has what it acknowledged, but for the last second of a machine that lost its power.
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

/// Asks the server of `link` what it is, and refuses one that may lose what it is given.
pub(crate) async fn server(link: &Link, demands: Demands) -> Result<Facts, AttemptError> {
    let info = link.ask(["INFO".into()]).await?;
    let info_field = |name| info.field(name).unwrap_or_default();
    let refuse = |message: String| {
        AttemptError::refused(ErrorKind::InvalidConfig, format!("{} {message}", link.address()))
    };
    // Valkey has its own name for it.
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
        // The first byte that came after; -1 where there was nothing before.
        began_at: info_field("second_repl_offset").parse::<u64>().map_or(0, |next| next.saturating_sub(1)),
        evicts: policy != "noeviction",
        time,
        time_at: asked + asked.elapsed() / 2,
    })
}

/// Replicas that an `INFO` shows in such a state: `online` once they have caught up. What has no port is none, but somebody
/// who takes a copy (`redis-cli --rdb`). One that came back before it was missed is shown twice.
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

/// When the server brings to the disk what it appends; none where the user may not ask.
async fn fsync_policy(link: &Link) -> Result<Option<String>, AttemptError> {
    match link.ask(["CONFIG".into(), "GET".into(), "appendfsync".into()]).await {
        Ok(answer) => Ok(answer.array().and_then(|pair| Some(pair.get(1)?.text()?.to_owned()))),
        Err(AttemptError::Refused(..)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Gives the server the scripts, so that their first use takes no second round trip.
pub(crate) async fn load_scripts(link: &Arc<Link>) -> Result<(), AttemptError> {
    let mut scripts = script::all();
    if let Some(first) = scripts.next() {
        match load(Arc::clone(link), first).await {
            // Whoever may not load may still run: `scripts` tells.
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

/// Whether the scripts may be run: an ACL can forbid that, or what they do.
pub(crate) async fn scripts(link: &Link, key: &str) -> Result<(), AttemptError> {
    for whole in [true, false] {
        match link.run(&Command::script(&PROBE, whole, key.to_owned().into(), &[])).await {
            // What cannot be written now may be later, and a script that is not known is sent whole.
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

/// Whether replicas may be waited for, or disks: an ACL can forbid that, too, and would do so after a write.
pub(crate) async fn waiting(link: &Link, disk: bool) -> Result<(), AttemptError> {
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
    fn replicas_count_once_they_have_caught_up_and_copies_never() {
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
