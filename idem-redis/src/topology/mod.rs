//! The servers: which one has which slot, found out at the start and kept up to date.

pub(crate) mod check;
mod discover;
mod node;
mod required;
mod slots;
pub(crate) mod time;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, Weak};
use std::time::Duration;

use idem_core::ErrorKind;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep};

use crate::connection::dial::Dial;
use crate::protocol::fault::{Cause, Fault};
use crate::{Address, Deployment, RedisConfig};
use check::Demands;
use node::Node;
use required::Required;
use slots::SlotTable;
pub(crate) use slots::View;
use time::ServerTime;

/// Between two looks at a cluster in trouble.
const PAUSE: Duration = Duration::from_millis(50);

pub(crate) struct Topology {
    deployment: Deployment,
    seeds: Vec<Address>,
    dial: Arc<Dial>,
    /// For sentinels, which have users of their own.
    sentinel_dial: Arc<Dial>,
    demands: Demands,
    time: Arc<ServerTime>,
    connections: usize,
    check_interval: Duration,
    table: RwLock<Arc<SlotTable<Node>>>,
    /// Every server that is known, by its address.
    nodes: Mutex<HashMap<Address, Arc<Node>>>,
    required: OnceLock<Required>,
    trouble: Notify,
    /// The task that looks at the servers.
    watcher: Mutex<Option<AbortHandle>>,
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
            dial: Arc::new(dial),
            demands: Demands {
                allow_eviction: config.allow_eviction,
                cluster: config.deployment == Deployment::Cluster,
            },
            time,
            connections: config.connections,
            check_interval: config.check_interval,
            table: RwLock::new(Arc::new(SlotTable::empty())),
            nodes: Mutex::default(),
            required: OnceLock::new(),
            trouble: Notify::new(),
            watcher: Mutex::default(),
        });
        let required = topology.begin(config).await?;
        // Set here and nowhere else.
        let _ = topology.required.set(required);
        topology.watched();
        Ok(topology)
    }

    /// Sees to it that the servers are looked at, whichever runtime is left to do so.
    pub(crate) fn watched(self: &Arc<Self>) {
        let mut watcher = self.watcher.lock().unwrap_or_else(PoisonError::into_inner);
        if watcher.as_ref().is_none_or(AbortHandle::is_finished) {
            *watcher = Some(tokio::spawn(watch(Arc::downgrade(self))).abort_handle());
        }
    }

    async fn begin(self: &Arc<Self>, config: &RedisConfig) -> Result<Required, Fault> {
        let probe = format!("{}check", config.prefix);
        if config.deployment == Deployment::Cluster {
            let view = self.look().await?;
            discover::refuse_unless_whole(&view)?;
            let required = Required::of_cluster(config.acks, &view)?;
            self.adopt(&view);
            for node in &self.table().nodes {
                let link = node.link().await?;
                check::scripts(&link, &probe).await?;
                if required.is_any() {
                    check::waiting(&link).await?;
                }
            }
            return Ok(required);
        }
        self.refresh().await?;
        let table = self.table();
        let Some(node) = table.nodes.first() else { return Err(nobody()) };
        let (link, facts) = node.checked_link().await?;
        if !facts.is_master {
            let message = format!("{} is a replica: name its master, or its sentinels", node.address());
            return Err(Fault::refused(ErrorKind::InvalidConfig, message));
        }
        check::scripts(&link, &probe).await?;
        let required = Required::of_lone(config.acks, facts.replicas);
        if required.is_any() {
            check::waiting(&link).await?;
        }
        Ok(required)
    }

    /// The slot of a Redis key; without a cluster all keys are alike.
    pub(crate) fn slot_of(&self, redis_key: &[u8]) -> u16 {
        if self.demands.cluster { slots::slot_of(redis_key) } else { 0 }
    }

    pub(crate) fn is_cluster(&self) -> bool {
        self.demands.cluster
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
        let new = || {
            let (dial, time) = (Arc::clone(&self.dial), Arc::clone(&self.time));
            Node::new(address.clone(), dial, self.demands, time, self.connections)
        };
        Arc::clone(nodes.entry(address.clone()).or_insert_with(new))
    }

    /// How many replicas must hold a write to `slot`.
    pub(crate) fn required(&self, slot: u16) -> u8 {
        self.required.get().map_or(0, |required| required.of(slot))
    }

    /// A server said that `slot` is at `to`, or elsewhere.
    pub(crate) fn moved(&self, slot: u16, to: Option<&Address>) {
        if let Some(to) = to {
            let node = self.at(to);
            let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
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

    /// Finds out who has which slot.
    async fn refresh(self: &Arc<Self>) -> Result<(), Fault> {
        match &self.deployment {
            Deployment::Lone => {
                if self.table().nodes.is_empty() {
                    let address = self.seeds.first().ok_or_else(nobody)?;
                    self.adopt_lone(address);
                }
            }
            Deployment::Sentinel { service } => {
                let master = discover::ask_sentinels(&self.sentinel_dial, &self.seeds, service).await?;
                self.adopt_lone(&master);
            }
            Deployment::Cluster => self.adopt(&self.look().await?),
        }
        Ok(())
    }

    /// The cluster as those see it who know most.
    async fn look(self: &Arc<Self>) -> Result<View, Fault> {
        let known = self.table().nodes.iter().map(|node| node.address().clone()).collect::<Vec<_>>();
        let unknown = self.seeds.iter().filter(|seed| !known.contains(seed));
        let asked = known.iter().chain(unknown).map(|address| self.at(address)).collect();
        discover::ask_cluster(asked).await
    }

    fn adopt_lone(&self, master: &Address) {
        if self.table().node(0).is_some_and(|node| node.address() == master) {
            return;
        }
        tracing::info!(%master, "this is the master");
        self.replace(SlotTable::lone(self.at(master)));
    }

    fn adopt(&self, view: &View) {
        let mut table = SlotTable::empty();
        for range in &view.ranges {
            table.assign(range.first, range.last, &self.at(&range.master));
        }
        self.replace(table);
    }

    /// Servers that have no slot any more are forgotten; what is in flight on them goes on.
    fn replace(&self, table: SlotTable<Node>) {
        let table = Arc::new(table);
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        nodes.retain(|address, node| {
            self.seeds.contains(address) || table.nodes.iter().any(|known| Arc::ptr_eq(known, node))
        });
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = table;
    }

    async fn check(&self) {
        for node in &self.table().nodes {
            node.check().await;
        }
    }
}

fn nobody() -> Fault {
    Fault::Later(Cause::new("no server is known"))
}

/// Looks at the servers now and then, and soon when there is trouble; until the topology is dropped.
async fn watch(topology: Weak<Topology>) {
    let Some(mut next_check) = topology.upgrade().map(|topology| Instant::now() + topology.check_interval)
    else {
        return;
    };
    loop {
        let Some(strong) = topology.upgrade() else { return };
        let looked = tokio::select! {
            () = strong.trouble.notified() => false,
            // Not until then: nobody wakes this task when the topology is dropped.
            () = sleep(PAUSE.max(strong.check_interval.min(Duration::from_secs(1)))) => true,
        };
        if looked && Instant::now() < next_check {
            continue;
        }
        if let Err(fault) = strong.refresh().await {
            tracing::warn!(?fault, "the servers cannot be found");
        }
        if Instant::now() >= next_check {
            strong.check().await;
            next_check = Instant::now() + strong.check_interval;
        }
        drop(strong);
        sleep(PAUSE).await;
    }
}
