//! Looking at the servers again: who has which slot, and whether each is still what it must be.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::{Topology, discover, nobody};
use crate::Deployment;
use crate::protocol::fault::Fault;

/// Between two looks at a cluster in trouble.
const PAUSE: Duration = Duration::from_millis(50);

/// How often whoever watches shows that it is alive, and after which silence another takes its place: its runtime rests.
const BEAT: Duration = Duration::from_secs(1);
const SILENCE: Duration = Duration::from_secs(5);

/// Who looks at the servers, and when next: in milliseconds since this was made.
pub(super) struct Watch {
    began: Instant,
    /// Until when somebody does, unless it says so again. Another number for everybody.
    until: AtomicU64,
    next_check: AtomicU64,
}

impl Watch {
    pub(super) fn new(check_interval: Duration) -> Self {
        let watch = Self { began: Instant::now(), until: AtomicU64::new(0), next_check: AtomicU64::new(0) };
        watch.checked(check_interval);
        watch
    }

    fn after(&self, pause: Duration) -> u64 {
        u64::try_from((self.began.elapsed() + pause).as_millis()).unwrap_or(u64::MAX)
    }

    /// The number of whoever is to watch from now on, if nobody does.
    fn take(&self) -> Option<u64> {
        let until = self.until.load(Ordering::Acquire);
        if self.after(Duration::ZERO) < until { None } else { self.hand_over(until) }
    }

    /// The next number of whoever had that one; none where somebody else has taken its place.
    fn hand_over(&self, mine: u64) -> Option<u64> {
        let next = self.after(SILENCE).max(mine + 1);
        self.until.compare_exchange(mine, next, Ordering::AcqRel, Ordering::Acquire).is_ok().then_some(next)
    }

    fn is_due(&self) -> bool {
        self.after(Duration::ZERO) >= self.next_check.load(Ordering::Acquire)
    }

    fn checked(&self, next: Duration) {
        self.next_check.store(self.after(next), Ordering::Release);
    }
}

impl Topology {
    /// Sees to it that the servers are looked at, whichever runtime is left to do so.
    pub(crate) fn watched(self: &Arc<Self>) {
        if let Some(mine) = self.watching.take() {
            tokio::spawn(Watching { topology: Arc::downgrade(self), mine }.run());
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
struct Watching {
    topology: Weak<Topology>,
    mine: u64,
}

impl Watching {
    async fn run(mut self) {
        let topology = Weak::clone(&self.topology);
        tokio::select! {
            () = watch(&topology) => {}
            () = self.lives() => {}
        }
    }

    /// Until another has taken its place.
    async fn lives(&mut self) {
        loop {
            sleep(BEAT).await;
            let Some(topology) = self.topology.upgrade() else { return };
            let Some(next) = topology.watching.hand_over(self.mine) else { return };
            self.mine = next;
        }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        if let Some(topology) = self.topology.upgrade() {
            let until = &topology.watching.until;
            let _ = until.compare_exchange(self.mine, 0, Ordering::AcqRel, Ordering::Acquire);
        }
    }
}

/// Looks at the servers now and then, and soon when there is trouble; until the topology is dropped.
async fn watch(topology: &Weak<Topology>) {
    loop {
        let Some(strong) = topology.upgrade() else { return };
        let looked = tokio::select! {
            () = strong.trouble.notified() => false,
            // Not until then: nobody wakes this task when the topology is dropped.
            () = sleep(PAUSE.max(strong.check_interval.min(Duration::from_secs(1)))) => true,
        };
        let is_due = strong.watching.is_due();
        if looked && !is_due {
            continue;
        }
        if let Err(fault) = strong.refresh().await {
            tracing::warn!(?fault, "the servers cannot be found");
        }
        if is_due {
            strong.check().await;
            strong.watching.checked(strong.check_interval);
        }
        drop(strong);
        sleep(PAUSE).await;
    }
}
