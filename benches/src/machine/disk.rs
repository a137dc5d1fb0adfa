//! How fast the disk is at the moment: what every durable commit waits for.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

use crate::machine::now;
use crate::result::Result;

const LONG_ENOUGH: Duration = Duration::from_millis(50);
const PAGE: [u8; 4_096] = [0x5A; 4_096];

/// Writes of one page a second, each synced before the next.
///
/// Many rented disks are fast for half a minute and slow from then on, and other users of a machine write too.
/// Rounds that alternate share such changes; a row of one caller and a row of many, minutes apart, do not.
pub(crate) fn syncs_per_s(directory: &Path) -> Result<f64> {
    let mut file = File::create(directory.join("probe"))?;
    sync_page(&mut file)?;
    let began = now();
    let mut syncs = 0.0;
    while began.elapsed() < LONG_ENOUGH {
        sync_page(&mut file)?;
        syncs += 1.0;
    }
    Ok(syncs / began.elapsed().as_secs_f64())
}

fn sync_page(file: &mut File) -> Result<()> {
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&PAGE)?;
    Ok(file.sync_data()?)
}
