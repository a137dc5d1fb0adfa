//! What a server must be before anything is entrusted to it: asked on every new connection, and now and then.

use std::collections::HashMap;

use idem_core::ErrorKind;
use tokio::time::Instant;

use crate::connection::link::{Identity, Link};
use crate::protocol::command::Part;
use crate::protocol::fault::{Cause, Fault};
use crate::protocol::reply::Reply;
use crate::protocol::script;

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
    pub(crate) identity: Identity,
    /// Replicas that are connected to it.
    pub(crate) replicas: u8,
    /// Its clock, in microseconds since 1970, and when it showed that.
    pub(crate) time: u64,
    pub(crate) time_at: Instant,
    pub(crate) is_master: bool,
}

/// Asks the server of `link` what it is, and refuses one that may lose what it is given.
pub(crate) async fn server(link: &Link, demands: Demands) -> Result<Facts, Fault> {
    let said = Said::of(&link.ask(["INFO".into()]).await?);
    let refuse =
        |message: String| Fault::refused(ErrorKind::InvalidConfig, format!("{} {message}", link.address()));
    let version = said.text("redis_version");
    if parsed_version(version).is_none_or(|version| version < OLDEST_VERSION) {
        return Err(refuse(format!("is Redis {version:?}; 7.0 or later is needed, or Valkey")));
    }
    let is_cluster = said.text("cluster_enabled") == "1";
    if is_cluster != demands.cluster {
        return Err(refuse(if is_cluster {
            "is a node of a cluster: use the scheme redis-cluster".to_owned()
        } else {
            "is no node of a cluster: use the scheme redis".to_owned()
        }));
    }
    let policy = said.text("maxmemory_policy");
    if policy != "noeviction" && !demands.allow_eviction {
        return Err(refuse(format!(
            "has maxmemory-policy {policy:?}: it would forget keys whose work then runs again. Set noeviction, or \
             allow_eviction = true"
        )));
    }
    let is_master = said.text("role") == "master";
    let asked = Instant::now();
    let time = time(&link.ask(["TIME".into()]).await?)
        .ok_or_else(|| Fault::Later(Cause::new(format!("{} does not tell the time", link.address()))))?;
    let text = |name| said.text(name).to_owned();
    let identity = Identity { run_id: text("run_id"), replication_id: text("master_replid") };
    Ok(Facts {
        identity,
        replicas: said.text("connected_slaves").parse().unwrap_or(0),
        time,
        time_at: asked + asked.elapsed() / 2,
        is_master,
    })
}

/// Gives the server the scripts, so that their first use takes no second round trip.
pub(crate) async fn load_scripts(link: &Link) -> Result<(), Fault> {
    for script in script::all() {
        match link.ask(["SCRIPT".into(), "LOAD".into(), script.source.into()]).await {
            Ok(_) => {}
            // Whoever may not load may still run: `scripts` tells.
            Err(Fault::Refused(..)) => break,
            Err(fault) => return Err(fault),
        }
    }
    Ok(())
}

/// Uses every command of the scripts, and changes nothing: there is no such key.
const PROBE: &str = "
for _, command in ipairs({
  {'EXISTS'}, {'PTTL'}, {'GET'}, {'GETRANGE', 0, 1}, {'PEXPIRE', 1}, {'SETRANGE', 0, ''}, {'SET', '', 'XX', 'PX', 1}
}) do
  redis.call(command[1], KEYS[1], unpack(command, 2))
end
return redis.call('TIME')";

/// Whether the scripts may be run: an ACL can forbid that, or what they do.
pub(crate) async fn scripts(link: &Link, key: &str) -> Result<(), Fault> {
    match link.ask(["EVAL".into(), PROBE.into(), Part::Number(1), key.to_owned().into()]).await {
        // What cannot be written now may be later.
        Ok(_) | Err(Fault::Moved { .. } | Fault::Ask { .. } | Fault::Full(_) | Fault::NoWrites(_)) => Ok(()),
        Err(fault) => Err(fault),
    }
}

/// Whether replicas may be waited for: an ACL can forbid that, too, and would do so after a write.
pub(crate) async fn waiting(link: &Link) -> Result<(), Fault> {
    link.ask(["WAIT".into(), Part::Number(0), Part::Number(1)]).await.map(drop)
}

/// A server's `INFO`.
struct Said(HashMap<String, String>);

impl Said {
    fn of(info: &Reply) -> Self {
        let pairs = info.text().unwrap_or_default().lines().filter_map(|line| line.split_once(':'));
        Self(pairs.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect())
    }

    /// Empty when it was not said.
    fn text(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }
}

fn parsed_version(version: &str) -> Option<(u64, u64)> {
    let mut parts = version.split('.').map(str::parse);
    match (parts.next(), parts.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => Some((major, minor)),
        _ => None,
    }
}

/// The answer to `TIME`, in microseconds since 1970.
pub(crate) fn time(answer: &Reply) -> Option<u64> {
    let [seconds, micros] = answer.array()? else { return None };
    let number = |part: &Reply| part.text()?.parse::<u64>().ok();
    number(seconds)?.checked_mul(1_000_000)?.checked_add(number(micros)?)
}
