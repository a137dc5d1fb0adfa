//! The bytes of a simulated disk: what reads see, what is synced, and the changes in between.

use super::rng::Rng;

/// The unit that a disk writes whole or not at all.
const SECTOR: usize = 512;

#[derive(Clone, Default)]
pub(crate) struct Image {
    /// The operating system's cache, which reads see.
    cache: Vec<u8>,
    /// The synced bytes, which survive a power cut.
    platter: Vec<u8>,
    /// The changes since the last sync, in order.
    unsynced: Vec<Change>,
}

#[derive(Clone)]
enum Change {
    /// One `write`: the sectors that it touched, each as the cache held it afterwards, since a sector is written to the
    /// disk whole.
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

    /// The bytes after a power cut: everything that was synced, and a random part of the rest.
    ///
    /// This is how file systems behave. Sectors reach the disk in any order, each whole or not at all, so a write
    /// can be torn, and a sector that was written twice may hold either version. Lengths are journaled, so their
    /// changes survive in order, up to some point; bytes past the surviving length are lost, and bytes that a file
    /// grew by without being written read as zeros.
    pub(crate) fn survive(&self, rng: &mut Rng) -> Vec<u8> {
        let lengths = self.unsynced.iter().filter(|change| matches!(change, Change::Length(_))).count();
        let mut lengths_kept = rng.below(lengths + 1);
        // From "nothing has reached the disk yet" to "everything has".
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

    /// What the operating system does after a failed sync: it keeps the pages in its cache, marks them as clean, and
    /// never writes them.
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

/// Writes a sector; bytes past the end are dropped.
fn put(bytes: &mut [u8], sector: usize, content: &[u8; SECTOR]) {
    let start = (sector * SECTOR).min(bytes.len());
    let end = bytes.len().min(start + SECTOR);
    bytes[start..end].copy_from_slice(&content[..end - start]);
}
