//! The servers: which one has which slot, found out at the start and kept up to date.

pub(crate) mod check;
mod discover;
mod marker;
mod node;
mod open;
mod required;
mod shards;
mod slots;
pub(crate) mod time;
mod watch;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::connection::dial::Dial;
use crate::connection::replicas::Acknowledgers;
use crate::protocol::fault::{Cause, Fault};
use crate::{Address, Deployment, RedisConfig};
use check::Demands;
use marker::Markers;
use node::{Common, Node};
use shards::Shards;
use slots::SlotTable;
pub(crate) use slots::View;
use time::ServerTime;
use watch::Watch;

pub(crate) struct Topology {
    deployment: Deployment,
    seeds: Vec<Address>,
    /// For sentinels, which have users of their own.
    sentinel_dial: Arc<Dial>,
    common: Arc<Common>,
    check_interval: Duration,
    table: RwLock<Arc<SlotTable<Node>>>,
    /// Every server that is known, by its address.
    nodes: Mutex<HashMap<Address, Arc<Node>>>,
    /// Whether every master keeps what it acknowledges when it is started again, by the last check.
    is_durable: AtomicBool,
    /// The latest failover that a sentinel told of.
    sentinel_epoch: AtomicU64,
    trouble: Notify,
    watch: Watch,
}

impl Topology {
    /// Finds the servers, checks them, and begins to watch them.
    pub(crate) async fn open(
        config: &RedisConfig,
        dial: Dial,
        time: Arc<ServerTime>,
    ) -> Result<Arc<Self>, Fault> {
        let topology = Arc::new(Self {
            deployment: config.deployment.clone(),
            seeds: config.servers.clone(),
            sentinel_dial: Arc::new(dial.of_sentinels(config)),
            common: Arc::new(Common {
                dial: Arc::new(dial),
                demands: Demands {
                    allow_eviction: config.allow_eviction,
                    cluster: config.deployment == Deployment::Cluster,
                },
                time,
                connections: config.connections,
                shards: Mutex::default(),
                markers: Markers::new(&config.prefix),
                required: OnceLock::new(),
            }),
            check_interval: config.check_interval,
            table: RwLock::new(Arc::new(SlotTable::empty())),
            nodes: Mutex::default(),
            is_durable: AtomicBool::new(false),
            sentinel_epoch: AtomicU64::new(0),
            trouble: Notify::new(),
            watch: Watch::new(config.check_interval),
        });
        let required = topology.begin(config).await?;
        // Set here and nowhere else.
        let _ = topology.common.required.set(required);
        let nodes = topology.table().nodes.clone();
        let replicated = nodes.into_iter().map(|node| async move { node.replicate_marker().await });
        replicated.collect::<JoinSet<()>>().join_all().await;
        topology.tell_promises();
        topology.watched();
        Ok(topology)
    }

    /// The slot of a Redis key; without a cluster all keys are alike.
    pub(crate) fn slot_of(&self, redis_key: &[u8]) -> u16 {
        if self.is_cluster() { slots::slot_of(redis_key) } else { 0 }
    }

    pub(crate) fn is_cluster(&self) -> bool {
        self.common.demands.cluster
    }

    /// The server that has `slot`, as far as is known.
    pub(crate) fn node(&self, slot: u16) -> Result<Arc<Node>, Fault> {
        self.table()
            .node(slot)
            .cloned()
            .ok_or_else(|| Fault::Later(Cause::new(format!("no server has slot {slot}"))))
    }

    /// The server at `address`.
    pub(crate) fn at(&self, address: &Address) -> Arc<Node> {
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Node::new(address.clone(), Arc::clone(&self.common));
        Arc::clone(nodes.entry(address.clone()).or_insert_with(new))
    }

    /// What must hold a write to `slot` at `node`; `asking`: which is only getting the slot, and has replicas of its own.
    pub(crate) fn acknowledgers(&self, slot: u16, node: &Arc<Node>, asking: bool) -> Acknowledgers {
        let Some(required) = self.common.required.get() else { return Acknowledgers::default() };
        let is_newcomer = node.is_newcomer();
        let slot = if asking { self.table().slot_of(node).filter(|_| !is_newcomer) } else { Some(slot) };
        // A master that is in no view of the cluster says itself what it has.
        let online = if is_newcomer || slot.is_none() { node.facts() } else { None };
        required.of(slot, online.map_or(0, |facts| facts.replicas))
    }

    /// A server said that `slot` is at `to`, or elsewhere.
    pub(crate) fn moved(&self, slot: u16, to: Option<&Address>) {
        if let Some(to) = to {
            let node = self.at(to);
            let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
            if let Some(like) = table.slot_of(&node) {
                if let Some(required) = self.common.required.get() {
                    required.moved(slot, like);
                }
            } else {
                node.close();
                node.set_newcomer(true);
            }
            Arc::make_mut(&mut *table).assign(slot, slot, &node);
        }
        self.trouble();
    }

    /// Something is wrong: have a look soon.
    pub(crate) fn trouble(&self) {
        self.trouble.notify_one();
    }

    /// Closes all connections.
    pub(crate) fn close(&self) {
        for node in self.nodes.lock().unwrap_or_else(PoisonError::into_inner).values() {
            node.close();
        }
    }

    fn table(&self) -> Arc<SlotTable<Node>> {
        Arc::clone(&self.table.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The cluster as seen by the server that has heard most; `is_known`: whether it was seen before.
    async fn look(&self, is_known: bool) -> Result<View, Fault> {
        let known = self.table().nodes.iter().map(|node| node.address().clone()).collect::<Vec<_>>();
        let unknown = self.seeds.iter().filter(|seed| !known.contains(seed));
        let asked = known.iter().chain(unknown).map(|address| self.at(address)).collect();
        discover::ask_cluster(asked, is_known).await
    }

    fn adopt_lone(&self, master: &Address) {
        if self.table().node(0).is_some_and(|node| node.address() == master) {
            return;
        }
        tracing::debug!(%master, "this is to be the master");
        self.replace(SlotTable::lone(self.at(master)));
    }

    /// A slot that nobody has is left where it was: a node that has heard little knows less than is known here.
    fn adopt(&self, view: &View) {
        let mut shards = self.shards();
        if !shards.learn(view) {
            tracing::debug!(
                epoch = view.epoch,
                "those who have heard more do not answer: nothing is changed"
            );
            return;
        }
        if let Some(required) = self.common.required.get() {
            required.saw_cluster(view, &shards);
        }
        drop(shards);
        let mut table = SlotTable::empty();
        for range in &view.ranges {
            table.assign(range.first, range.last, &self.at(&range.master.address));
        }
        if view.uncovered() > 0 {
            table.fill_holes(&self.table());
        }
        self.replace(table);
    }

    fn shards(&self) -> MutexGuard<'_, Shards> {
        self.common.shards.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Servers that have no slot any more are forgotten; what is in flight on them goes on.
    fn replace(&self, table: SlotTable<Node>) {
        let before = self.table();
        // What has become master may not have all that it is believed to have. It is connected to again, and looked at.
        let is_new = |node: &&Arc<Node>| {
            if before.nodes.is_empty() { !node.has_marker() } else { before.slot_of(node).is_none() }
        };
        table.nodes.iter().filter(is_new).for_each(|node| node.close());
        table.nodes.iter().for_each(|node| node.set_newcomer(false));
        let table = Arc::new(table);
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        nodes.retain(|address, node| {
            self.seeds.contains(address) || table.nodes.iter().any(|known| Arc::ptr_eq(known, node))
        });
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = table;
    }

    /// What holds now of what a store promises beyond the contract.
    fn tell_promises(&self) {
        let table = self.table();
        let mut masters = table.nodes.iter();
        let is_durable = masters.all(|node| node.facts().is_some_and(|facts| facts.keeps.is_durable()));
        self.is_durable.store(is_durable, Ordering::Release);
    }

    /// Whether every master keeps what it acknowledges when it is started again.
    pub(crate) fn is_durable(&self) -> bool {
        self.is_durable.load(Ordering::Acquire)
    }

    /// Whether a replica has what was acknowledged.
    pub(crate) fn is_replicated(&self) -> bool {
        self.common.required.get().is_some_and(required::Required::is_replicated)
    }
}

fn nobody() -> Fault {
    Fault::Later(Cause::new("no server is known"))
}
