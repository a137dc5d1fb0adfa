//! A cluster as one of its nodes sees it: which master has which slots, and which replicas follow it.

use crate::config::address::Address;
use crate::connection::link::Link;
use crate::protocol::errors::attempt_error::AttemptError;
use crate::protocol::errors::cause::Cause;
use crate::protocol::reply::Reply;
use crate::topology::cluster::slots::SLOTS;

/// A cluster as one of its nodes sees it.
#[derive(Debug, Clone)]
pub(crate) struct View {
    /// Rises with every failover and migration that the node knows of.
    pub(crate) epoch: u64,
    /// Whether the node considers the cluster available (`cluster_state`).
    pub(crate) is_ok: bool,
    pub(crate) ranges: Vec<Range>,
}

/// Consecutive slots with the same master.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) first: u16,
    pub(crate) last: u16,
    pub(crate) master: Member,
    /// The ids of the master's replicas that the cluster does not consider failed.
    pub(crate) replicas: Vec<String>,
}

/// A server of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) address: Address,
    /// Stays the same while the server belongs to the cluster, whatever its address.
    pub(crate) id: String,
}

impl View {
    /// The cluster as the server of `link` sees it.
    pub(crate) async fn ask(link: &Link) -> Result<Self, AttemptError> {
        let info = link.ask(["CLUSTER".into(), "INFO".into()]).await?;
        let slots = link.ask(["CLUSTER".into(), "SLOTS".into()]).await?;
        Self::read(&info, &slots, link.address()).ok_or_else(|| {
            AttemptError::Later(Cause::new(format!("{} does not tell the cluster's slots", link.address())))
        })
    }

    /// The view in the answers of `server` to `CLUSTER INFO` and `CLUSTER SLOTS`; `None` when they make no sense.
    pub(crate) fn read(info: &Reply, slots: &Reply, server: &Address) -> Option<Self> {
        let ranges =
            slots.array()?.iter().map(|range| read_range(range, server)).collect::<Option<Vec<_>>>()?;
        Some(Self {
            epoch: info.field("cluster_current_epoch")?.parse().ok()?,
            is_ok: info.field("cluster_state")? == "ok",
            ranges,
        })
    }

    /// How many slots have no master.
    pub(crate) fn uncovered(&self) -> usize {
        let covered: usize = self.ranges.iter().map(|range| usize::from(range.last - range.first) + 1).sum();
        usize::from(SLOTS).saturating_sub(covered)
    }

    /// The ranges of slots of which `server` is the master: the first and the last slot of each.
    pub(crate) fn slots_of(&self, server: &Address) -> Vec<(u16, u16)> {
        let own = self.ranges.iter().filter(|range| range.master.address == *server);
        own.map(|range| (range.first, range.last)).collect()
    }
}

/// `[first, last, master, replica...]`, each server `[host, port, id, ...]`.
fn read_range(range: &Reply, server: &Address) -> Option<Range> {
    let (place, servers) = range.array()?.split_at_checked(2)?;
    let slot = |at: usize| place.get(at)?.integer().and_then(|slot| u16::try_from(slot).ok());
    let (first, last) = (slot(0)?, slot(1)?);
    let (master, replicas) = servers.split_first()?;
    let master = Member { address: read_address(master, server)?, id: read_id(master)? };
    let replicas = replicas.iter().map(read_id).collect::<Option<_>>()?;
    (first <= last && last < SLOTS).then_some(Range { first, last, master, replicas })
}

/// The address of a server. Where the answer does not tell its host, the server is on the host that was asked.
fn read_address(server: &Reply, asked: &Address) -> Option<Address> {
    let parts = server.array()?;
    let port = u16::try_from(parts.get(1)?.integer()?).ok()?;
    let host = match parts.first().and_then(Reply::text) {
        // The cluster announces host names, and this server has none set.
        Some("?") => metadata(parts.get(3)?, "ip"),
        host => host,
    };
    let host = host.filter(|host| !host.is_empty());
    match (host, asked) {
        (Some(host), _) => Some(Address::Tcp { host: host.to_owned(), port }),
        (None, Address::Tcp { host, .. }) => Some(Address::Tcp { host: host.clone(), port }),
        (None, Address::Unix(_)) => None,
    }
}

/// A field of a server's metadata.
fn metadata<'a>(fields: &'a Reply, name: &str) -> Option<&'a str> {
    let mut pairs = fields.array()?.chunks_exact(2);
    pairs.find_map(|pair| (pair[0].text() == Some(name)).then(|| pair[1].text())?)
}

fn read_id(server: &Reply) -> Option<String> {
    server.array()?.get(2)?.text().filter(|id| !id.is_empty()).map(str::to_owned)
}
