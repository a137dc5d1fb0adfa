//! The background task that watches the servers: which of them has which slot, and whether each still meets the
//! requirements.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};

use crate::protocol::errors::attempt_error::AttemptError;
use crate::topology::node::connections::Node;
use crate::topology::servers::Topology;

/// How often a watcher sends a heartbeat.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);

/// How long to wait for checks. Those that take longer go on in the background.
const CHECK_TIMEOUT: Duration = Duration::from_secs(1);

/// The shortest pause between two refreshes.
const MIN_PAUSE: Duration = Duration::from_millis(50);

impl Topology {
    /// Starts a watcher in the caller's runtime, unless one is active.
    pub(crate) fn ensure_watched(self: &Arc<Self>) {
        if let Some(number) = self.active_watcher.take_over() {
            tokio::spawn(Watcher { topology: Arc::downgrade(self), number }.run());
        }
    }

    /// Finds out which server has which slot.
    async fn refresh(self: &Arc<Self>) -> Result<(), AttemptError> {
        if self.is_cluster() {
            self.adopt(&self.ask_cluster(true).await?);
        } else {
            self.find_master().await?;
        }
        Ok(())
    }

    /// Checks all servers concurrently. A server that hangs delays neither the checks of the others nor their next ones.
    async fn check(&self, checks: &mut Checks) {
        let nodes = self.table().nodes.clone();
        checks.begin(&nodes);
        checks.wait().await;
        if !self.is_cluster()
            && let (Some(required_acks), Some(facts)) =
                (self.common.required_acks.get(), nodes.first().and_then(|node| node.server.facts()))
            && facts.is_master
        {
            required_acks.update_single_master(facts.replicas);
        }
        self.update_durability();
    }
}

/// The checks that a watcher has started.
#[derive(Default)]
struct Checks {
    tasks: JoinSet<()>,
    running: Vec<(Arc<Node>, AbortHandle)>,
}

impl Checks {
    /// Starts a check of each of `nodes` whose last check has ended.
    fn begin(&mut self, nodes: &[Arc<Node>]) {
        self.running.retain(|(_, check)| !check.is_finished());
        for node in nodes {
            if !self.running.iter().any(|(other, _)| Arc::ptr_eq(other, node)) {
                let checked = Arc::clone(node);
                let check = self.tasks.spawn(async move { checked.check().await });
                self.running.push((Arc::clone(node), check));
            }
        }
    }

    /// Waits until all checks have ended, for at most [`CHECK_TIMEOUT`].
    async fn wait(&mut self) {
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        // On a timeout, the late checks go on.
        let _ = timeout(CHECK_TIMEOUT, ended).await;
    }
}

/// The watching task. It resigns when it is dropped, which happens at the latest when its runtime ends.
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
        // Heartbeats must go on while a check is waiting.
        tokio::select! {
            () = self.watch() => {}
            () = self.heartbeat() => {}
        }
    }

    /// Sends heartbeats for as long as this is the active watcher.
    async fn heartbeat(&self) {
        while self.topology_if_active().is_some() {
            sleep(HEARTBEAT_INTERVAL).await;
        }
    }

    /// Checks the servers periodically, and soon after a refresh was requested, until the topology is dropped.
    async fn watch(&self) {
        let mut checks = Checks::default();
        while let Some(topology) = self.topology_if_active() {
            let (active_watcher, check_interval) = (&topology.active_watcher, topology.check_interval);
            let is_by_timer = tokio::select! {
                () = topology.refresh_requested.notified() => false,
                // Wakes up at every heartbeat at the latest, since nothing wakes this task when the topology is dropped.
                () = sleep(MIN_PAUSE.max(active_watcher.until_check().min(HEARTBEAT_INTERVAL))) => true,
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
            sleep(MIN_PAUSE).await;
        }
    }

    /// The topology, unless it was dropped or another watcher took over.
    fn topology_if_active(&self) -> Option<Arc<Topology>> {
        self.topology.upgrade().filter(|topology| topology.active_watcher.is_active(self.number))
    }
}
