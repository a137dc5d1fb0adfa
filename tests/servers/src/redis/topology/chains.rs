//! Replicas of replicas, which a cluster should not have.

use super::layout::Topology;
use super::view::View;
use crate::redis::node::Node;

impl Topology {
    /// Lets each replica that follows a replica follow that one's master, as an operator has to (`CLUSTER REPLICATE`).
    /// Which ones they were.
    ///
    /// Redis does it by itself, nearly always: 8.2.3 left such a chain after one partition in some forty in which a master was
    /// cut off together with one of its two replicas. The new master then has one replica of two for good.
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

    /// Whose replica `node` says that it is.
    async fn master_by_its_own_view(&self, node: &Node) -> Option<Node> {
        let view = View::of(node).await.unwrap_or_else(|failure| panic!("{failure}"));
        let master = view.0.get(self.id(node))?.master.clone()?;
        self.nodes().iter().find(|other| self.id(other) == master).cloned()
    }
}
