//! Looking at the servers again: who has which slot, and whether each is still what it must be.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::{Topology, discover, nobody};
use crate::Deployment;
use crate::protocol::fault::Fault;

/// Between two looks at a cluster in trouble.
const PAUSE: Duration = Duration::from_millis(50);

impl Topology {
    /// Sees to it that the servers are looked at, whichever runtime is left to do so.
    pub(crate) fn watched(self: &Arc<Self>) {
        if !self.is_watched.load(Ordering::Acquire) && !self.is_watched.swap(true, Ordering::AcqRel) {
            tokio::spawn(Watching(Arc::downgrade(self)).run());
        }
    }

    /// Finds out who has which slot.
    async fn refresh(self: &Arc<Self>) -> Result<(), Fault> {
        if self.is_cluster() {
            self.adopt(&self.look(true).await?);
        } else {
            self.find_lone().await?;
        }
        Ok(())
    }

    /// Finds the one master, and tells how many replicas it has or had, as far as is known without asking it.
    pub(super) async fn find_lone(&self) -> Result<u64, Fault> {
        if let Deployment::Sentinel { service } = &self.deployment {
            let epoch = self.sentinel_epoch.load(Ordering::Acquire);
            let named = discover::ask_sentinels(&self.sentinel_dial, &self.seeds, service, epoch).await?;
            self.sentinel_epoch.store(named.epoch, Ordering::Release);
            self.adopt_lone(&named.master);
            return Ok(named.replicas);
        }
        if self.table().nodes.is_empty() {
            self.adopt_lone(self.seeds.first().ok_or_else(nobody)?);
        }
        Ok(0)
    }

    /// Checks every server, all at once: one that hangs delays none.
    async fn check(&self) {
        let nodes = self.table().nodes.clone();
        let checks: JoinSet<()> =
            nodes.iter().cloned().map(|node| async move { node.check().await }).collect();
        checks.join_all().await;
        if !self.is_cluster()
            && let (Some(required), Some(facts)) =
                (self.common.required.get(), nodes.first().and_then(|node| node.facts()))
        {
            required.saw_lone(facts.replicas);
        }
        self.tell_promises();
    }
}

/// Says so when it ends, which it does with its runtime.
struct Watching(Weak<Topology>);

impl Watching {
    async fn run(self) {
        watch(&self.0).await;
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        if let Some(topology) = self.0.upgrade() {
            topology.is_watched.store(false, Ordering::Release);
        }
    }
}

/// Looks at the servers now and then, and soon when there is trouble; until the topology is dropped.
async fn watch(topology: &Weak<Topology>) {
    let Some(mut next_check) = topology.upgrade().map(|topology| Instant::now() + topology.check_interval)
    else {
        return;
    };
    loop {
        let Some(strong) = topology.upgrade() else { return };
        let is_by_timer = tokio::select! {
            () = strong.trouble.notified() => false,
            // Not until then: nobody wakes this task when the topology is dropped.
            () = sleep(PAUSE.max(strong.check_interval.min(Duration::from_secs(1)))) => true,
        };
        if is_by_timer && Instant::now() < next_check {
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
