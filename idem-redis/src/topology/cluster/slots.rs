//! Which server has which slot of a cluster.

use std::sync::Arc;

use crc::{CRC_16_XMODEM, Crc};

/// How many slots a cluster has.
pub(crate) const SLOTS: u16 = 16_384;

/// The slot of a Redis key. The keys of this crate that are hashed here contain no `{`, so the whole key is hashed.
pub(crate) fn slot_of(key: &[u8]) -> u16 {
    const CRC: Crc<u16> = Crc::<u16>::new(&CRC_16_XMODEM);
    CRC.checksum(key) % SLOTS
}

/// The master of every slot, by its index in `nodes`.
pub(crate) struct SlotTable<N> {
    pub(crate) nodes: Vec<Arc<N>>,
    /// The index of each slot's master; `None` where the slot has no master.
    indices: Box<[Option<u16>]>,
}

impl<N> Clone for SlotTable<N> {
    fn clone(&self) -> Self {
        Self { nodes: self.nodes.clone(), indices: self.indices.clone() }
    }
}

impl<N> SlotTable<N> {
    pub(crate) fn empty() -> Self {
        Self { nodes: Vec::new(), indices: vec![None; usize::from(SLOTS)].into() }
    }

    /// One server that has all slots.
    pub(crate) fn single(node: Arc<N>) -> Self {
        Self { nodes: vec![node], indices: vec![Some(0); usize::from(SLOTS)].into() }
    }

    pub(crate) fn node(&self, slot: u16) -> Option<&Arc<N>> {
        self.nodes.get(usize::from((*self.indices.get(usize::from(slot))?)?))
    }

    /// The first slot of each range that one master has, and that master by its index in `nodes`.
    pub(crate) fn ranges(&self) -> impl Iterator<Item = (usize, Option<usize>)> {
        let ranges = self.indices.chunk_by(PartialEq::eq);
        ranges.scan(0, |next, range| {
            let first = *next;
            *next += range.len();
            Some((first, range.first().copied().flatten().map(usize::from)))
        })
    }

    /// The lowest slot that `node` has.
    pub(crate) fn slot_of(&self, node: &Arc<N>) -> Option<u16> {
        let index = self.nodes.iter().position(|known| Arc::ptr_eq(known, node))?;
        let index = u16::try_from(index).ok();
        self.indices.iter().position(|of_slot| *of_slot == index).and_then(|slot| u16::try_from(slot).ok())
    }

    /// Fills slots without a master from `before`.
    pub(crate) fn fill_holes(&mut self, before: &Self) {
        for slot in 0..SLOTS {
            if self.node(slot).is_none()
                && let Some(node) = before.node(slot)
            {
                self.assign(slot, slot, node);
            }
        }
    }

    pub(crate) fn assign(&mut self, first: u16, last: u16, node: &Arc<N>) {
        let known = self.nodes.iter().position(|known| Arc::ptr_eq(known, node));
        let index = known.unwrap_or_else(|| {
            self.nodes.push(Arc::clone(node));
            self.nodes.len() - 1
        });
        let index = u16::try_from(index).ok();
        if let Some(indices) = self.indices.get_mut(usize::from(first)..=usize::from(last)) {
            indices.fill(index);
        }
    }
}
