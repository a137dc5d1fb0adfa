//! The bytes of a disk: what reads see, what a sync has made certain, and what lies between.

use super::rng::Rng;

/// The unit that a disk writes whole or not at all.
const SECTOR: usize = 512;

#[derive(Clone, Default)]
pub(crate) struct Image {
    /// What reads see: the operating system's cache.
    cache: Vec<u8>,
    /// What is left for certain when the power goes.
    platter: Vec<u8>,
    /// What changed since the last sync, in order.
    unsynced: Vec<Change>,
}

#[derive(Clone)]
enum Change {
    /// One `write`: the sectors it touched, each as the cache held it afterwards. A disk never sees a part of a
    /// sector without what was written to the rest of it before.
    Sectors(Vec<(usize, [u8; SECTOR])>),
    Length(usize),
}

impl Image {
    /// An image of which everything is synced.
    pub(crate) fn synced(bytes: Vec<u8>) -> Self {
        Self { platter: bytes.clone(), cache: bytes, unsynced: Vec::new() }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.cache
    }

    pub(crate) fn write(&mut self, offset: usize, data: &[u8]) {
        let end = offset + data.len();
        if end > self.cache.len() {
            self.set_len(end);
        }
        self.cache[offset..end].copy_from_slice(data);
        let touched = offset / SECTOR..end.div_ceil(SECTOR);
        let sectors = touched.map(|sector| (sector, self.sector(sector))).collect();
        self.unsynced.push(Change::Sectors(sectors));
    }

    pub(crate) fn set_len(&mut self, len: usize) {
        self.cache.resize(len, 0);
        self.unsynced.push(Change::Length(len));
    }

    pub(crate) fn sync(&mut self) {
        for change in std::mem::take(&mut self.unsynced) {
            match change {
                Change::Length(len) => self.platter.resize(len, 0),
                Change::Sectors(sectors) => {
                    for (sector, bytes) in sectors {
                        put(&mut self.platter, sector, &bytes);
                    }
                }
            }
        }
    }

    /// What is found when the power comes back: everything synced, and of the rest a random part.
    ///
    /// As file systems behave: sectors reach the disk in any order, each whole or not at all, so a write can be
    /// torn; a sector written twice may hold either. Lengths are kept by a journal, so a first few of their
    /// changes survive, in order; what was written past the length that survived is out of reach, and what a
    /// file grew by and was not written reads as zeros.
    pub(crate) fn survive(&self, rng: &mut Rng) -> Vec<u8> {
        let lengths = self.unsynced.iter().filter(|change| matches!(change, Change::Length(_))).count();
        let mut lengths_kept = rng.below(lengths + 1);
        // From "the disk had written nothing yet" to "all but a little".
        let kept_in_8 = [0, 1, 4, 7, 8][rng.below(5)];
        let mut bytes = self.platter.clone();
        for change in &self.unsynced {
            match change {
                Change::Length(len) if lengths_kept > 0 => {
                    lengths_kept -= 1;
                    bytes.resize(*len, 0);
                }
                Change::Length(_) => {}
                Change::Sectors(sectors) => {
                    let torn = rng.chance(1, 2);
                    let whole = rng.chance(kept_in_8, 8);
                    for (sector, content) in sectors {
                        if if torn { rng.chance(kept_in_8, 8) } else { whole } {
                            put(&mut bytes, *sector, content);
                        }
                    }
                }
            }
        }
        bytes
    }

    /// What the operating system does after a sync that failed: it keeps what it has in its cache, counts it
    /// as written, and never writes it.
    pub(crate) fn forget_unsynced(&mut self) {
        for change in std::mem::take(&mut self.unsynced) {
            if let Change::Length(len) = change {
                self.platter.resize(len, 0);
            }
        }
    }

    fn sector(&self, sector: usize) -> [u8; SECTOR] {
        let mut content = [0; SECTOR];
        let start = sector * SECTOR;
        let end = self.cache.len().min(start + SECTOR);
        content[..end - start].copy_from_slice(&self.cache[start..end]);
        content
    }
}

/// Past the end is out of reach.
fn put(bytes: &mut [u8], sector: usize, content: &[u8; SECTOR]) {
    let start = (sector * SECTOR).min(bytes.len());
    let end = bytes.len().min(start + SECTOR);
    bytes[start..end].copy_from_slice(&content[..end - start]);
}
