//! Which server has which slot of a cluster.

use std::sync::Arc;

use crc::{CRC_16_XMODEM, Crc};

use crate::Address;
use crate::protocol::reply::Reply;

/// How many slots a cluster has.
pub(crate) const SLOTS: u16 = 16_384;

/// The slot of a Redis key, which has no `{`: all of it counts.
pub(crate) fn slot_of(key: &[u8]) -> u16 {
    const SUM: Crc<u16> = Crc::<u16>::new(&CRC_16_XMODEM);
    SUM.checksum(key) % SLOTS
}

/// A cluster as one of its nodes sees it.
#[derive(Debug, Clone)]
pub(crate) struct View {
    /// Rises with every failover and migration that the node has heard of.
    pub(crate) epoch: u64,
    /// Whether the node sees the cluster as sound.
    pub(crate) is_ok: bool,
    pub(crate) ranges: Vec<Range>,
}

/// Slots that follow one another and have one master.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) first: u16,
    pub(crate) last: u16,
    pub(crate) master: Address,
    pub(crate) replicas: u8,
}

impl View {
    /// From the answers to `CLUSTER INFO` and `CLUSTER SLOTS` of `server`; none when they make no sense.
    pub(crate) fn read(info: &Reply, slots: &Reply, server: &Address) -> Option<Self> {
        let info = info.text()?;
        let field = |name: &str| {
            info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
        };
        let ranges =
            slots.array()?.iter().map(|range| read_range(range, server)).collect::<Option<Vec<_>>>()?;
        Some(Self {
            epoch: field("cluster_current_epoch")?.parse().ok()?,
            is_ok: field("cluster_state")? == "ok",
            ranges,
        })
    }

    /// How many slots have no master.
    pub(crate) fn uncovered(&self) -> usize {
        let covered: usize = self.ranges.iter().map(|range| usize::from(range.last - range.first) + 1).sum();
        usize::from(SLOTS).saturating_sub(covered)
    }
}

/// `[first, last, master, replica...]`, each server `[host, port, ...]`.
fn read_range(range: &Reply, server: &Address) -> Option<Range> {
    let parts = range.array()?;
    let slot = |at: usize| parts.get(at)?.integer().and_then(|slot| u16::try_from(slot).ok());
    let (first, last) = (slot(0)?, slot(1)?);
    let replicas = u8::try_from(parts.len().saturating_sub(3)).unwrap_or(u8::MAX);
    let master = read_server(parts.get(2)?, server)?;
    (first <= last && last < SLOTS).then_some(Range { first, last, master, replicas })
}

/// A server that does not know its own host, or must not tell, is where it was asked.
fn read_server(reply: &Reply, asked: &Address) -> Option<Address> {
    let parts = reply.array()?;
    let port = u16::try_from(parts.get(1)?.integer()?).ok()?;
    let host = parts.first().and_then(Reply::text).filter(|host| !host.is_empty() && *host != "?");
    match (host, asked) {
        (Some(host), _) => Some(Address::Tcp { host: host.to_owned(), port }),
        (None, Address::Tcp { host, .. }) => Some(Address::Tcp { host: host.clone(), port }),
        (None, Address::Unix(_)) => None,
    }
}

/// The master of every slot, by its place among `nodes`.
pub(crate) struct SlotTable<N> {
    pub(crate) nodes: Vec<Arc<N>>,
    /// One place for every slot; none where nobody has it.
    places: Box<[Option<u16>]>,
}

impl<N> Clone for SlotTable<N> {
    fn clone(&self) -> Self {
        Self { nodes: self.nodes.clone(), places: self.places.clone() }
    }
}

impl<N> SlotTable<N> {
    pub(crate) fn empty() -> Self {
        Self { nodes: Vec::new(), places: vec![None; usize::from(SLOTS)].into() }
    }

    /// One server that has all slots.
    pub(crate) fn lone(node: Arc<N>) -> Self {
        Self { nodes: vec![node], places: vec![Some(0); usize::from(SLOTS)].into() }
    }

    pub(crate) fn node(&self, slot: u16) -> Option<&Arc<N>> {
        self.nodes.get(usize::from((*self.places.get(usize::from(slot))?)?))
    }

    pub(crate) fn assign(&mut self, first: u16, last: u16, node: &Arc<N>) {
        let known = self.nodes.iter().position(|known| Arc::ptr_eq(known, node));
        let place = known.unwrap_or_else(|| {
            self.nodes.push(Arc::clone(node));
            self.nodes.len() - 1
        });
        let place = u16::try_from(place).ok();
        if let Some(places) = self.places.get_mut(usize::from(first)..=usize::from(last)) {
            places.fill(place);
        }
    }
}
