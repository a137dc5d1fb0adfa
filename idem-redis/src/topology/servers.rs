//! The servers of a store: which of them has which slot, as far as is known.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::Notify;

use crate::config::address::Address;
use crate::config::deployment::Deployment;
use crate::connection::acknowledgers::Acknowledgers;
use crate::connection::connector::Connector;
use crate::protocol::errors::attempt_error::AttemptError;
use crate::protocol::errors::cause::Cause;
use crate::topology::active_watcher::ActiveWatcher;
use crate::topology::cluster::shards::Shards;
use crate::topology::cluster::slots::{self, SlotTable};
use crate::topology::cluster::view::View;
use crate::topology::discover;
use crate::topology::node::common::Common;
use crate::topology::node::connections::Node;
use crate::topology::node::required_acks::RequiredAcks;

pub(crate) struct Topology {
    pub(super) deployment: Deployment,
    pub(super) seeds: Vec<Address>,
    /// The connector to sentinels, which have their own users.
    pub(super) sentinel_connector: Arc<Connector>,
    pub(super) common: Arc<Common>,
    pub(super) check_interval: Duration,
    pub(super) table: RwLock<Arc<SlotTable<Node>>>,
    /// All known servers, by address.
    pub(super) nodes: Mutex<HashMap<Address, Arc<Node>>>,
    /// Whether every master keeps what it acknowledged across a restart, as of the last check.
    pub(super) is_durable: AtomicBool,
    /// The epoch of the last failover that a sentinel reported.
    pub(super) sentinel_epoch: AtomicU64,
    /// Notified when a call fails or is redirected: which server has which slot must be found out again soon.
    pub(super) refresh_requested: Notify,
    pub(super) active_watcher: ActiveWatcher,
}

impl Topology {
    /// The slot of a Redis key. Without a cluster all keys are in slot 0.
    pub(crate) fn slot_of(&self, redis_key: &[u8]) -> u16 {
        if self.is_cluster() { slots::slot_of(redis_key) } else { 0 }
    }

    pub(crate) fn is_cluster(&self) -> bool {
        self.common.demands.cluster
    }

    /// The server that has `slot`, as far as is known.
    pub(crate) fn node(&self, slot: u16) -> Result<Arc<Node>, AttemptError> {
        self.table()
            .node(slot)
            .cloned()
            .ok_or_else(|| AttemptError::Later(Cause::new(format!("no server has slot {slot}"))))
    }

    /// The lowest slot of the master that follows in the order of those, behind `slot`.
    pub(crate) fn next_master(&self, slot: Option<u16>) -> Option<u16> {
        let table = self.table();
        let lowest = table.nodes.iter().filter_map(|node| table.slot_of(node));
        lowest.filter(|lowest| slot.is_none_or(|slot| *lowest > slot)).min()
    }

    /// A digest of which slots are together on one master, whichever that is: a failover that the
    /// store knows of leaves it as it is.
    pub(crate) fn partition(&self) -> u64 {
        let table = self.table();
        let lowest: Vec<_> = table.nodes.iter().map(|node| table.slot_of(node)).collect();
        let mut hasher = DefaultHasher::new();
        for (first, owner) in table.ranges() {
            (first, owner.and_then(|owner| lowest.get(owner))).hash(&mut hasher);
        }
        hasher.finish()
    }

    /// The server at `address`.
    pub(crate) fn at(&self, address: &Address) -> Arc<Node> {
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Node::new(address.clone(), Arc::clone(&self.common));
        Arc::clone(nodes.entry(address.clone()).or_insert_with(new))
    }

    /// What must hold a write to `slot` at `node`. `asking`: the node is only importing the slot, so its own replicas count
    /// instead of those of the slot's master.
    pub(crate) fn acknowledgers(&self, slot: u16, node: &Arc<Node>, asking: bool) -> Acknowledgers {
        let Some(required_acks) = self.common.required_acks.get() else { return Acknowledgers::default() };
        let is_newcomer = node.is_newcomer();
        let slot = if asking { self.table().slot_of(node).filter(|_| !is_newcomer) } else { Some(slot) };
        // For a master that is in no view of the cluster yet, the number of replicas that it last reported counts.
        let online = if is_newcomer || slot.is_none() { node.server.facts() } else { None };
        required_acks.of(slot, online.map_or(0, |facts| facts.replicas))
    }

    /// Records that, according to a server, `slot` is at `to`. `None`: at an unknown server.
    pub(crate) fn moved(&self, slot: u16, to: Option<&Address>) {
        if let Some(to) = to {
            let node = self.at(to);
            let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
            if let Some(like) = table.slot_of(&node) {
                if let Some(required_acks) = self.common.required_acks.get() {
                    required_acks.moved(slot, like);
                }
            } else {
                node.close();
                node.set_newcomer(true);
            }
            Arc::make_mut(&mut *table).assign(slot, slot, &node);
        }
        self.request_refresh();
    }

    /// Has the watcher find out soon which server has which slot.
    pub(crate) fn request_refresh(&self) {
        self.refresh_requested.notify_one();
    }

    /// Closes all connections.
    pub(crate) fn close(&self) {
        for node in self.nodes.lock().unwrap_or_else(PoisonError::into_inner).values() {
            node.close();
        }
    }

    pub(super) fn table(&self) -> Arc<SlotTable<Node>> {
        Arc::clone(&self.table.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The cluster, as the server with the highest epoch sees it. `is_known`: whether the cluster was seen before.
    pub(super) async fn ask_cluster(&self, is_known: bool) -> Result<View, AttemptError> {
        let known = self.table().nodes.iter().map(|node| node.address().clone()).collect::<Vec<_>>();
        let unknown = self.seeds.iter().filter(|seed| !known.contains(seed));
        let asked = known.iter().chain(unknown).map(|address| self.at(address)).collect();
        discover::ask_cluster(asked, is_known).await
    }

    /// Finds the one master. Returns how many replicas it has or had, as far as is known without asking it.
    pub(super) async fn find_master(&self) -> Result<u64, AttemptError> {
        if let Deployment::Sentinel { master_name } = &self.deployment {
            let epoch = self.sentinel_epoch.load(Ordering::Acquire);
            let named =
                discover::ask_sentinels(&self.sentinel_connector, &self.seeds, master_name, epoch).await?;
            self.sentinel_epoch.store(named.epoch, Ordering::Release);
            self.adopt_master(&named.master);
            return Ok(named.replicas);
        }
        if self.table().nodes.is_empty() {
            self.adopt_master(self.seeds.first().ok_or_else(no_server_known)?);
        }
        Ok(0)
    }

    fn adopt_master(&self, master: &Address) {
        if self.table().node(0).is_some_and(|node| node.address() == master) {
            return;
        }
        tracing::debug!(%master, "this is to be the master");
        self.replace(SlotTable::single(self.at(master)));
    }

    /// Adopts `view`. A slot that has no master in `view` stays where it was, since the node may know less than this store.
    pub(super) fn adopt(&self, view: &View) {
        let mut shards = self.shards();
        if !shards.learn(view) {
            tracing::debug!(
                epoch = view.epoch,
                "those who have heard more do not answer: nothing is changed"
            );
            return;
        }
        if let Some(required_acks) = self.common.required_acks.get() {
            required_acks.update_cluster(view, &shards);
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

    pub(super) fn shards(&self) -> MutexGuard<'_, Shards> {
        self.common.shards.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces the slot table, and drops servers without slots. Calls in flight on those continue.
    fn replace(&self, table: SlotTable<Node>) {
        let before = self.table();
        // A new master may lack data that it is believed to have. Closing its connections makes the store connect again,
        // which checks the data.
        let is_new = |node: &&Arc<Node>| {
            if before.nodes.is_empty() { !node.server.has_marker() } else { before.slot_of(node).is_none() }
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

    /// Finds out anew whether the store is durable, from the last checks of its masters.
    pub(super) fn update_durability(&self) {
        let table = self.table();
        let mut masters = table.nodes.iter();
        let is_durable =
            masters.all(|node| node.server.facts().is_some_and(|facts| facts.keeps.is_durable()));
        self.is_durable.store(is_durable, Ordering::Release);
    }

    /// Whether every master keeps what it acknowledged across a restart.
    pub(crate) fn is_durable(&self) -> bool {
        self.is_durable.load(Ordering::Acquire)
    }

    /// Whether at least one replica holds what was acknowledged.
    pub(crate) fn is_replicated(&self) -> bool {
        self.common.required_acks.get().is_some_and(RequiredAcks::is_replicated)
    }
}

pub(super) fn no_server_known() -> AttemptError {
    AttemptError::Later(Cause::new("no server is known"))
}
