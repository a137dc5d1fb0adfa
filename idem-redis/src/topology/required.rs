//! How many replicas must hold a write, by slot: settled when the store is opened, never lowered.

use idem_core::ErrorKind;

use crate::Acks;
use crate::protocol::fault::Fault;
use crate::topology::slots::{SLOTS, View};

pub(crate) enum Required {
    Everywhere(u8),
    /// One number for every slot: its master's replicas at the start, wherever the slot may move.
    BySlot(Box<[u8]>),
}

impl Required {
    pub(crate) fn of_lone(acks: Option<Acks>, replicas: u8) -> Self {
        match acks {
            Some(Acks::Count(count)) => Self::Everywhere(count),
            Some(Acks::All) | None => Self::Everywhere(replicas),
        }
    }

    /// # Errors
    /// Where a master has no replica, and nobody said that this is wanted.
    pub(crate) fn of_cluster(acks: Option<Acks>, view: &View) -> Result<Self, Fault> {
        if let Some(Acks::Count(count)) = acks {
            return Ok(Self::Everywhere(count));
        }
        if let Some(range) = view.ranges.iter().find(|range| range.replicas == 0) {
            let message = format!(
                "the master {} has no replica, so nothing would survive it: give it one, or accept that with acks = 0",
                range.master
            );
            return Err(Fault::refused(ErrorKind::InvalidConfig, message));
        }
        let mut slots = vec![1; usize::from(SLOTS)].into_boxed_slice();
        for range in &view.ranges {
            slots[usize::from(range.first)..=usize::from(range.last)].fill(range.replicas);
        }
        Ok(Self::BySlot(slots))
    }

    /// Whether anything is waited for.
    pub(crate) fn is_any(&self) -> bool {
        !matches!(self, Self::Everywhere(0))
    }

    pub(crate) fn of(&self, slot: u16) -> u8 {
        match self {
            Self::Everywhere(count) => *count,
            Self::BySlot(slots) => slots.get(usize::from(slot)).copied().unwrap_or(1),
        }
    }
}
