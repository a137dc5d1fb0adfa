//! What must hold a write, by slot: how many replicas, and whether their disks too. The number rises when more replicas
//! appear, and never falls because a replica is gone.

use std::sync::atomic::{AtomicU8, Ordering};

use idem_core::ErrorKind;

use crate::config::acks::Acks;
use crate::connection::acknowledgers::Acknowledgers;
use crate::protocol::errors::attempt_error::AttemptError;
use crate::topology::cluster::shards::Shards;
use crate::topology::cluster::slots::SLOTS;
use crate::topology::cluster::view::View;
use crate::topology::node::requirements::Facts;

pub(crate) struct RequiredAcks {
    replicas: Replicas,
    /// Whether the write must also be on the disks.
    disk: bool,
}

enum Replicas {
    /// As configured.
    Fixed(u8),
    /// All replicas that the one master has or had.
    Standalone(AtomicU8),
    /// For each slot, all replicas that could take over from its master.
    BySlot(Box<[AtomicU8]>),
}

impl RequiredAcks {
    /// For a single master. `had_replicas`: whether the master is known to have or to have had a replica, connected or not.
    ///
    /// # Errors
    /// Where all replicas are to be waited for and the master has none in step, except for a master that never had any and a
    /// configuration that does not insist on one.
    pub(crate) fn of_single_master(
        acks: Option<Acks>,
        facts: &Facts,
        had_replicas: bool,
    ) -> Result<Self, AttemptError> {
        let replicas = match (acks, facts.replicas) {
            (Some(Acks::Count(count)), _) => Replicas::Fixed(count),
            (Some(Acks::All | Acks::Disk) | None, 0) if had_replicas => {
                let message = format!(
                    "{} has no replica in step at the moment, and has or had one: nothing that it writes would survive it. \
                     Give it one, or accept that with acks = 0",
                    facts.address
                );
                return Err(AttemptError::refused(ErrorKind::Unavailable, message));
            }
            (Some(Acks::All), 0) => {
                let message =
                    format!("{} has no replica, and acks = all waits for one at least", facts.address);
                return Err(AttemptError::refused(ErrorKind::InvalidConfig, message));
            }
            (Some(Acks::All | Acks::Disk) | None, replicas) => Replicas::Standalone(replicas.into()),
        };
        Ok(Self { replicas, disk: acks == Some(Acks::Disk) })
    }

    /// For a cluster in which every master has a replica, or the number of replicas is configured.
    pub(crate) fn of_cluster(acks: Option<Acks>, view: &View, shards: &Shards) -> Self {
        if let Some(Acks::Count(count)) = acks {
            return Self { replicas: Replicas::Fixed(count), disk: false };
        }
        let replicas = Replicas::BySlot((0..SLOTS).map(|_| AtomicU8::new(1)).collect());
        let required = Self { replicas, disk: acks == Some(Acks::Disk) };
        required.update_cluster(view, shards);
        required
    }

    /// Records that the one master has this many replicas now.
    pub(crate) fn update_single_master(&self, replicas: u8) {
        if let Replicas::Standalone(required) = &self.replicas {
            let before = required.fetch_max(replicas, Ordering::AcqRel);
            if replicas > before {
                tracing::info!(
                    replicas,
                    before,
                    "there are more replicas, and all of them must hold a write from now on"
                );
            }
        }
    }

    /// Updates all slots from a view of the cluster.
    pub(crate) fn update_cluster(&self, view: &View, shards: &Shards) {
        let Replicas::BySlot(slots) = &self.replicas else { return };
        for (range, replicas) in view.ranges.iter().zip(shards.replicas(view)) {
            let slots = slots.get(usize::from(range.first)..=usize::from(range.last)).unwrap_or_default();
            for slot in slots {
                slot.store(replicas.max(1), Ordering::Release);
            }
        }
    }

    /// Records that `slot` has moved to the master of the slot `like`.
    pub(crate) fn moved(&self, slot: u16, like: u16) {
        let Replicas::BySlot(slots) = &self.replicas else { return };
        if let (Some(slot), Some(like)) = (slots.get(usize::from(slot)), slots.get(usize::from(like))) {
            slot.store(like.load(Ordering::Acquire), Ordering::Release);
        }
    }

    /// Whether anything is waited for.
    pub(crate) fn waits(&self) -> bool {
        self.disk || self.is_replicated()
    }

    pub(crate) fn is_for_disk(&self) -> bool {
        self.disk
    }

    /// Whether a replica is waited for.
    pub(crate) fn is_replicated(&self) -> bool {
        match &self.replicas {
            Replicas::Fixed(count) => *count > 0,
            Replicas::Standalone(count) => count.load(Ordering::Acquire) > 0,
            Replicas::BySlot(_) => true,
        }
    }

    /// What must hold a write to `slot`. `None`: a write to a master that is in no view of the cluster. In a cluster, at
    /// least `online` replicas, which is the count that the master itself reports, or 0 where that is not used.
    pub(crate) fn of(&self, slot: Option<u16>, online: u8) -> Acknowledgers {
        let replicas = match &self.replicas {
            Replicas::Fixed(count) => *count,
            Replicas::Standalone(count) => count.load(Ordering::Acquire),
            Replicas::BySlot(slots) => {
                let known = slot.and_then(|slot| slots.get(usize::from(slot)));
                known.map_or(1, |slot| slot.load(Ordering::Acquire)).max(online)
            }
        };
        Acknowledgers { replicas, disk: self.disk }
    }
}
