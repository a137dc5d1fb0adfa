//! Looking at the servers again: who has which slot, and whether each is still what it must be.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout};

use super::node::Node;
use super::{Topology, discover, nobody};
use crate::Deployment;
use crate::protocol::fault::Fault;

/// How often whoever watches shows that it is alive, and after which silence another takes its place: its runtime rests.
const BEAT: Duration = Duration::from_secs(1);
const SILENCE: Duration = Duration::from_secs(5);

/// After which nobody waits for a server that is being checked.
const LATE: Duration = Duration::from_secs(1);

/// Between two looks at a cluster in trouble.
const PAUSE: Duration = Duration::from_millis(50);

impl Topology {
    /// Sees to it that the servers are looked at, whichever runtime is left to do so.
    pub(crate) fn watched(self: &Arc<Self>) {
        if let Some(number) = self.watch.take_over() {
            tokio::spawn(Watching { topology: Arc::downgrade(self), number }.run());
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

    /// Checks every server, all at once: one that hangs delays none, nor the next check of the others.
    async fn check(&self, checks: &mut Checks) {
        let nodes = self.table().nodes.clone();
        checks.begin(&nodes);
        checks.wait().await;
        if !self.is_cluster()
            && let (Some(required), Some(facts)) =
                (self.common.required.get(), nodes.first().and_then(|node| node.facts()))
            && facts.is_master
        {
            required.saw_lone(facts.replicas);
        }
        self.tell_promises();
    }
}

/// The checks that one watcher has begun.
#[derive(Default)]
struct Checks {
    tasks: JoinSet<()>,
    under_way: Vec<(Arc<Node>, AbortHandle)>,
}

impl Checks {
    /// Checks `nodes`, but for those whose last check goes on.
    fn begin(&mut self, nodes: &[Arc<Node>]) {
        self.under_way.retain(|(_, check)| !check.is_finished());
        for node in nodes {
            if !self.under_way.iter().any(|(other, _)| Arc::ptr_eq(other, node)) {
                let checked = Arc::clone(node);
                let check = self.tasks.spawn(async move { checked.check().await });
                self.under_way.push((Arc::clone(node), check));
            }
        }
    }

    /// Until all have ended, or for a while.
    async fn wait(&mut self) {
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        let _some_are_late = timeout(LATE, ended).await;
    }
}

/// Which task looks at the servers, and whether it still does.
pub(crate) struct Watch {
    begun: Instant,
    /// Of the task; 0 where there is none.
    number: AtomicU64,
    /// Milliseconds after `begun` at which it was seen last.
    seen: AtomicU64,
    last: AtomicU64,
    /// When the servers are to be checked: also where each task lives for less than the time between two checks.
    next_check: AtomicU64,
}

impl Watch {
    pub(crate) fn new(check_interval: Duration) -> Self {
        Self {
            begun: Instant::now(),
            number: AtomicU64::new(0),
            seen: AtomicU64::new(0),
            last: AtomicU64::new(0),
            next_check: AtomicU64::new(millis(check_interval)),
        }
    }

    fn until_check(&self) -> Duration {
        Duration::from_millis(self.next_check.load(Ordering::Relaxed)).saturating_sub(self.begun.elapsed())
    }

    fn checked(&self, check_interval: Duration) {
        self.next_check.store(millis(self.begun.elapsed() + check_interval), Ordering::Relaxed);
    }

    /// The number of a new task, where there is none, or it was not seen for some beats.
    fn take_over(&self) -> Option<u64> {
        let before = self.number.load(Ordering::Acquire);
        let seen = Duration::from_millis(self.seen.load(Ordering::Relaxed));
        if before != 0 && self.begun.elapsed() < seen + SILENCE {
            return None;
        }
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        self.number.compare_exchange(before, number, Ordering::AcqRel, Ordering::Relaxed).ok()?;
        self.is_still(number).then_some(number)
    }

    /// Whether task `number` is to go on; it is seen by that.
    fn is_still(&self, number: u64) -> bool {
        if self.number.load(Ordering::Acquire) != number {
            return false;
        }
        self.seen.store(millis(self.begun.elapsed()), Ordering::Relaxed);
        true
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Says so when it ends, which it does with its runtime.
struct Watching {
    topology: Weak<Topology>,
    number: u64,
}

impl Drop for Watching {
    fn drop(&mut self) {
        if let Some(topology) = self.topology.upgrade() {
            let none = 0;
            let number = &topology.watch.number;
            // Unless another has taken over.
            let _ = number.compare_exchange(self.number, none, Ordering::AcqRel, Ordering::Relaxed);
        }
    }
}

impl Watching {
    async fn run(self) {
        // Whatever is waited for, the other goes on.
        tokio::select! {
            () = self.watch() => {}
            () = self.beat() => {}
        }
    }

    /// Shows that it is alive, for as long as it is to go on.
    async fn beat(&self) {
        while self.still().is_some() {
            sleep(BEAT).await;
        }
    }

    /// Looks at the servers now and then, and soon when there is trouble; until the topology is dropped.
    async fn watch(&self) {
        let mut checks = Checks::default();
        while let Some(topology) = self.still() {
            let (watch, check_interval) = (&topology.watch, topology.check_interval);
            let is_by_timer = tokio::select! {
                () = topology.trouble.notified() => false,
                // Not until then: nobody wakes this task when the topology is dropped.
                () = sleep(PAUSE.max(watch.until_check().min(BEAT))) => true,
            };
            if is_by_timer && !watch.until_check().is_zero() {
                continue;
            }
            if let Err(fault) = topology.refresh().await {
                tracing::warn!(?fault, "the servers cannot be found");
            }
            if watch.until_check().is_zero() {
                topology.check(&mut checks).await;
                watch.checked(check_interval);
            }
            drop(topology);
            sleep(PAUSE).await;
        }
    }

    /// Unless it is dropped, or another task looks at its servers.
    fn still(&self) -> Option<Arc<Topology>> {
        self.topology.upgrade().filter(|topology| topology.watch.is_still(self.number))
    }
}
