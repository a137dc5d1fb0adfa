//! Looking at the servers again: who has which slot, and whether each is still what it must be.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};

use crate::protocol::errors::attempt_error::AttemptError;
use crate::topology::node::connections::Node;
use crate::topology::servers::Topology;

/// How often a watcher shows that it is alive.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);

/// After which nobody waits for a server that is being checked.
const CHECK_TIMEOUT: Duration = Duration::from_secs(1);

/// Between two looks at a cluster in trouble.
const PAUSE: Duration = Duration::from_millis(50);

impl Topology {
    /// Sees to it that the servers are looked at, whichever runtime is left to do so.
    pub(crate) fn ensure_watched(self: &Arc<Self>) {
        if let Some(number) = self.active_watcher.take_over() {
            tokio::spawn(Watcher { topology: Arc::downgrade(self), number }.run());
        }
    }

    /// Finds out who has which slot.
    async fn refresh(self: &Arc<Self>) -> Result<(), AttemptError> {
        if self.is_cluster() {
            self.adopt(&self.look(true).await?);
        } else {
            self.find_lone().await?;
        }
        Ok(())
    }

    /// Checks every server, all at once: one that hangs delays none, nor the next check of the others.
    async fn check(&self, checks: &mut Checks) {
        let nodes = self.table().nodes.clone();
        checks.begin(&nodes);
        checks.wait().await;
        if !self.is_cluster()
            && let (Some(required_acks), Some(facts)) =
                (self.common.required_acks.get(), nodes.first().and_then(|node| node.server.facts()))
            && facts.is_master
        {
            required_acks.saw_lone(facts.replicas);
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
        let _some_are_late = timeout(CHECK_TIMEOUT, ended).await;
    }
}

/// Says so when it ends, which it does with its runtime.
struct Watcher {
    topology: Weak<Topology>,
    number: u64,
}

impl Drop for Watcher {
    fn drop(&mut self) {
        if let Some(topology) = self.topology.upgrade() {
            topology.active_watcher.resign(self.number);
        }
    }
}

impl Watcher {
    async fn run(self) {
        // Whatever is waited for, the other goes on.
        tokio::select! {
            () = self.watch() => {}
            () = self.heartbeat() => {}
        }
    }

    /// Shows that it is alive, for as long as it is to go on.
    async fn heartbeat(&self) {
        while self.still().is_some() {
            sleep(HEARTBEAT_INTERVAL).await;
        }
    }

    /// Looks at the servers now and then, and soon when there is trouble; until the topology is dropped.
    async fn watch(&self) {
        let mut checks = Checks::default();
        while let Some(topology) = self.still() {
            let (active_watcher, check_interval) = (&topology.active_watcher, topology.check_interval);
            let is_by_timer = tokio::select! {
                () = topology.refresh_requested.notified() => false,
                // Not until then: nobody wakes this task when the topology is dropped.
                () = sleep(PAUSE.max(active_watcher.until_check().min(HEARTBEAT_INTERVAL))) => true,
            };
            if is_by_timer && !active_watcher.until_check().is_zero() {
                continue;
            }
            if let Err(error) = topology.refresh().await {
                tracing::warn!(fault = ?error, "the servers cannot be found");
            }
            if active_watcher.until_check().is_zero() {
                topology.check(&mut checks).await;
                active_watcher.checked(check_interval);
            }
            drop(topology);
            sleep(PAUSE).await;
        }
    }

    /// Unless it is dropped, or another task looks at its servers.
    fn still(&self) -> Option<Arc<Topology>> {
        self.topology.upgrade().filter(|topology| topology.active_watcher.is_still(self.number))
    }
}
