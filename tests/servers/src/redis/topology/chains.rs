//! Chains: replicas of replicas, which a cluster should not have.

use super::layout::Topology;
use super::view::View;
use crate::redis::node::Node;

impl Topology {
    /// Makes each replica that follows another replica follow the master of that one (`CLUSTER REPLICATE`), as an
    /// operator has to. Returns the replicas changed.
    ///
    /// Redis nearly always does this by itself. Redis 8.2.3 left such a chain after about one in forty partitions
    /// in which a master was cut off together with one of its two replicas. The new master then keeps only one of
    /// its two replicas.
    ///
    /// # Panics
    /// When a node does not answer, or refuses.
    pub async fn flatten_chains(&self) -> Vec<Node> {
        let mut moved = Vec::new();
        for node in self.nodes() {
            let Some(followed) = self.master_by_its_own_view(node).await else { continue };
            if let Some(master) = self.master_by_its_own_view(&followed).await {
                node.run(&["CLUSTER", "REPLICATE", self.id(&master)]).await;
                moved.push(node.clone());
            }
        }
        moved
    }

    /// The master that `node` itself says it follows.
    async fn master_by_its_own_view(&self, node: &Node) -> Option<Node> {
        let view = View::of(node).await.unwrap_or_else(|failure| panic!("{failure}"));
        let master = view.0.get(self.id(node))?.master.clone()?;
        self.nodes().iter().find(|other| self.id(other) == master).cloned()
    }
}
