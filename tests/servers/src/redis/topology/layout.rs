//! Reads and changes which node of a cluster serves which slots.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::replication::{ask, in_sync};
use super::slots::SLOTS;
use super::view::{Member, View};
use crate::process::poll;
use crate::redis::node::Node;
use crate::redis::wire::Reply;

/// Longer than an election, before which the failure must be noticed and agreed on.
const LONGEST_CHANGE: Duration = Duration::from_mins(1);

/// A node that takes longer to answer counts as hung.
const VIEW_TIMEOUT: Duration = Duration::from_secs(1);

/// The nodes of a cluster, wherever they run. Each call asks the nodes which of them are masters now.
#[derive(Debug, Clone)]
pub struct Topology {
    nodes: Vec<Node>,
    /// In the order of `nodes`.
    ids: Vec<String>,
    /// Held during `MIGRATE`. A master answers no commands meanwhile, so two masters that migrated keys to each
    /// other would deadlock until both time out.
    pub(in crate::redis) migrate_lock: Arc<Mutex<()>>,
}

impl Topology {
    /// The topology of a running cluster, from all of its nodes.
    ///
    /// # Panics
    /// When a node does not answer.
    pub async fn of(nodes: Vec<Node>) -> Self {
        let mut ids = Vec::new();
        for node in &nodes {
            ids.push(node.run(&["CLUSTER", "MYID"]).await.text());
        }
        Self { nodes, ids, migrate_lock: Arc::default() }
    }

    /// All nodes, in the order in which they were started.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// `redis-cluster://127.0.0.1:7000,127.0.0.1:7001`, with user and password if it has them.
    #[must_use]
    pub fn uri(&self) -> String {
        let addrs: Vec<_> = self.nodes.iter().map(Node::to_string).collect();
        let userinfo = self.nodes.first().map(Node::userinfo).unwrap_or_default();
        format!("redis-cluster://{userinfo}{}", addrs.join(","))
    }

    /// The nodes that serve slots, by what the answering nodes report now; where they differ, the latest election
    /// decides. A dead master is among them until another node takes its place.
    ///
    /// # Panics
    /// When no node answers.
    pub async fn masters(&self) -> Vec<Node> {
        let view = self.latest().await;
        let serves = |id: &String| view.0.get(id).is_some_and(|member| !member.slots.is_empty());
        self.ids.iter().zip(&self.nodes).filter(|(id, _)| serves(id)).map(|(_, node)| node.clone()).collect()
    }

    /// The node that serves `slot`, found as by [`masters`](Topology::masters).
    ///
    /// # Panics
    /// When no node answers, or none serves the slot.
    pub async fn master_of(&self, slot: u16) -> Node {
        let view = self.latest().await;
        let mut found = self.ids.iter().zip(&self.nodes).filter(|(id, _)| view.serves(id, slot));
        found.next().map_or_else(|| panic!("nobody serves slot {slot}"), |(_, node)| node.clone())
    }

    /// The replicas of `master`, found as by [`masters`](Topology::masters).
    ///
    /// # Panics
    /// When no node answers.
    pub async fn replicas_of(&self, master: &Node) -> Vec<Node> {
        let view = self.latest().await;
        self.followers(&view, self.id(master)).into_iter().cloned().collect()
    }

    /// The first of [`replicas_of`](Topology::replicas_of).
    ///
    /// # Panics
    /// When there is none.
    pub async fn replica_of(&self, master: &Node) -> Node {
        let mut replicas = self.replicas_of(master).await.into_iter();
        replicas.next().unwrap_or_else(|| panic!("{master} has no replica"))
    }

    /// Makes `replica` the master in place of its own, which hands over (`CLUSTER FAILOVER`), and waits until every
    /// node that answers agrees. The former master may not be a replica yet: [`wait_ok`](Topology::wait_ok) waits
    /// for that.
    ///
    /// # Panics
    /// When the command is refused, and when the failover takes too long.
    pub async fn failover(&self, replica: &Node) {
        replica.run(&["CLUSTER", "FAILOVER"]).await;
        self.wait_master(replica).await;
    }

    /// Does as [`failover`](Topology::failover), but without the consent of the master or the other nodes (`CLUSTER
    /// FAILOVER TAKEOVER`): for a master that is dead or cut off.
    ///
    /// # Panics
    /// Those of [`failover`](Topology::failover).
    pub async fn takeover(&self, replica: &Node) {
        replica.run(&["CLUSTER", "FAILOVER", "TAKEOVER"]).await;
        self.wait_master(replica).await;
    }

    /// Waits until the cluster is healthy: every node answers, reports `cluster_state:ok` and agrees with the
    /// others; all slots are served; every replica's link is up, its master sees it online, and it has confirmed
    /// all writes.
    ///
    /// # Panics
    /// When that takes too long, with what is missing.
    pub async fn wait_ok(&self) {
        self.wait_ok_without(&[]).await;
    }

    /// Does as [`wait_ok`](Topology::wait_ok), ignoring these nodes.
    ///
    /// # Panics
    /// When that takes too long, with what is missing.
    pub async fn wait_ok_without(&self, gone: &[&Node]) {
        if let Err(missing) = poll(LONGEST_CHANGE, || self.is_ok(gone)).await {
            panic!("the cluster is not healthy: {missing}");
        }
    }

    pub(in crate::redis) fn id(&self, node: &Node) -> &str {
        let index = self.nodes.iter().position(|other| other.addr == node.addr);
        index.map_or_else(|| panic!("{node} is not of this cluster"), |index| &self.ids[index])
    }

    /// Checks that every node knows every other.
    pub(in crate::redis) async fn has_met(&self) -> Result<(), String> {
        for node in &self.nodes {
            let view = View::of(node).await?;
            let knows = |id: &String| view.0.get(id).is_some_and(Member::is_well);
            if !self.ids.iter().all(knows) {
                return Err(format!("{node} does not know all others"));
            }
        }
        Ok(())
    }

    /// Waits until every node that answers reports that `node` serves `slot`.
    pub(in crate::redis) async fn wait_owner(&self, slot: u16, node: &Node) {
        let id = self.id(node);
        self.wait_views(&format!("{node} serves slot {slot}"), |view| view.serves(id, slot)).await;
    }

    /// Waits until every node that answers knows of the latest claim of `node` to its slots.
    pub(in crate::redis) async fn wait_claim(&self, node: &Node) {
        let id = self.id(node);
        let itself = View::of(node).await.unwrap_or_else(|error| panic!("{error}"));
        let claim = itself.epoch_of(id);
        self.wait_views(&format!("{node} has epoch {claim:?}"), |view| view.epoch_of(id) >= claim).await;
    }

    async fn wait_master(&self, node: &Node) {
        let id = self.id(node);
        let is_master =
            |view: &View| view.0.get(id).is_some_and(|member| member.is_master() && !member.slots.is_empty());
        self.wait_views(&format!("{node} is master"), is_master).await;
    }

    async fn wait_views(&self, what: &str, hold: impl Fn(&View) -> bool) {
        let agreed = || async {
            let views = self.views().await;
            assert!(views.iter().any(Option::is_some), "no node of the cluster answers");
            let answers =
                self.nodes.iter().zip(&views).filter_map(|(node, view)| Some((node, view.as_ref()?)));
            let others: Vec<_> = answers.filter(|(_, view)| !hold(view)).map(|(node, _)| node).collect();
            if others.is_empty() { Ok(()) } else { Err(format!("not all nodes say that {what}: {others:?}")) }
        };
        if let Err(missing) = poll(LONGEST_CHANGE, agreed).await {
            for node in &self.nodes {
                let said =
                    ask(node, &["CLUSTER", "NODES"]).await.map_or_else(|error| error, |said| said.text());
                println!("{node} says\n{said}");
            }
            panic!("{missing}");
        }
    }

    /// The view of each node, in the order of `nodes`; `None` for a node that does not answer.
    async fn views(&self) -> Vec<Option<View>> {
        let mut asked = JoinSet::new();
        for (index, node) in self.nodes.iter().cloned().enumerate() {
            asked.spawn(async move {
                let view = timeout(VIEW_TIMEOUT, View::of(&node)).await;
                (index, view.ok().and_then(Result::ok))
            });
        }
        let mut views = vec![None; self.nodes.len()];
        for (index, view) in asked.join_all().await {
            views[index] = view;
        }
        views
    }

    /// The latest view, merged from all nodes that answer.
    async fn latest(&self) -> View {
        let latest = View::latest(self.views().await.into_iter().flatten().collect());
        assert!(!latest.0.is_empty(), "no node of the cluster answers");
        latest
    }

    fn followers<'a>(&'a self, view: &View, master: &str) -> Vec<&'a Node> {
        let follows = |id: &String| view.0.get(id).is_some_and(|one| one.master.as_deref() == Some(master));
        self.ids.iter().zip(&self.nodes).filter(|(id, _)| follows(id)).map(|(_, node)| node).collect()
    }

    async fn is_ok(&self, gone: &[&Node]) -> Result<(), String> {
        let here: Vec<_> =
            self.ids.iter().zip(&self.nodes).filter(|(_, node)| !gone.contains(node)).collect();
        let mut first: Option<View> = None;
        for (_, node) in &here {
            let info = ask(node, &["CLUSTER", "INFO"]).await?;
            if info.field("cluster_state").as_deref() != Some("ok") {
                return Err(format!("{node}: the cluster is down"));
            }
            let mut view = View::of(node).await?;
            view.0.retain(|id, _| here.iter().any(|(known, _)| *known == id));
            if view.0.len() != here.len() || !view.0.values().all(Member::is_well) {
                return Err(format!("{node} does not see all others as healthy"));
            }
            if first.get_or_insert_with(|| view.clone()).roles() != view.roles() {
                return Err(format!("{node} disagrees with {}", here[0].1));
            }
        }
        let view = first.unwrap_or_default();
        if let Some(slot) = (0..SLOTS).find(|slot| !view.0.values().any(|member| member.has(*slot))) {
            return Err(format!("none of these nodes serves slot {slot}"));
        }
        for (id, node) in &here {
            if let Some(probe) = view.0[*id].slots.first() {
                let replicas = self.followers(&view, id);
                in_sync(node, &replicas, *probe.start()).await?;
            }
        }
        // Checked last: a node does not list a replica that has no data yet.
        for (_, node) in here {
            self.lists_replicas(node, &view).await?;
        }
        Ok(())
    }

    /// Checks that `node` lists all replicas to clients. It lists a replica only once it has heard that the replica
    /// has some of its master's data.
    async fn lists_replicas(&self, node: &Node, view: &View) -> Result<(), String> {
        let slots = ask(node, &["CLUSTER", "SLOTS"]).await?;
        for range in slots.elements() {
            let [_, _, master, replicas @ ..] = range.elements() else {
                return Err(format!("{node} lists no master"));
            };
            let id = master.elements().get(2).map(Reply::text).unwrap_or_default();
            if replicas.len() < self.followers(view, &id).len() {
                return Err(format!("{node} does not list all replicas"));
            }
        }
        Ok(())
    }
}
