//! Moves a slot to another master, step by step.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::layout::Topology;
use crate::redis::node::{Login, Node};

/// How long gossip may take from one node of a healthy cluster to another.
const LONGEST_GOSSIP: Duration = Duration::from_mins(1);

/// Waits until `node` has heard of the node with this id, which may have joined a moment ago.
async fn wait_known(node: &Node, id: &str) {
    let heard = async {
        while !node.run(&["CLUSTER", "NODES"]).await.text().lines().any(|line| line.starts_with(id)) {
            sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(timeout(LONGEST_GOSSIP, heard).await.is_ok(), "{node} does not hear of {id}");
}

/// A slot that is migrating from one master to another. Dropping this value leaves the slot migrating.
#[derive(Debug)]
#[must_use]
pub struct Migration<'a> {
    topology: &'a Topology,
    slot: u16,
    from: Node,
    to: Node,
}

impl Topology {
    /// Begins to move `slot` to the master `to`. From now on the present master of the slot answers `ASK` for keys
    /// that it does not have.
    ///
    /// # Panics
    /// When a node refuses.
    pub async fn begin_migration(&self, slot: u16, to: &Node) -> Migration<'_> {
        Migration::begin(self, slot, to).await
    }

    /// Moves `slot` with its keys to the master `to`, and waits until every node that answers agrees.
    ///
    /// # Panics
    /// When a node refuses, and when agreement takes too long.
    pub async fn migrate_slot(&self, slot: u16, to: &Node) {
        self.begin_migration(slot, to).await.finish().await;
    }
}

impl<'a> Migration<'a> {
    /// The target must import the slot first; until then it redirects a client that sends `ASKING` back to the source.
    pub(in crate::redis) async fn begin(topology: &'a Topology, slot: u16, to: &Node) -> Self {
        let from = topology.master_of(slot).await;
        assert!(from != *to, "slot {slot} is at {to} already");
        for (node, other) in [(to, &from), (&from, to)] {
            wait_known(node, topology.id(other)).await;
        }
        let number = slot.to_string();
        to.run(&["CLUSTER", "SETSLOT", &number, "IMPORTING", topology.id(&from)]).await;
        from.run(&["CLUSTER", "SETSLOT", &number, "MIGRATING", topology.id(to)]).await;
        Self { topology, slot, from, to: to.clone() }
    }

    /// The master that the slot leaves.
    #[must_use]
    pub fn from(&self) -> &Node {
        &self.from
    }

    /// The master that gets the slot.
    #[must_use]
    pub fn to(&self) -> &Node {
        &self.to
    }

    /// Moves one key of the slot, and returns whether there was such a key.
    ///
    /// # Panics
    /// When a node refuses.
    pub async fn move_key(&self, key: &[u8]) -> bool {
        self.transfer(&[key.to_vec()]).await
    }

    /// Moves all keys of the slot. Commands for them are then answered with `ASK`, not yet with `MOVED`.
    ///
    /// # Panics
    /// When a node refuses.
    pub async fn move_keys(&self) {
        let slot = self.slot.to_string();
        loop {
            let found = self.from.run(&["CLUSTER", "GETKEYSINSLOT", &slot, "100"]).await;
            let keys: Vec<_> = found.elements().iter().map(|key| key.bytes().to_vec()).collect();
            if keys.is_empty() {
                return;
            }
            self.transfer(&keys).await;
        }
    }

    /// Moves the remaining keys, then the slot itself, and waits until every node that answers agrees. Commands are
    /// then answered with `MOVED`.
    ///
    /// # Panics
    /// When a node refuses, and when agreement takes too long.
    pub async fn finish(self) {
        self.move_keys().await;
        // The new owner goes first: if the former owner gave up the slot first, no node would own it for a moment.
        // The new owner claims the slot with the highest epoch it knows of. Each claim must be known everywhere
        // before the next one: if two masters used the same epoch, one of them would claim all its slots again,
        // including the one it is giving away.
        let owner = self.topology.id(&self.to);
        self.set(&self.to, &["NODE", owner]).await;
        self.topology.wait_claim(&self.to).await;
        let others = self.topology.masters().await.into_iter().filter(|node| *node != self.to);
        for node in others {
            self.set(&node, &["NODE", owner]).await;
        }
        self.topology.wait_owner(self.slot, &self.to).await;
    }

    /// Cancels the migration: the slot stays with its present master, which gets back the keys that were moved.
    ///
    /// # Panics
    /// When a node refuses.
    pub async fn cancel(self) {
        let back = Migration { topology: self.topology, slot: self.slot, from: self.to, to: self.from };
        // A node whose slot is still migrating does not accept keys of that slot.
        back.set(&back.to, &["STABLE"]).await;
        back.move_keys().await;
        back.set(&back.from, &["STABLE"]).await;
    }

    async fn set(&self, node: &Node, to: &[&str]) {
        let slot = self.slot.to_string();
        let command = [&["CLUSTER", "SETSLOT", &slot], to].concat();
        node.run(&command).await;
    }

    async fn transfer(&self, keys: &[Vec<u8>]) -> bool {
        let (host, port) = (self.to.host().to_string(), self.to.port().to_string());
        let mut command: Vec<Vec<u8>> =
            ["MIGRATE", &host, &port, "", "0", "5000"].map(|word| word.as_bytes().to_vec()).into();
        if let Some(Login { user, password }) = &self.to.login {
            let user = user.as_deref().unwrap_or("default");
            command.extend(["AUTH2", user, password].map(|word| word.as_bytes().to_vec()));
        }
        command.push(b"KEYS".to_vec());
        command.extend_from_slice(keys);
        let _lock = self.topology.migrate_lock.lock().await;
        self.from.run(&command).await.text() == "OK"
    }
}
